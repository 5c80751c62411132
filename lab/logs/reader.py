"""Inspect logs as records: the one reader of `.eval` files, and of logs in JSON format.

    read_header(log).ok                                  # did the eval end well, and which weights answered
    read_items(log)                                      # one item per reply, for rates
    answers(log, [p for p in places(log) if ...])        # chosen replies in full, for people who label them
    exchanges(log, [r for r in read_replies(log) if ...])     # the same with whole prompts, for people who read them

A `.eval` file is a zip: `header.json` names what was evaluated, `summaries.json` has one line per sample without its
long texts, `samples/` the samples. The members are read directly, which is ~45 times faster than inspect's data frames
(`benchmarks/reading.py`). Other logs, such as those in JSON format, are read by inspect's API.
Of several scores of a reply (`inspect score` appends `outcome-1`) the last one counts; an edited value counts; an
invalidated sample is unscored.
Not covered: which log belongs to which checkpoint (`lab.experiment.collect`, `lab.logs.loose`).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import zipfile_zstd  # noqa: F401  # inspect compresses with zstd, which `zipfile` learns from this import
from pydantic_core import from_json

from bct_tasks.setting import Prompt
from bct_tasks.sources.instructions.checkable import TEMPLATES
from lab.logs.records import OUTCOMES, PATTERN, Item, judge_text

HEADER, SUMMARIES, SAMPLES = "header.json", "summaries.json", "samples/"
PROMPTS = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")
MOST_BYTES = 2**30  # of a member of a log, unpacked
#: No member of more bytes than this is so much longer unpacked: every sample has a random id, which does not shrink.
SHRUNK_BYTES, MOST_SHRUNK = 2**26, 1000
CUT_OFF = ("max_tokens", "model_length")
SCORE = re.compile(r"outcome(?:-?(\d+))?$")
SCORED = re.compile(r"-scored(?:-(\d+))?$")


@dataclass(frozen=True)
class Header:
    """The header of a log.

    Attributes:
        status: `success`, `error`, `cancelled` or `started`.
        samples: How many samples were completed.
        spec: What was evaluated, as inspect logs it: model, arguments, task, metadata, time.
        error: The message, where the eval failed.
        invalidated: Whether samples were declared invalid.
    """

    status: str
    samples: int
    spec: Mapping[str, Any]
    error: str | None
    invalidated: bool = False

    @property
    def ok(self) -> bool:
        """Whether the eval ended well."""
        return self.status == "success"

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the task logged: setting, variant, split."""
        return self.spec.get("metadata") or {}

    @property
    def fingerprint(self) -> str | None:
        """The weights that answered, where they are a model argument."""
        return (self.spec.get("model_args") or {}).get("fingerprint")


@dataclass(frozen=True)
class Reply:
    """One reply as an item, with its epoch and the family of its question."""

    item: Item
    epoch: int
    family: str | None


@dataclass(frozen=True)
class Exchange:
    """One prompt as (role, text) of every message, the reply, and why it was graded as it was."""

    reply: Reply
    turns: tuple[tuple[str, str], ...]
    text: str
    reason: str


@dataclass(frozen=True)
class Place:
    """The location of a reply: the id and epoch of its sample, with its setting and kind of prompt."""

    id: str
    epoch: int
    setting: str
    kind: str


@dataclass(frozen=True)
class Answer:
    """One reply in full, with the part of its prompt that grading needs.

    `ref` is the file of a setting that was loaded by path, else its name.
    """

    setting: str
    ref: str
    variant: str
    prompt: Prompt = field(repr=False)
    text: str
    truncated: bool
    step: int | None


def read_header(log: Path) -> Header | None:
    """The header of a log; None for a file that is incomplete, or not a log."""
    content = _read(log, HEADER)
    if not isinstance(content, dict):
        return None
    return Header(
        status=str(content.get("status")),
        samples=int((content.get("results") or {}).get("completed_samples") or 0),
        spec=content.get("eval") or {},
        error=(content.get("error") or {}).get("message"),
        invalidated=bool(content.get("invalidated")),
    )


def usage(log: Path) -> tuple[int, int, int]:
    """Samples of a log, and the tokens of their prompts and replies, of the model under test alone."""
    content = _read(log, HEADER) or {}
    used = ((content.get("stats") or {}).get("model_usage") or {}).get((content.get("eval") or {}).get("model")) or {}
    prompts = sum(int(used.get(name) or 0) for name in PROMPTS)  # inspect counts cached ones apart
    samples = int((content.get("results") or {}).get("completed_samples") or 0)
    return samples, prompts, int(used.get("output_tokens") or 0)


def newest(log: Path) -> Path:
    """The log itself, or the last of the copies that `inspect score` wrote next to it (`NAME-scored.eval`)."""
    copies = [path for path in log.parent.glob(f"{log.stem}-scored*{log.suffix}") if SCORED.search(path.stem)]
    return max(copies, key=lambda path: (rescored(path), path.name), default=log)


def rescored(log: Path) -> int:
    """How often a log was scored again into a copy, by its name."""
    found = SCORED.search(log.stem)
    return int(found[1] or 0) + 1 if found else 0


def read_replies(log: Path) -> tuple[Reply, ...]:
    """All replies, in the order of the log.

    Raises:
        ValueError: the log is incomplete, missing, or of another task.
    """
    rows = _read(log, SUMMARIES)
    try:
        found = [_reply(row) for row in rows]
        changed = _changed(log, rows)
        return tuple(
            replace(r, item=replace(r.item, outcome=changed.get(i, r.item.outcome))) for i, r in enumerate(found)
        )
    except (AttributeError, KeyError, TypeError):
        message = f"{log}: incomplete, or not a log of a bct task: delete it and run the same command again"
        raise ValueError(message) from None


def read_items(log: Path) -> tuple[Item, ...]:
    """One item per reply, by split and id; further epochs of a prompt have the id `ID#2`, `ID#3`, ...

    Raises:
        ValueError: as `read_replies` does.
    """
    items = (r.item if r.epoch == 1 else replace(r.item, id=f"{r.item.id}#{r.epoch}") for r in read_replies(log))
    return tuple(sorted(items, key=lambda item: (item.split, item.id)))


def answered_by(log: Path) -> Mapping[str, Any]:
    """What the model reported with its first reply: the fingerprint of its weights, and their step."""
    member = _first(log)
    sample = _read(log, member) if member else None
    return ((sample or {}).get("output") or {}).get("metadata") or {}


def why_absent(log: Path, scorer: Literal["margins", "likelihood"]) -> str:
    """Why no reply of a log has a value of a scorer of given replies: the first reason that its scores give."""
    rows = _read(log, SUMMARIES) or []
    split = "eval" if scorer == "margins" else "capability"
    scores = [(row.get("scores") or {}).get(scorer) for row in rows if row["metadata"].get("split") == split]
    reasons = (score.get("reason") or score.get("explanation") for score in scores if score)
    return next(filter(None, reasons), "its log was made without them")


def texts(log: Path, outcome: str, split: str = "eval", most: int = 100) -> tuple[str, ...]:
    """The replies of a log with an outcome, in the order of their prompts; at most `most`."""
    found = (r for r in read_replies(log) if r.item.split == split and r.item.outcome == outcome)
    chosen = sorted(found, key=lambda r: (r.item.id, r.epoch))[:most]
    samples = _read_all(log, [_member(r.item.id, r.epoch) for r in chosen])
    return tuple(str(((sample or {}).get("output") or {}).get("completion") or "") for sample in samples)


def places(log: Path) -> list[Place]:
    """The completed samples of a log of our tasks, in its order; none where it cannot be read or is of another task."""
    found: list[Place] = []
    for row in _read(log, SUMMARIES) or []:
        facts = row.get("metadata") or {}
        if row.get("completed", True) and not row.get("error") and {"setting", "split", "facts"} <= set(facts):
            found.append(Place(str(row["id"]), int(row.get("epoch") or 1), facts["setting"], facts["split"]))
    return found


def answers(log: Path, chosen: Iterable[Place]) -> list[Answer]:
    """The chosen replies of a log, in the given order.

    Raises:
        KeyError: the log lacks a sample.
    """
    found = list(chosen)
    samples = _read_all(log, [_member(place.id, place.epoch) for place in found])
    return [_answer(*pair) for pair in zip(samples, found, strict=True)]


def exchanges(log: Path, chosen: Iterable[Reply]) -> list[Exchange]:
    """The chosen replies of a log with their whole prompts, in the given order; one that cannot be read is left out."""
    found = list(chosen)
    samples = _read_all(log, [_member(reply.item.id, reply.epoch) for reply in found])
    return [_exchange(sample, reply) for sample, reply in zip(samples, found, strict=True) if sample]


# --- rows ------------------------------------------------------------------------------------------------------------


def _reply(row: Mapping[str, Any]) -> Reply:
    facts, score = row.get("metadata") or {}, _score(row.get("scores") or {})
    value, told = score.get("value"), score.get("metadata") or {}
    margin, greedy = _margin(row)
    outcome = _told(told) or _by_value(value) or "unscored"
    item = Item(
        id=str(row["id"]),
        split=str(facts["split"]),
        template=_template(row, facts),
        outcome=outcome,
        truncated=isinstance(value, dict) and value.get("truncated") == 1,
        system=bool(facts.get("system")),
        margin=margin,
        greedy=greedy,
        grader=_grader(told),
        verdict=("stored" if told.get("stored") else "asked") if told.get("read_by") == "judge" else None,
        family=_family(facts),
        reason=score.get("reason") or score.get("explanation") if outcome == "unscored" else None,
        manner=_manner(outcome, told),
        bits=_bits(row),
    )
    return Reply(item, int(row.get("epoch") or 1), facts.get("family"))


def _template(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The wording that a prompt shares with others; of a checkable question its own id.

    Its template is a format, and the formats are the same at every checkpoint: they are strata, not a sample. Its
    question is asked in several formats: over the 23 cells of `smollm2_lr_decides` this has a design effect of 1.05.
    """
    checked = facts["split"] == "capability" and facts["template"] in TEMPLATES
    return str(row["id"] if checked else facts["template"])


def _family(facts: Mapping[str, Any]) -> str:
    """The family in the metadata, else that in the name of a bundled template (`add-3`)."""
    return str(facts.get("family") or str(facts["template"]).partition("-")[0])


def _score(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """The last score of a reply by our scorer."""
    ours = {int(found[1] or 0): name for name in scores if (found := SCORE.match(name))}
    return (scores[ours[max(ours)]] or {}) if ours else {}


def _told(metadata: Mapping[str, Any]) -> str | None:
    """The outcome in a score's metadata, as our scorer writes it."""
    outcome = metadata.get("outcome")
    return outcome if outcome in OUTCOMES else None


def _by_value(value: Any) -> str | None:
    """The outcome that a score's value shows; None if the value shows none."""
    if isinstance(value, str):
        return value if value in OUTCOMES else None
    if isinstance(value, dict):
        shown = [name for name in OUTCOMES if value.get(name) == 1]
        return (shown[0] if len(shown) == 1 else "unscored") if OUTCOMES & set(value) else None
    return "unscored"


def _manner(outcome: str, told: Mapping[str, Any]) -> bool | None:
    """Whether a reply has the agreed manner; a garbled one has none, and logs of earlier releases may not tell."""
    if outcome in ("agreed", "degenerate"):
        return outcome == "agreed"
    return told.get("manner")


def _grader(told: Mapping[str, Any]) -> str:
    judge = told.get("judge")
    if isinstance(judge, dict):
        return judge_text(*(str(judge.get(name)) for name in ("model", "mode", "prompt")))
    return "a judge without a name" if told.get("read_by") == "judge" else PATTERN


def _changed(log: Path, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Outcomes of samples that were declared invalid or whose value was edited, by position.

    Only the samples themselves tell; they are read where the header, or a value that contradicts its metadata, says so.
    """
    header = read_header(log)
    every = header is not None and header.invalidated
    places = [i for i, row in enumerate(rows) if every or _contradicts(_score(row.get("scores") or {}))]
    samples = _read_all(log, [_member(str(rows[i]["id"]), int(rows[i].get("epoch") or 1)) for i in places])
    found: dict[int, str] = {}
    for i, sample in zip(places, samples, strict=True):
        score = _score((sample or {}).get("scores") or {})
        if (sample or {}).get("invalidation"):
            found[i] = "unscored"
        elif score.get("history"):
            found[i] = _by_value(score.get("value")) or "unscored"
    return found


def _contradicts(score: Mapping[str, Any]) -> bool:
    shown = _by_value(score.get("value"))
    return shown is not None and _told(score.get("metadata") or {}) not in (None, shown)


def _margin(row: Mapping[str, Any]) -> tuple[float | None, str | None]:
    value = ((row.get("scores") or {}).get("margins") or {}).get("value")
    if not isinstance(value, dict):
        return None, None
    written = [policy for policy in ("initial", "alternate") if value.get(f"{policy}_greedy") == 1]
    return value.get("margin"), written[0] if written else None


def _bits(row: Mapping[str, Any]) -> float | None:
    value = ((row.get("scores") or {}).get("likelihood") or {}).get("value")
    return value.get("bits_per_byte") if isinstance(value, dict) else None


def _answer(sample: Mapping[str, Any] | None, place: Place) -> Answer:
    if sample is None:
        raise KeyError(f"no sample {place.id} of epoch {place.epoch}")
    facts, output = sample["metadata"], sample.get("output") or {}
    choice: Mapping[str, Any] = (output.get("choices") or [{}])[0]
    return Answer(
        setting=place.setting,
        ref=str(facts.get("file") or place.setting),
        variant=str(facts["variant"]),
        prompt=Prompt.from_record(
            place.id, "train" if place.kind == "train" else "eval", _user(sample["input"]), facts
        ),
        text=str(output.get("completion") or ""),
        truncated=choice.get("stop_reason") in CUT_OFF,
        step=(output.get("metadata") or {}).get("step"),
    )


def _exchange(sample: Mapping[str, Any], reply: Reply) -> Exchange:
    given, score = sample["input"], _score(sample.get("scores") or {})
    turns = ((m["role"], str(m["content"])) for m in given) if isinstance(given, list) else [("user", str(given))]
    text = str((sample.get("output") or {}).get("completion") or "")
    return Exchange(reply, tuple(turns), text, str(score.get("explanation") or score.get("reason") or ""))


def _user(messages: Any) -> str:
    """The user's last message."""
    if isinstance(messages, list):
        return str(next((m["content"] for m in reversed(messages) if m.get("role") == "user"), ""))
    return str(messages)


# --- files -----------------------------------------------------------------------------------------------------------


def _member(id: str, epoch: int) -> str:
    """The name of a sample."""
    return f"{SAMPLES}{id}_epoch_{epoch}.json"


def _first(log: Path) -> str | None:
    """The name of the first sample: from the list of the zip, which is read faster than the summaries."""
    with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(log) as archive:
        return next((name for name in archive.namelist() if name.startswith(SAMPLES)), None)
    rows = _read(log, SUMMARIES)
    return _member(rows[0]["id"], rows[0].get("epoch") or 1) if rows else None


def _read(log: Path, member: str) -> Any:
    """A member of the log as JSON; None where the log is unreadable or lacks it."""
    return _read_all(log, [member])[0]


def _read_all(log: Path, members: Sequence[str]) -> list[Any]:
    if not log.is_file():  # opening a pipe would wait for its writer
        return [None] * len(members)
    try:
        with zipfile.ZipFile(log) as archive:
            if any(_too_large(archive.getinfo(member)) for member in members):
                return [None] * len(members)
            return [from_json(archive.read(member), cache_strings="keys") for member in members]
    except Exception:  # damaged zips raise many kinds of error, each way of compression its own
        return [_by_inspect(log, member) for member in members]


def _too_large(member: zipfile.ZipInfo) -> bool:
    size = member.file_size
    return size > MOST_BYTES or (size > SHRUNK_BYTES and size > MOST_SHRUNK * member.compress_size)


def _by_inspect(log: Path, member: str) -> Any:
    """The same through inspect's API."""
    if not log.is_file() or (log.suffix == ".json" and '"eval"' not in _head(log)):
        return None
    from inspect_ai.log import read_eval_log, read_eval_log_sample, read_eval_log_sample_summaries

    try:
        if member == HEADER:
            return read_eval_log(str(log), header_only=True).model_dump(mode="json")
        if member == SUMMARIES:
            return [row.model_dump(mode="json") for row in read_eval_log_sample_summaries(str(log))]
        id, _, epoch = member.removeprefix(SAMPLES).removesuffix(".json").rpartition("_epoch_")
        return read_eval_log_sample(str(log), id, int(epoch)).model_dump(mode="json")
    except Exception:  # inspect raises many kinds of error for a file that is not a complete log
        return None


def _head(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(2000)

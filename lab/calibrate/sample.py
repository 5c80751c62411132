"""A blind random sample of a run's own replies, to be labelled by hand. Its labels correct the rates of the run.

    draw(experiment, n=100, seed=0, out=Path("x.jsonl"))     # prompts and replies, shuffled, without labels
    read_back(experiment, Path("x.jsonl"))                   # checked, and stored in the run folder

<run>/calibration/<sample>.key.json       which reply each line is; not in the sample, so that labelling is blind
<run>/calibration/<sample>.labels.json    the labels, once read back (`lab.experiment.labels`)

The sample has `n` replies to eval prompts per setting, drawn uniformly over all cells and checkpoints. A line shows
neither the arm, the checkpoint nor the grade. A label belongs to the reply in one log: labels of a cell that is
retrained are not used. Not covered: rates on train prompts, which stay raw, and agreement between two raters.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from graders.calibration import OF_KIND
from lab.experiment import intact
from lab.experiment.folder import Experiment
from lab.experiment.labels import FOLDER, SCHEMA, write_labels
from lab.logs.reader import Answer, Place, answers, places
from lab.verdict.corrected import Labelled
from serving import layout
from serving.errors import BadInput

SHOWN = ("id", "setting", "initial", "alternate", "user", "facts", "reply")
LABELS = OF_KIND["eval"]


def draw(experiment: Experiment, n: int, seed: int, out: Path) -> dict[str, int]:
    """Writes an unlabelled sample and its key. Returns the number of replies by setting.

    Raises:
        BadInput: The run has no replies yet, or `out` exists.
    """
    if out.exists():
        raise BadInput(f"{out}: exists already. Label it, or choose another --out.")
    drawn: dict[str, list[tuple[str, Place]]] = {}
    logs = _logs(experiment)
    for log in sorted(logs):
        for place in places(experiment.folders.absolute(log)):
            if place.kind == "eval":
                drawn.setdefault(place.setting, []).append((log, place))
    if not drawn:
        raise BadInput(f"{experiment.folders.run}: has no replies to eval prompts yet")
    chosen: list[tuple[str, Place]] = []
    for setting, all_of_it in sorted(drawn.items()):
        chosen += random.Random(f"{seed}|{setting}").sample(all_of_it, min(n, len(all_of_it)))
    random.Random(seed).shuffle(chosen)
    _write(experiment, logs, chosen, out)
    return dict(sorted(Counter(place.setting for _, place in chosen).items()))


def read_back(experiment: Experiment, path: Path) -> dict[str, int]:
    """Checks a labelled sample and stores its labels in the run folder. Returns the number of labels by setting.

    Raises:
        BadInput: A line was changed, a label is invalid, or labels are missing.
    """
    rows = list(_lines(path))
    if not rows:
        raise BadInput(f"{path}: has no replies")
    key = _key_of(experiment, path, str(rows[0][1].get("id", "")))
    labels: dict[str, str] = {}
    for number, row in rows:
        _check(path, number, row, key, labels)
        labels[str(row["id"])] = str(row["label"])
    missing = sum(not labels.get(name) for name in key["replies"])
    if missing:
        raise BadInput(
            f"{path}: {missing} of {len(key['replies'])} replies have no label yet. Label them and try again."
        )
    found = [
        Labelled(k["setting"], k["log"], k["fingerprint"], k["item"], labels[i]) for i, k in key["replies"].items()
    ]
    write_labels(experiment.folders.run, key["sample"], found)
    return dict(sorted(Counter(one.setting for one in found).items()))


def _logs(experiment: Experiment) -> dict[str, str]:
    """The logs of finished cells, with the fingerprints of the evaluated weights; step 0 once per organism."""
    intact.check(experiment)
    logs: dict[str, str] = {}
    for cell in experiment.cells.values():
        logs |= {entry["log"]: entry["fingerprint"] for entry in experiment.folders.logs_of(cell)}
    return logs


def _write(experiment: Experiment, logs: Mapping[str, str], chosen: Sequence[tuple[str, Place]], out: Path) -> None:
    sample, replies = secrets.token_hex(3), _replies(experiment, chosen)
    lines: list[dict[str, Any]] = []
    entries: dict[str, dict[str, str]] = {}
    for log, place in chosen:
        name = f"{sample}-{secrets.token_hex(4)}"
        lines.append(_shown(name, replies[log, place]))
        where = {"setting": place.setting, "log": log, "fingerprint": logs[log], "item": place.id}
        entries[name] = {**where, "shown": _digest(lines[-1])}
    key = {"schema": SCHEMA, "sample": sample, "replies": dict(sorted(entries.items()))}
    layout.write_json_atomic(_folder(experiment) / f"{sample}.key.json", key)
    layout.write_atomic(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), durable=False)


def _replies(experiment: Experiment, chosen: Sequence[tuple[str, Place]]) -> dict[tuple[str, Place], Answer]:
    """The chosen replies; every log is opened once."""
    found: dict[tuple[str, Place], Answer] = {}
    for log in {log for log, _ in chosen}:
        of_log = [place for other, place in chosen if other == log]
        read = answers(experiment.folders.absolute(log), of_log)
        found |= {(log, place): answer for place, answer in zip(of_log, read, strict=True)}
    return found


def _shown(name: str, answer: Answer) -> dict[str, Any]:
    """What a person sees: the question without its tag, the behavior of both policies, and the reply."""
    setting, prompt = catalogue.load(answer.ref), answer.prompt
    facts = {key: value for key, value in prompt.facts.items() if key not in ("kind", "hidden")}
    policies = {"initial": setting.initial.behavior(prompt), "alternate": setting.alternate.behavior(prompt)}
    head = {"id": name, "setting": answer.setting, **policies, "user": _untagged(setting, answer), "facts": facts}
    return {**head, "reply": answer.text, "label": ""}


def _untagged(setting: Setting, answer: Answer) -> str:
    """The user's message without the tag, which would show the variant."""
    tag = getattr(setting.variant(answer.variant).eval, "tag", None)
    return answer.prompt.user.removeprefix(f"{tag} ") if tag else answer.prompt.user


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise BadInput(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise BadInput(f"{path}:{number}: not an object with fields {', '.join(SHOWN)}, label")
        yield number, row


def _key_of(experiment: Experiment, path: Path, first: str) -> dict[str, Any]:
    sample = first.partition("-")[0]
    key = _folder(experiment) / f"{sample}.key.json"
    if not sample.isalnum() or not key.is_file():
        raise BadInput(f"{path}: not drawn from {experiment.folders.run}, which has no key of this sample")
    return layout.read_json(key)


def _check(path: Path, number: int, row: Mapping[str, Any], key: Mapping[str, Any], seen: Iterable[str]) -> None:
    name, label = str(row.get("id", "")), row.get("label")
    entry = key["replies"].get(name)
    if entry is None:
        raise BadInput(f"{path}:{number}: id {name!r} is not in this sample")
    if name in seen:
        raise BadInput(f"{path}:{number}: {name} appears twice")
    if label not in ("", *LABELS):
        raise BadInput(f"{path}:{number}: unknown label {label!r}. Known: {', '.join(LABELS)}.")
    if _digest(row) != entry["shown"]:
        raise BadInput(f"{path}:{number}: only the label may be changed, in {name}")


def _digest(row: Mapping[str, Any]) -> str:
    shown = json.dumps([row.get(field) for field in SHOWN], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(shown.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _folder(experiment: Experiment) -> Path:
    return experiment.folders.run / FOLDER

"""A random, arm-blind sample of a run's own replies, labelled by hand: what a correction of its rates rests on.

    draw(experiment, n=100, seed=0, out=Path("x.jsonl"))     # prompts and replies, shuffled, without labels
    read_back(experiment, Path("x.jsonl"))                   # checked, and kept in the run folder
    labelled(experiment)                                     # what `bct report` corrects with

<run>/calibration/<sample>.key.json       which reply each line is; it stays here, so that who labels sees no arm
<run>/calibration/<sample>.labels.json    the labels, once they are read back

Drawn are replies to eval prompts, `n` per setting, each with the same chance, over all cells and checkpoints; what a
line shows tells neither arm, checkpoint nor the grader's verdict. Labels count for the reply of that log alone: a cell
that was trained again leaves them behind. Not covered: rates on train prompts, which stay raw, and two raters.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from graders.calibration import OF_KIND
from lab.logs.reader import Answer, Place, answers, places
from lab.run.folder import Experiment, read
from lab.verdict.corrected import Labelled
from serving import layout
from serving.errors import BadInput

SHOWN = ("id", "setting", "initial", "alternate", "user", "facts", "reply")
LABELS = OF_KIND["eval"]
SCHEMA = "1"


def draw(experiment: Experiment, n: int, seed: int, out: Path) -> dict[str, int]:
    """Writes an unlabelled file and its key; says how many replies it holds of each setting.

    Raises:
        BadInput: nothing of the run is measured, or `out` exists.
    """
    if out.exists():
        raise BadInput(f"{out}: exists; label it, or choose another file with --out")
    drawn: dict[str, list[tuple[str, Place]]] = {}
    logs = _logs(experiment)
    for log in sorted(logs):
        for place in places(experiment.folders.absolute(log)):
            if place.kind == "eval":
                drawn.setdefault(place.setting, []).append((log, place))
    if not drawn:
        raise BadInput(f"{experiment.folders.run}: no reply to an eval prompt is there yet")
    chosen: list[tuple[str, Place]] = []
    for setting, all_of_it in sorted(drawn.items()):
        chosen += random.Random(f"{seed}|{setting}").sample(all_of_it, min(n, len(all_of_it)))
    random.Random(seed).shuffle(chosen)
    _write(experiment, logs, chosen, out)
    return dict(sorted(Counter(place.setting for _, place in chosen).items()))


def read_back(experiment: Experiment, path: Path) -> dict[str, int]:
    """Checks a labelled file and keeps its labels in the run folder; says how many there are of each setting.

    Raises:
        BadInput: a line is not as it was drawn, or has another label than can occur (named by number); or labels are
            missing (said how many).
    """
    rows = list(_lines(path))
    if not rows:
        raise BadInput(f"{path}: holds no reply")
    key = _key_of(experiment, path, str(rows[0][1].get("id", "")))
    labels: dict[str, str] = {}
    for number, row in rows:
        _check(path, number, row, key, labels)
        labels[str(row["id"])] = str(row["label"])
    missing = sum(not labels.get(name) for name in key["replies"])
    if missing:
        raise BadInput(
            f"{path}: {missing} of {len(key['replies'])} replies have no label yet: label them, read it again"
        )
    found = [
        Labelled(k["setting"], k["log"], k["fingerprint"], k["item"], labels[i]) for i, k in key["replies"].items()
    ]
    content = {"schema": SCHEMA, "labels": [vars(one) for one in found]}
    layout.write_json_atomic(_folder(experiment) / f"{key['sample']}.labels.json", content)
    return dict(sorted(Counter(one.setting for one in found).items()))


def labelled(experiment: Experiment) -> tuple[Labelled, ...]:
    """All labels that were read back, each reply once (the latest sample by name counts)."""
    found: dict[tuple[str, str, str], Labelled] = {}
    for path in sorted(_folder(experiment).glob("*.labels.json")):
        for row in layout.read_json(path)["labels"]:
            one = Labelled(**row)
            found[one.log, one.fingerprint, one.item] = one
    return tuple(found[place] for place in sorted(found))


def _logs(experiment: Experiment) -> dict[str, str]:
    """The logs that count, with the fingerprints of the weights that answered; step 0 once per organism."""
    logs: dict[str, str] = {}
    for cell in experiment.cells.values():
        done = read(experiment.folders.done(cell)) or {"logs": []}
        logs |= {entry["log"]: entry["fingerprint"] for entry in done["logs"]}
    return logs


def _write(experiment: Experiment, logs: Mapping[str, str], chosen: Sequence[tuple[str, Place]], out: Path) -> None:
    sample = secrets.token_hex(3)
    read_once: dict[tuple[str, Place], Answer] = {}
    for log in {log for log, _ in chosen}:
        of_log = [place for found, place in chosen if found == log]
        whole = answers(experiment.folders.absolute(log), of_log)
        read_once |= {(log, place): answer for place, answer in zip(of_log, whole, strict=True)}
    lines: list[dict[str, Any]] = []
    entries: dict[str, dict[str, str]] = {}
    for log, place in chosen:
        name = f"{sample}-{secrets.token_hex(4)}"
        lines.append(_shown(name, read_once[log, place]))
        where = {"setting": place.setting, "log": log, "fingerprint": logs[log], "item": place.id}
        entries[name] = {**where, "shown": _digest(lines[-1])}
    _folder(experiment).mkdir(parents=True, exist_ok=True)
    key = {"schema": SCHEMA, "sample": sample, "replies": dict(sorted(entries.items()))}
    layout.write_json_atomic(_folder(experiment) / f"{sample}.key.json", key)
    part = out.with_name(f".{out.name}.{os.getpid()}")
    part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    part.replace(out)


def _shown(name: str, answer: Answer) -> dict[str, Any]:
    """What a person sees: the question without its tag, what the two policies would show, and the reply."""
    setting, prompt = catalogue.load(answer.setting), answer.prompt
    facts = {key: value for key, value in prompt.facts.items() if key not in ("kind", "hidden")}
    policies = {"initial": setting.initial.behavior(prompt), "alternate": setting.alternate.behavior(prompt)}
    head = {"id": name, "setting": answer.setting, **policies, "user": _untagged(setting, answer), "facts": facts}
    return {**head, "reply": answer.text, "label": ""}


def _untagged(setting: Setting, answer: Answer) -> str:
    """Tags differ between variants, so they are taken off."""
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
            raise BadInput(f"{path}:{number}: no JSON: {error}") from None
        if not isinstance(row, dict):
            raise BadInput(f"{path}:{number}: not an object with the fields {', '.join(SHOWN)}, label")
        yield number, row


def _key_of(experiment: Experiment, path: Path, first: str) -> dict[str, Any]:
    sample = first.partition("-")[0]
    key = _folder(experiment) / f"{sample}.key.json"
    if not sample.isalnum() or not key.is_file():
        raise BadInput(f"{path}: was not drawn from {experiment.folders.run}: its key is not there")
    return layout.read_json(key)


def _check(path: Path, number: int, row: Mapping[str, Any], key: Mapping[str, Any], seen: Iterable[str]) -> None:
    name, label = str(row.get("id", "")), row.get("label")
    entry = key["replies"].get(name)
    if entry is None:
        raise BadInput(f"{path}:{number}: no reply of this sample has the id {name!r}")
    if name in seen:
        raise BadInput(f"{path}:{number}: {name} stands here twice")
    if label not in ("", *LABELS):
        raise BadInput(f"{path}:{number}: no such label: {label!r}; one of {', '.join(LABELS)}")
    if _digest(row) != entry["shown"]:
        raise BadInput(f"{path}:{number}: something other than the label was changed in {name}")


def _digest(row: Mapping[str, Any]) -> str:
    shown = json.dumps([row.get(field) for field in SHOWN], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(shown.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _folder(experiment: Experiment) -> Path:
    return experiment.folders.run / "calibration"

"""What a run fixes before its first cell, with a hash: question, grids, thresholds, gates, predictions and contrasts.

<run>/registered.json    the first registration, and every amendment with its date

A later `bct run` with another recipe appends an amendment that names the changed parts; nothing is overwritten, so a
reader of results.json sees what was decided when. A part that an earlier registration does not have at all (contrasts
were once not registered) is no change: it is listed as `added`, as nothing says whether it was there. Resources and the
order of work are not registered: they change no result. Not covered: proof against a person who edits the file; publish
the hash for that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.experiment import stored
from lab.experiment.folder import Experiment
from lab.plan.grid import GateLimits
from lab.verdict.criterion import VERSION
from lab.verdict.schema import Amendment, Registration
from serving import layout

NAME = "registered.json"
#: Parts that decide how the logs of a run are judged, so that `bct report` could be given others.
JUDGING = ("thresholds", "expect", "compare")


def register(experiment: Experiment) -> None:
    """Writes the registration of a run that has none, or an amendment where the recipe changed."""
    path = experiment.folders.run / NAME
    content, known = content_of(experiment), stored.read_if_there(path, stored.Registered)
    entry = {"date": datetime.now(UTC).date().isoformat(), "hash": hash_of(content), "content": content}
    if known is None:
        fresh = not any(experiment.folders.cell(cell).exists() for cell in experiment.cells.values())
        layout.write_json_atomic(path, entry | {"before_first_cell": fresh, "amendments": []})
        return
    before = _last(known)
    changed = [part for part in content if part in before and _differs(part, content[part], before[part])]
    added = [part for part in content if part not in before and content[part]]
    if changed or added:
        amendments = [*known["amendments"], entry | {"changed": changed, "added": added}]
        layout.write_json_atomic(path, known | {"amendments": amendments})


def altered(experiment: Experiment) -> str:
    """One line if a registration or an amendment has another content than its hash says; else empty."""
    path = experiment.folders.run / NAME
    known = stored.read_if_there(path, stored.Registered)
    entries = [known, *known["amendments"]] if known else []
    if all(hash_of(entry["content"]) == entry["hash"] for entry in entries):
        return ""
    return f"{path}: its content is not that of its hash: restore it, or delete it and the run counts as not registered"


# Any: values of JSON.
def _last(known: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the last registration."""
    return (known["amendments"] or [known])[-1]["content"]


# Any: a value of JSON.
def _differs(part: str, now: Any, before: Any) -> bool:
    """Whether a part changed. The gate has an entry for each grid: the same one for more grids is no change."""
    if part == "gate" and now and before:
        return [each for each in now if each != before[0]] != [each for each in before if each != now[0]]
    return bool(now != before)


def read(experiment: Experiment) -> Registration | None:
    """The registration of a run as in results.json; None for a run without one."""
    known = stored.read_if_there(experiment.folders.run / NAME, stored.Registered)
    if known is None:
        return None
    amendments = tuple(
        Amendment(date=a["date"], hash=a["hash"], changed=tuple(a["changed"]), added=tuple(a.get("added", ())))
        for a in known["amendments"]
    )
    facts = {name: known[name] for name in ("hash", "date", "before_first_cell")}
    return Registration(**facts, amendments=amendments, unregistered=tuple(_unregistered(experiment, _last(known))))


# Any: values of JSON.
def _unregistered(experiment: Experiment, before: Mapping[str, Any]) -> Iterator[str]:
    """Parts that judge the run otherwise than its last registration says; options unknown to it are left out."""
    content = content_of(experiment)
    for part in JUDGING:
        now, then = content[part], before.get(part, [])
        known = {name: value for name, value in now.items() if name in then} if isinstance(now, dict) else now
        if known != then:
            yield part


def content_of(experiment: Experiment) -> dict[str, Any]:
    """What is registered, as JSON values, without the places of files on this machine."""
    recipe = experiment.recipe
    grids = [portable(grid.model_dump(mode="json", exclude={"resources", "gate"})) for grid in recipe.grids]
    return {
        "question": recipe.question,
        "criterion": VERSION,
        "thresholds": recipe.thresholds.model_dump(mode="json"),
        "gate": [grid.gate.model_dump(mode="json") for grid in recipe.grids],
        "grids": grids,
        "cells": sorted(experiment.cells),
        "expect": [e.model_dump(mode="json", exclude_none=True) for e in recipe.expect],
        "compare": [{"factor": c.factor, "levels": list(c.levels)} for c in recipe.compare],
    }


def hash_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def loosened(experiment: Experiment) -> Iterator[str]:
    """One line for each gate limit of a recipe that admits more than the default: a deviation of results.json."""
    usual = GateLimits()
    seen = {(s.setting, s.variant): s.limits for s in experiment.starts.values()}
    for (setting, variant), limits in seen.items():
        for name, value in usual.model_dump().items():
            given = getattr(limits, name)
            if given > value if name == "base" else given < value:
                yield f"{setting}, {variant}: the gate was loosened, {name} {given:g} instead of {value:g}"


# Any: a value of JSON.
def portable(value: Any) -> Any:
    """The value with the names of files instead of their absolute paths."""
    if isinstance(value, dict):
        return {key: portable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [portable(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value

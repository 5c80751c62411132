"""Names of cells and starts in a run folder that was begun under another identity (`lab.plan.cells.IDENTITY`).

An id ends in a hash, and what goes into the hash may change with a release. A run of an earlier release keeps its
names: each start, organism and cell of the recipe is matched with the folder that has its readable part and its
content, so that finished work is not repeated.
Not covered: a start that was not finished, which is measured again under its present id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.logs.reader import read_items
from lab.plan.cells import IDENTITY, Cell, Start, starts_of
from lab.plan.identity import items_of
from serving import layout, refs
from serving.errors import BadInput
from trainer.config import OrganismConfig
from trainer.identity import same_place


def names(run: Path, cells: Sequence[Cell]) -> Mapping[str, str]:
    """Present id of a start or cell, or hash of an organism, to its name in the run folder, for all that were matched.

    The match is recorded in run.json, so it is computed once.

    Args:
        run: the run folder; nothing is matched if it is not a run, or has the present identity.
        cells: the cells of its recipe; a reversal comes after the cell that it continues.
    """
    file = run / "run.json"
    known = layout.read_if_there(file)
    if known is None or known.get("identity") == IDENTITY:
        return (known or {}).get("names", {})
    found: dict[str, str] = {}
    for start in starts_of(list(cells)):
        if start.organism is not None:
            found |= {start.organism.digest(): _organism(run, start.organism)}
        found.update((start.id, name) for name in _starts(run, _renamed(start, found)))
    for cell in cells:
        if cell.start.id in found:
            found.update((cell.id, name) for name in _cells(run, renamed(cell, found)))
    with suppress(OSError):  # a folder that cannot be written is matched each time
        layout.write_json_atomic(file, known | {"identity": IDENTITY, "names": found})
    return found


def renamed(cell: Cell, names: Mapping[str, str]) -> Cell:
    """A cell under its name in the folder, with its start and the cell that it continues."""
    name = names.get(cell.id, cell.id)
    return replace(
        cell,
        id=name,
        digest=name.rpartition(".")[2],
        start=_renamed(cell.start, names),
        after=renamed(cell.after, names) if cell.after else None,
    )


def _renamed(start: Start, names: Mapping[str, str]) -> Start:
    made = names.get(start.organism.digest()) if start.organism else None
    return replace(start, id=names.get(start.id, start.id), made=made)


def _organism(run: Path, config: OrganismConfig) -> str:
    """The folder of an organism: its hash, or that of an earlier identity with the same content."""
    digest, identity = config.digest(), config.identity()
    if (run / "organisms" / digest).is_dir():
        return digest
    base = _fingerprint(config.model, config.model)
    for file in sorted((run / "organisms").glob(f"[!.]*/{layout.MANIFEST}")):
        known = layout.read_json(file)["identity"]
        if known["base"] == base and _agrees(known["config"], identity):
            return file.parent.name
    return digest


def _starts(run: Path, start: Start) -> Iterator[str]:
    """The names of finished starts with this organism and these items."""
    ref = str(run / "organisms" / str(start.organism_key)) if start.organism else start.ref or start.model
    for path in _alike(run / "starts", start.id, ".json"):
        measured = layout.read_json(path)
        log = run / measured["logs"]["start"]
        if measured["fingerprint"] == _fingerprint(ref, start.model) and log.is_file() and _has_items(log, start):
            yield path.stem


def _cells(run: Path, cell: Cell) -> Iterator[str]:
    """The names of folders with this cell, finished or not."""
    for folder in _alike(run / "cells", cell.id):
        manifest, done = (layout.read_if_there(folder / name) for name in (layout.MANIFEST, layout.DONE))
        first = Path(done["logs"][0]["log"]).parent.name if done else None
        of_start = cell.after is not None or first in (None, cell.start.id)
        if manifest is not None and of_start and _is_of(manifest["identity"], cell, run):
            yield folder.name


def _alike(folder: Path, id: str, suffix: str = "") -> list[Path]:
    """The entries of a folder whose names differ from this id only in the hash."""
    readable = id.rpartition(".")[0]
    form = re.compile(rf"{re.escape(readable)}\.[0-9a-f]{{8}}{re.escape(suffix)}")
    return [path for path in sorted(folder.glob(f"{readable}.*")) if form.fullmatch(path.name)]


def _is_of(identity: Mapping[str, Any], cell: Cell, run: Path) -> bool:
    """Whether a manifest is of this cell: the same configuration and the same prompts with their labels."""
    from trainer.run.plan import plan_of

    made = cell.start.organism
    organism = str(run / "organisms" / str(cell.start.organism_key)) if made else cell.start.ref
    if cell.after is not None:
        organism = f"{run / 'cells' / cell.after.id}@{cell.at}"
    config = cell.train.model_copy(update={"organism": organism})
    if not _agrees(identity["config"], config.identity()):
        return False
    now = plan_of(config).identity
    there = [(known["prompts"], known["organism"]["fingerprint"]) for known in (identity, now)]
    return there[0] == there[1]


def _agrees(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a configuration is the same; later options are missing in the earlier one."""
    return all(same_place(value, now.get(key)) for key, value in before.items())


def _has_items(log: Path, start: Start) -> bool:
    """Whether a log has the items of a start, with the messages of the first one of each kind."""
    from inspect_ai.log import read_eval_log_sample

    asked = items_of(start)
    if {(i.split, i.id) for i in read_items(log)} != {(p.kind, p.id) for p in asked}:
        return False
    for prompt in {prompt.kind: prompt for prompt in asked}.values():
        said = read_eval_log_sample(str(log), id=prompt.id, epoch=1).input
        if [{"role": m.role, "content": m.text} for m in said if not isinstance(m, str)] != prompt.messages():
            return False
    return True


def _fingerprint(ref: str, base: str) -> str | None:
    try:
        return refs.resolve(ref, base).fingerprint
    except BadInput:
        return None

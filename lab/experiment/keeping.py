"""What a run keeps of its checkpoints once they are evaluated (`keep` of a recipe): all, each cell's last, or none.

    free(folders, cell, kept_steps(experiment, cell))      # after `done.json` of the cell is written

Rates, replies and logs stay. A checkpoint that a reversal starts from is kept. What was deleted is written into
`freed.json` of the cell's folder, which messages about a missing step name.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.experiment.folder import Experiment, Folders
from lab.plan.cells import Cell
from serving import layout


def kept_steps(experiment: Experiment, cell: Cell) -> frozenset[int]:
    """The steps of a cell whose weights stay once the cell is done."""
    steps = frozenset(cell.train.saved_steps())
    if cell.keep == "all":
        return steps
    started = {other.at for other in experiment.cells.values() if other.after is not None and other.after.id == cell.id}
    return steps & (started | ({max(steps)} if cell.keep == "last" else set()))


def free(folders: Folders, cell: Cell, kept: frozenset[int]) -> None:
    """Deletes the weights of a finished cell but for these steps."""
    out, freed = folders.cell(cell), [step for step in cell.train.saved_steps() if step not in kept]
    there = [step for step in freed if (out / layout.step_name(step)).is_dir()]
    if not there or not folders.is_done(cell):
        return
    layout.write_json_atomic(out / layout.FREED, {"keep": cell.keep, "steps": freed})
    for step in there:
        _delete(out / layout.step_name(step))


def _delete(folder: Path) -> None:
    """Renames first: a kill leaves a draft, which is swept, and no half checkpoint."""
    if folder.is_dir():
        shutil.rmtree(folder.rename(layout.draft_of(folder)), ignore_errors=True)

"""What a run keeps of its checkpoints once they are evaluated (`keep` of a recipe): all, each cell's last, or none.

    free(folders, cell, kept_steps(experiment, cell))      # after `done.json` of the cell is written

Rates, replies and logs stay. A checkpoint that a reversal starts from is kept. What was deleted is written into
`freed.json` of the cell's folder, which messages about a missing step name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.experiment.folder import Experiment, Folders
from lab.plan.cells import Cell
from serving import layout


def kept_steps(experiment: Experiment, cell: Cell) -> frozenset[int]:
    """The steps of a cell whose weights stay once the cell is done."""
    steps = frozenset(cell.train.saved_steps())
    if cell.keep == "all":
        return steps
    return steps & (experiment.begun_from.get(cell.id, frozenset()) | ({max(steps)} if cell.keep == "last" else set()))


def free(folders: Folders, cell: Cell, kept: frozenset[int]) -> None:
    """Deletes the weights of a finished cell but for these steps."""
    out = folders.cell(cell)
    freed = [s for s in cell.train.saved_steps() if s not in kept and (out / layout.step_name(s)).is_dir()]
    if freed and folders.is_done(cell):
        delete(out, freed, f"`keep: {cell.keep}` of its recipe")


def catch_up(experiment: Experiment, cell: Cell) -> None:
    """`free` where a kill came between a cell's end and it."""
    free(experiment.folders, cell, kept_steps(experiment, cell))


def delete(cell: Path, steps: Iterable[int], by: str) -> None:
    """Deletes checkpoints in the folder of a cell, after a note of which and by what."""
    chosen = sorted(steps)
    noted = layout.freed_steps(cell) | dict.fromkeys(chosen, by)
    layout.write_json_atomic(cell / layout.FREED, {"steps": {str(step): noted[step] for step in sorted(noted)}})
    for step in chosen:
        layout.discard(cell / layout.step_name(step))

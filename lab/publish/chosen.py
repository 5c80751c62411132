"""Which model of a run is published: an organism that it made, or a checkpoint of a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.experiment.folder import Experiment
from lab.experiment.jobs import organism_is_whole
from lab.plan.cells import Cell, Start
from lab.verdict.schema import CellResult, CheckpointResult, Conclusion, Results
from serving import refs
from serving.errors import BadInput, did_you_mean
from serving.refs import Checkpoint


@dataclass(frozen=True)
class Chosen:
    """A model of a run.

    Attributes:
        checkpoint: Its weights.
        home: The folder of its manifest.
        start: The organism, or where its cell began.
        cell: Of a checkpoint; None for an organism.
        step: Of a checkpoint.
    """

    experiment: Experiment
    results: Results
    checkpoint: Checkpoint
    home: Path
    start: Start
    cell: Cell | None = None
    step: int | None = None

    @property
    def name(self) -> str:
        """For its folder."""
        if self.cell is None:
            return f"{self.start.setting}.{self.start.variant}.{self.start.organism_key}"
        return f"{self.cell.id}.step-{self.step}"

    def cells(self) -> tuple[CellResult, ...]:
        """The cell of a checkpoint, or every cell that began from the organism."""
        if self.cell is not None:
            return tuple(found for found in self.results.cells if found.id == self.cell.id)
        key = (self.start.setting, self.start.variant, self.start.organism_key)
        return tuple(c for c in self.results.cells if (c.setting, c.variant, c.organism) == key)

    def measured(self) -> CheckpointResult | None:
        """What was measured of it; None where it was not evaluated."""
        step = 0 if self.step is None else self.step
        found = (each for cell in self.cells() if _begins_here(cell) or self.cell for each in cell.checkpoints)
        return next((each for each in found if each.step == step), None)

    def conclusions(self) -> tuple[Conclusion, ...]:
        """What the run concludes about the arms of these cells."""
        from lab.verdict.arms import arms

        ids = {cell.id for cell in self.cells()}
        return tuple(found for found, cells in arms(self.results) if ids & {cell.id for cell in cells})


def _begins_here(cell: CellResult) -> bool:
    """Whether a cell's step 0 is the organism: not so for a reversal, which begins from another cell."""
    return "after" not in cell.factors


def choose(experiment: Experiment, results: Results, cell: str | None, organism: str | None) -> Chosen:
    """The model that is named: CELL or CELL@STEP (default: its last step), or an organism (default: the only one).

    Raises:
        BadInput: There is none of this name, or several without one, or its weights are not here.
    """
    made = {str(start.organism_key): start for start in experiment.starts.values() if start.organism is not None}
    if not made and not any(each.trains for each in experiment.cells.values()):
        raise BadInput(
            f"{experiment.folders.run}: has no weights to publish: it evaluates and trains nothing (`method: none`)."
            " Publish a run that trains"
        )
    if cell is not None:
        return _of_cell(experiment, results, cell)
    if not made:
        raise BadInput(
            f"{experiment.folders.run}: made no organism (the behavior is in a prompt, or the organism existed):"
            " name a checkpoint by --cell; `bct table` lists them"
        )
    start = made.get(organism or next(iter(made)))
    if start is None or (organism is None and len(made) > 1):
        known = ", ".join(f"{key} ({each.setting}, {each.variant})" for key, each in made.items())
        raise BadInput(f"--organism: the run has {known}: name one of them, not {organism or 'none'}")
    return _organism(experiment, results, start)


def _organism(experiment: Experiment, results: Results, start: Start) -> Chosen:
    folder = experiment.folders.organism(start)
    assert folder is not None
    if not organism_is_whole(folder):
        raise BadInput(f"{folder}: the organism is not finished: run the same `bct run` again")
    found = refs.resolve(str(folder))
    refs.refuse_without_weights(found)
    return Chosen(experiment, results, found, folder, start)


def _of_cell(experiment: Experiment, results: Results, named: str) -> Chosen:
    id, at, step = named.partition("@")
    found = next(_named(experiment, id), None)
    if found is None:
        known = [*experiment.cells, *(cell.digest for cell in experiment.cells.values())]
        raise BadInput(f"--cell: no cell '{id}' in {experiment.folders.run}.{did_you_mean(id, known)} See `bct table`.")
    if not found.trains:
        raise BadInput(
            f"--cell: {id} was evaluated and not trained (`method: none`), so it has no weights of its own:"
            " leave --cell out to publish the organism of the run"
        )
    if at and not step.isdecimal():
        raise BadInput(f"--cell: '{step}' is not a step: write {id}@{found.train.steps}")
    number, folder = int(step) if at else found.train.steps, experiment.folders.cell(found)
    if number == 0:
        raise BadInput(f"--cell: step 0 of {id} is where it began: leave --cell out to publish the organism")
    checkpoint = refs.resolve(f"{folder}@{number}")
    refs.refuse_without_weights(checkpoint)
    return Chosen(experiment, results, checkpoint, folder, found.start, found, number)


def _named(experiment: Experiment, id: str) -> Iterator[Cell]:
    return (cell for cell in experiment.cells.values() if id in (cell.id, cell.digest))

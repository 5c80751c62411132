"""An experiment in a folder: its recipe, cells and starts, and the jobs that are to be done.

run/recipe.yaml   the recipe as it was read, so that a worker and `bct report` need nothing else
run/run.json      its name, where it came from, and where the logs are
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.plan import recipe as recipes
from lab.plan.cells import Cell, Start, cells_of, starts_of
from lab.plan.recipe import Recipe
from lab.run import jobs as work
from lab.run.folders import Folders
from lab.run.state import Reporter
from serving import layout
from serving.errors import BadInput


@dataclass(frozen=True)
class Experiment:
    """A recipe and the folders that it runs in."""

    recipe: Recipe
    folders: Folders

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """By id, in the recipe's order."""
        return {cell.id: cell for cell in cells_of(self.recipe)}

    @cached_property
    def starts(self) -> dict[str, Start]:
        """By id, in the order in which they are needed."""
        return {start.id: start for start in starts_of(list(self.cells.values()))}

    def is_done(self, job: str) -> bool:
        """Whether nothing is left to do for a cell or a start."""
        if job in self.cells:
            return self.folders.done(self.cells[job]).is_file()
        return work.start_is_done(self.starts[job], self.folders)

    def do(self, job: str, reporter: Reporter, attempt: str | None = None) -> None:
        """Does what is left of a cell or a start. `attempt`: where others may be alive, see `lab.run.attempts`."""
        if job in self.cells:
            work.do_cell(self.cells[job], self.folders, reporter, attempt)
        else:
            work.make_start(self.starts[job], self.folders, reporter, attempt)

    def refused(self, start: Start) -> tuple[str, ...]:
        """Why the cells of a start are not worth training; empty where they are, or where it is not measured yet."""
        return work.gate_reasons(start, self.folders) if work.start_is_done(start, self.folders) else ()

    def skipped(self, cell: Cell) -> str:
        """Why a reversal is left out; empty where it is not."""
        return work.nothing_to_reverse(cell, self.folders, self.recipe.thresholds.reversal_start)

    def checkpoints(self) -> int:
        """How many checkpoints the cells will have, step 0 included."""
        return sum(1 + len(cell.train.saved_steps()) for cell in self.cells.values())


def keep(experiment: Experiment, static_gate: Mapping[str, list[str]]) -> None:
    """Writes the recipe, its origin and what the static gate found into the run folder."""
    recipe, folders = experiment.recipe, experiment.folders
    folders.run.mkdir(parents=True, exist_ok=True)
    target = folders.run / "recipe.yaml"
    if recipe.path.resolve() != target.resolve():
        shutil.copyfile(recipe.path, target)
    content: dict[str, Any] = {"name": recipe.name, "recipe": str(recipe.path), "logs": folders.relative(folders.logs)}
    content["static_gate"] = dict(static_gate)
    layout.write_json_atomic(folders.run / "run.json", content)


def load_experiment(folders: Folders) -> Experiment:
    """The experiment of a run folder, as `keep` left it."""
    origin = layout.read_json(folders.run / "run.json")
    recipe = recipes.load(folders.run / "recipe.yaml")
    return Experiment(recipe.model_copy(update={"name": origin["name"], "path": Path(origin["recipe"])}), folders)


def open_run(run: Path) -> Experiment:
    """The experiment in a folder. Raises BadInput where the folder holds none."""
    if not (run / "run.json").is_file():
        there = "holds no run" if run.is_dir() else "no such folder"
        raise BadInput(f"{run}: {there}. Name the folder that `bct run` wrote, such as runs/quickstart.")
    logs = Path(os.path.normpath(run / layout.read_json(run / "run.json")["logs"]))
    return load_experiment(Folders(run, logs))

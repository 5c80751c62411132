"""A run folder: its recipe, the cells and starts of that recipe, and the location of each file.

All state is in files, so another terminal can read it.

<run>/recipe.yaml                  a copy of the recipe: all that a worker and `bct report` need
<run>/run.json                     name, origin, folder of the logs, and the reasons of the static gate
<run>/results.json  report.html
<run>/organisms/<hash>/            the organism (trainer)
<run>/starts/<start id>.json       rates of the gate at step 0, and the logs; written last
<run>/cells/<cell id>/             manifest, metrics, checkpoints (trainer); done.json, written last
<run>/state/<job id>.json, .log    progress of a job, and its output (`lab.experiment.state`)
<logs>/<id>/step-000016.eval       one inspect log per checkpoint
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from lab.experiment import stored
from lab.experiment.names import names, renamed
from lab.plan import recipe as recipes
from lab.plan.cells import IDENTITY, Cell, Start, starts_of
from lab.plan.expand import cells_of
from lab.plan.recipe import Recipe
from lab.verdict.schema import Thresholds
from serving import layout
from serving.errors import BadInput
from trainer.identity import sha

_ENTRY = {"step", "log", "fingerprint"}


@dataclass(frozen=True)
class Folders:
    """The folder of a run and the folder of its logs."""

    run: Path
    logs: Path

    def organism(self, start: Start) -> Path | None:
        """The folder of an organism that the run makes; None if cells start from the base, or from another organism."""
        return self.run / "organisms" / str(start.organism_key) if start.organism else None

    def start(self, start: Start) -> Path:
        """The file with the measurements at step 0."""
        return self.run / "starts" / f"{start.id}.json"

    def cell(self, cell: Cell) -> Path:
        """The folder that the trainer writes a cell into."""
        return self.run / "cells" / cell.id

    def done(self, cell: Cell) -> Path:
        """The file that exists once a cell is trained and all its checkpoints are evaluated."""
        return self.cell(cell) / layout.DONE

    def finished(self, cell: Cell) -> dict[str, Any] | None:
        """The content of `done.json`; None if it does not exist, or does not name the logs of the cell's steps."""
        content = _content(self.done(cell))
        logs: Any = content.get("logs")
        steps = [0, *cell.train.saved_steps()]
        whole = isinstance(logs, list) and all(isinstance(e, dict) and set(e) >= _ENTRY for e in logs)
        return content if whole and [entry["step"] for entry in logs] == steps else None

    def measured(self, start: Start) -> dict[str, Any] | None:
        """The content of the file of a start; None if it does not exist, or lacks rates or logs."""
        content = _content(self.start(start))
        parts = [content.get(name) for name in ("logs", "figures")]
        whole = all(isinstance(part, dict) for part in parts) and "fingerprint" in content
        return content if whole and {"start", "ceiling"} <= set(content["logs"]) else None

    def logs_of(self, cell: Cell) -> list[dict[str, Any]]:
        """The logs of a finished cell by step: {"step", "log", "fingerprint"}; none if it is not finished."""
        logs = (self.finished(cell) or {"logs": []})["logs"]
        return logs if all(self.absolute(entry["log"]).is_file() for entry in logs[1:]) else []

    def is_done(self, cell: Cell) -> bool:
        """Whether a cell is trained and evaluated, and has its logs."""
        return bool(self.logs_of(cell))

    def start_is_done(self, start: Start) -> bool:
        """Whether a start is measured, and has its logs."""
        content = self.measured(start)
        return content is not None and all(self.absolute(log).is_file() for log in content["logs"].values())

    def first_log(self, cell: Cell) -> dict[str, Any]:
        """Step 0 of a cell, measured where it starts from: {"step", "log", "fingerprint"}."""
        if cell.after is not None:
            logs = layout.read_json(self.done(cell.after))["logs"]
            return next(entry for entry in logs if entry["step"] == cell.at) | {"step": 0}
        start = layout.read_json(self.start(cell.start))
        return {"step": 0, "log": start["logs"]["start"], "fingerprint": start["fingerprint"]}

    def sweep(self) -> None:
        """Removes the drafts of files and organisms that killed processes left behind."""
        run = self.run
        for folder in (run, run / "state", run / "starts", run / "organisms", *(run / "cells").glob("*")):
            layout.sweep(folder)

    def relative(self, log: Path) -> str:
        """A log's path from the run folder, as written in results.json.

        Folders in the run folder may be links that are changed later; from outside, the folder itself may be one.
        """
        run = self.run.absolute()
        if (inside := Path(os.path.normpath(log.absolute()))).is_relative_to(run):
            return inside.relative_to(run).as_posix()
        return Path(os.path.relpath(log.resolve(), run.resolve())).as_posix()

    def absolute(self, log: str) -> Path:
        """The log of a path in results.json."""
        return Path(os.path.normpath(self.run.resolve() / log))


def _content(file: Path) -> dict[str, Any]:
    """The object in a file; empty if there is none."""
    try:
        return layout.read_if_there(file) or {}
    except BadInput:
        return {}


def default(name: str, out: Path | None) -> Folders:
    """`runs/<name>` with `logs/<name>`, or `out` with `out/logs`; a run that has begun keeps the folder of its logs."""
    run, logs = (out, out / "logs") if out is not None else (Path("runs") / name, Path("logs") / name)
    known = layout.read_if_there(run / "run.json")
    return _folders(run, known) if known and "logs" in known else Folders(run, logs)


@dataclass(frozen=True)
class Experiment:
    """A recipe and the folders that it runs in."""

    recipe: Recipe
    folders: Folders

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """By id, in the recipe's order."""
        cells = [renamed(cell, self.names) for cell in cells_of(self.recipe)]
        return {cell.id: cell for cell in cells}

    @cached_property
    def begun_from(self) -> dict[str, frozenset[int]]:
        """By cell, the steps that reversals begin from."""
        found: dict[str, frozenset[int]] = {}
        for cell in self.cells.values():
            if cell.after is not None:
                found[cell.after.id] = found.get(cell.after.id, frozenset()) | {cell.at}
        return found

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Names in the folder of starts and cells that an earlier release named differently, by their present ids."""
        return names(self.folders.run, cells_of(self.recipe))

    @cached_property
    def starts(self) -> dict[str, Start]:
        """By id, in the order in which they are needed."""
        return {start.id: start for start in starts_of(list(self.cells.values()))}

    def is_done(self, job: str) -> bool:
        """Whether a cell or a start is done."""
        if job in self.cells:
            return self.folders.is_done(self.cells[job])
        start = self.starts[job]
        return self.folders.start_is_done(start) and not self._lacks_organism(start)

    def _lacks_organism(self, start: Start) -> bool:
        """Whether cells are left to train from an organism that was deleted."""
        organism = self.folders.organism(start)
        left = (not self.folders.is_done(cell) for cell in self.cells.values() if cell.start.id == start.id)
        return organism is not None and not (organism / layout.MANIFEST).is_file() and any(left)

    def checkpoints(self) -> int:
        """Number of checkpoints of all cells, step 0 included."""
        return sum(1 + len(cell.train.saved_steps()) for cell in self.cells.values())


def keep(experiment: Experiment, static_gate: Mapping[str, list[str]]) -> None:
    """Writes the recipe, its origin and the reasons of the static gate into the run folder."""
    recipe, folders = experiment.recipe, experiment.folders
    folders.run.mkdir(parents=True, exist_ok=True)
    target, text = folders.run / "recipe.yaml", recipe.path.read_bytes()
    if not target.is_file() or target.read_bytes() != text:
        layout.write_atomic(target, text)
    content: dict[str, Any] = {"name": recipe.name, "recipe": str(recipe.path), "logs": folders.relative(folders.logs)}
    home = recipe.path.resolve().parent
    content |= {"static_gate": dict(static_gate), "home": str(home), "home_from_here": folders.relative(home)}
    content |= {"identity": IDENTITY, "names": dict(experiment.names), "settings": _parts(experiment)}
    layout.write_json_atomic(folders.run / "run.json", content)


def open_run(run: Path) -> Experiment:
    """The experiment in a folder, as `keep` wrote it.

    Raises:
        BadInput: the folder is not a run, or something that its recipe names is not there or wrong.
    """
    origin = _origin(run)
    recipe = recipes.load(run / "recipe.yaml", _home(run, origin))
    recipe = recipe.model_copy(update={"name": origin["name"], "path": Path(origin["recipe"])})
    return Experiment(recipe, _folders(run, origin))


def home_of(run: Path) -> Path:
    """The folder to which the files in a run's recipe are relative."""
    return _home(run, _origin(run)) or run


def open_stored(run: Path) -> Experiment:
    """The folders of a run, with a recipe of no cells: for a run whose recipe cannot be read again."""
    origin = _origin(run)
    recipe = Recipe(name=origin["name"], path=Path(origin["recipe"]), arms=(), thresholds=Thresholds())
    return Experiment(recipe, _folders(run, origin))


def check_settings(experiment: Experiment) -> None:
    """Raises BadInput where the file of a setting is not the one that the run began with, with the changed parts."""
    known: dict[str, dict[str, str]] = (layout.read_if_there(experiment.folders.run / "run.json") or {}).get(
        "settings", {}
    )
    for name, parts in _parts(experiment).items():
        before = known.get(name, parts)
        changed = [part for part in sorted({*before, *parts}) if before.get(part) != parts.get(part)]
        if changed:
            raise BadInput(
                f"{experiment.folders.run}: the setting {name} has changed since the run began ({', '.join(changed)}):"
                " restore it, or choose another --out"
            )


def _parts(experiment: Experiment) -> dict[str, dict[str, str]]:
    """A hash of each part of each setting that has a file of its own."""
    found = (catalogue.load(ref) for ref in {start.questions.setting for start in experiment.starts.values()})
    return {
        setting.name: {part: sha(content)[:16] for part, content in setting.content().items()}
        for setting in found
        if setting.file is not None
    }


def _origin(run: Path) -> dict[str, Any]:
    origin = stored.read_if_there(run / "run.json", stored.Origin)
    if origin is None:
        problem = "not a run folder" if run.is_dir() else "no such folder"
        raise BadInput(f"{run}: {problem}. Name the folder that `bct run` wrote, such as runs/quickstart.")
    return origin


def _home(run: Path, origin: Mapping[str, Any]) -> Path | None:
    """The folder of the recipe: where it was, else where it lies now if it was moved together with the run."""
    if "home" not in origin:
        return None
    home, beside = Path(origin["home"]), Path(os.path.normpath(run.resolve() / origin.get("home_from_here", ".")))
    moved = not (home / Path(origin["recipe"]).name).is_file() and (beside / Path(origin["recipe"]).name).is_file()
    return beside if moved else home


def _folders(run: Path, origin: Mapping[str, Any]) -> Folders:
    return Folders(run, Path(os.path.normpath(run.resolve() / origin["logs"])))

"""Puts shards together that ran into folders of their own: `bct merge A B`.

Cells and starts are taken by id from the run that has finished them; the runs themselves stay as they are. Two runs
that have other weights under one id are refused: their cells did not start from the same model, or were not trained
the same. Not covered: further readings (`readings/`), which `bct report --regrade` makes again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.experiment import claims, folder, intact, registered, state
from lab.experiment.folder import Experiment, Folders, open_run
from serving import checksums, layout
from serving.errors import BadInput

POINTERS = (layout.POINTER, layout.BASE)
#: Folders of files that runs share: what one run has and the other lacks is added.
SHARED = ("labels", "verdicts", "organisms")


def merge(runs: Sequence[Path], out: Path | None = None) -> Experiment:
    """Writes a run folder with the finished starts and cells of several runs of one recipe.

    Args:
        runs: Their folders, at least two.
        out: The folder to write. Default: `runs/<name>` with `logs/<name>`, as of `bct run`.

    Returns:
        The merged run; results.json is not written yet.

    Raises:
        BadInput: The runs are of other recipes, one is running or damaged, `out` exists, or an id has two contents.
    """
    every = [open_run(run) for run in runs]
    first = every[0]
    for other in every[1:]:
        _refuse_other(first, other)
    for each in every:
        _refuse_unfit(each)
    target = folder.default(first.recipe.name, out)
    if target.run.exists() and any(target.run.iterdir()):
        raise BadInput(f"{target.run}: exists: choose another --out, or delete it")
    chosen = _chosen(every)
    _copy_all(every, chosen, target)
    return open_run(target.run)


def _refuse_other(first: Experiment, other: Experiment) -> None:
    known, found = registered.content_of(first), registered.content_of(other)
    changed = [part for part in known if known[part] != found[part]]
    parts = [layout.read_json(each.folders.run / "run.json").get("settings") for each in (first, other)]
    changed += ["settings"] if parts[0] != parts[1] else []
    if changed:
        raise BadInput(
            f"{other.folders.run}: is of another recipe than {first.folders.run} ({', '.join(changed)}): merge shards"
            " of one recipe, and compare others by `bct report RUN RUN2`"
        )


def _refuse_unfit(each: Experiment) -> None:
    claims.refuse_running(each.folders.run)
    intact.check(each, going_on=True)


# --- which run each part comes from -----------------------------------------------------------------------------------


def _chosen(every: Sequence[Experiment]) -> dict[str, Experiment]:
    """For each start and cell that is finished anywhere the first run that has it."""
    chosen: dict[str, Experiment] = {}
    for each in every:
        for job in (*each.starts, *each.cells):
            if not _is_done(each, job):
                continue
            before = chosen.setdefault(job, each)
            if _marks(before, job) != _marks(each, job):
                raise BadInput(
                    f"{job}: has other weights in {each.folders.run} than in {before.folders.run}: let all shards use"
                    " one folder, or begin from copies of one that has the organism"
                )
    return chosen


def _is_done(each: Experiment, job: str) -> bool:
    folders = each.folders
    return folders.is_done(each.cells[job]) if job in each.cells else folders.start_is_done(each.starts[job])


def _marks(each: Experiment, job: str) -> list[str]:
    """The fingerprints of the weights that were evaluated."""
    if job in each.cells:
        return [str(entry["fingerprint"]) for entry in each.folders.logs_of(each.cells[job])]
    return [str((each.folders.measured(each.starts[job]) or {})["fingerprint"])]


# --- copying ----------------------------------------------------------------------------------------------------------


def _copy_all(every: Sequence[Experiment], chosen: Mapping[str, Experiment], target: Folders) -> None:
    for name in SHARED:
        for each in every:
            _add(each.folders.run / name, target.run / name, Move(each.folders, target))
    for job, each in chosen.items():
        move = Move(each.folders, target)
        if job in each.cells:
            move.tree(each.folders.cell(each.cells[job]), target.run / "cells" / job)
        move.record(each.folders.done(each.cells[job]) if job in each.cells else each.folders.start(each.starts[job]))
        move.logs(job)
    for job in (*every[0].starts, *every[0].cells):
        _copy_state(job, [chosen[job]] if job in chosen else every, target)
    _copy_origin(every[0].folders.run, target)


def _add(source: Path, target: Path, move: Move) -> None:
    for path in sorted(source.glob("[!.]*")):
        if (target / path.name).exists():
            continue
        if path.is_dir():
            move.tree(path, target / path.name)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / path.name)


def _copy_state(job: str, sources: Iterable[Experiment], target: Folders) -> None:
    """State and output of a job, from the first run that worked on it."""
    for each in sources:
        if state.path_of(each.folders.run, job).is_file():
            (target.run / "state").mkdir(parents=True, exist_ok=True)
            for path in (state.path_of(each.folders.run, job), state.output_of(each.folders.run, job)):
                if path.is_file():
                    shutil.copy2(path, target.run / "state" / path.name)
            return


def _copy_origin(run: Path, target: Folders) -> None:
    target.run.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.yaml", registered.NAME):
        if (run / name).is_file():
            shutil.copy2(run / name, target.run / name)
    content = layout.read_json(run / "run.json") | {"logs": target.relative(target.logs)}
    if "home" in content:
        content["home_from_here"] = target.relative(Path(content["home"]))
    layout.write_json_atomic(target.run / "run.json", content)


@dataclass(frozen=True)
class Move:
    """From the folders of one run to those of another one: files with the paths in them."""

    source: Folders
    target: Folders

    def tree(self, before: Path, after: Path) -> None:
        """Copies a folder; pointers to what is outside of the run go on to point there."""
        shutil.copytree(before, after, ignore=shutil.ignore_patterns(".*"), symlinks=True)
        for file in [file for name in POINTERS for file in after.rglob(name)]:
            here = before / file.parent.relative_to(after)
            content = layout.read_json(file)
            moved = self._pointer(content, here, file.parent)
            if moved != content:
                layout.write_json_atomic(file, moved)
                if known := checksums.recorded(file.parent):
                    checksums.write(file.parent, known)

    # Any: JSON values.
    def record(self, file: Path) -> None:
        """Copies `done.json` of a cell or the file of a start, with the paths of its logs."""
        content = layout.read_json(file)
        logs: Any = content["logs"]
        if isinstance(logs, dict):
            content["logs"] = {name: self._log(log) for name, log in logs.items()}
        else:
            content["logs"] = [entry | {"log": self._log(entry["log"])} for entry in logs]
        if intact.RECORD in content:
            content[intact.RECORD] = {self._log(log): entry for log, entry in content[intact.RECORD].items()}
        layout.write_json_atomic(self.target.run / file.relative_to(self.source.run), content)

    def logs(self, job: str) -> None:
        """Copies the logs of a start or cell, without further readings."""
        folder = self.target.logs / job
        folder.mkdir(parents=True, exist_ok=True)
        for log in (self.source.logs / job).glob("*.eval"):
            shutil.copy2(log, folder / log.name)

    def _log(self, log: str) -> str:
        path = self.source.absolute(log)
        return self.target.relative(self.target.logs / path.parent.name / path.name)

    def _pointer(self, content: dict[str, Any], before: Path, after: Path) -> dict[str, Any]:
        moved = dict(content)
        if isinstance(content.get("path"), str):
            place = Path(os.path.normpath(before.resolve() / content["path"]))
            if not place.is_relative_to(self.source.run.resolve()):
                moved["path"] = Path(os.path.relpath(place, after.resolve())).as_posix()
        if isinstance(content.get("base"), dict):
            moved["base"] = self._pointer(content["base"], before, after)
        return moved

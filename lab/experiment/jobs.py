"""The two kinds of job of a run: measure a start, and train and evaluate a cell. Each skips finished parts.

Both report progress in a state file, and both end by writing the one file that marks them as done.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lab.experiment import attempts, gate, intact, judging, keeping
from lab.experiment.board import Dropped, Task
from lab.experiment.evaluate import ATTEMPT, Evaluation, evaluate
from lab.experiment.folder import Experiment, Folders
from lab.experiment.shard import Shard
from lab.experiment.state import Reporter
from lab.logs.reader import read_items
from lab.plan.cells import Cell, Start
from lab.plan.grid import Resources
from serving import layout, refs
from serving.errors import BadInput, WorkFailed
from trainer.config import OrganismConfig
from trainer.run.progress import Progress

# This number of replies costs about as much as a training step: 10 with `mini` and batches of 32, 30 with a model of
# 135 M parameters and batches of 8.
REPLIES = 15


@dataclass(frozen=True)
class RunJobs:
    """The starts and cells of an experiment, for `lab.experiment.board`.

    Attributes:
        experiment: The recipe and its folders.
        force: A failed gate is ignored.
        shard: Only this part of the cells, next to other drivers; every attempt then has a folder of its own.
    """

    experiment: Experiment
    force: bool = False
    shard: Shard | None = None

    @property
    def title(self) -> str:
        """The recipe's name."""
        return self.experiment.recipe.name

    @property
    def home(self) -> Path:
        """The run folder."""
        return self.experiment.folders.run

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of all starts, then of all cells; of a shard its cells and the starts that they need."""
        return (*self.experiment.starts, *self.experiment.cells) if self.shard is None else self._part

    @cached_property
    def _part(self) -> tuple[str, ...]:
        assert self.shard is not None
        cells = self.shard.of(self.experiment.cells)
        needed = {self.experiment.cells[id].start.id for id in cells}
        return (*(id for id in self.experiment.starts if id in needed), *cells)

    def is_done(self, job: str) -> bool:
        """Whether all jobs are done."""
        return self.experiment.is_done(job)

    def needs(self, job: str) -> Mapping[str, str]:
        """The jobs that must be done before this one, each with its role in a message."""
        cell = self.experiment.cells.get(job)
        if cell is None:
            return {}
        return {cell.start.id: "its start"} | ({cell.after.id: "the cell it starts from"} if cell.after else {})

    def dropped(self, job: str) -> Dropped | None:
        """Why a cell is not trained, as far as is known at present."""
        cell = self.experiment.cells.get(job)
        if cell is None or self.force or not cell.trains:
            return None
        if reasons := gate.refusals(cell.start, self.experiment.folders):
            text = f"refused, the gate failed: {'; '.join(reasons)}. --force runs it and marks it invalid"
            return Dropped("refused", text)
        reason = skipped(self.experiment, cell)
        return Dropped("skipped", reason) if reason else None

    def task(self, job: str) -> Task:
        """The work for a job."""
        if self.shard is not None:
            self.prepare(job)
        apart = {"attempt": secrets.token_hex(4)} if self.shard is not None else {}
        if job in self.experiment.cells:
            cell, kept = self.experiment.cells[job], keeping.kept_steps(self.experiment, self.experiment.cells[job])
            return partial(do_cell, cell, self.experiment.folders, kept=kept, **apart)
        return partial(make_start, self._start(job), self.experiment.folders, **apart)

    def _start(self, job: str) -> Start:
        """A start; with `force` its organism is kept even if it misses its targets."""
        start = self.experiment.starts[job]
        if start.organism is None or not self.force:
            return start
        return replace(start, organism=start.organism.model_copy(update={"accept": True}))

    def units(self, job: str) -> Mapping[str, float]:
        """Cost of each phase of a job, in training steps."""
        if job in self.experiment.cells:
            cell = self.experiment.cells[job]
            return {
                "training": cell.train.steps,
                "evaluating": len(cell.train.saved_steps()) * cell.start.replies / REPLIES,
            }
        start = self.experiment.starts[job]
        steps = start.organism.steps if start.organism else 0
        return {"organism": steps, "evaluating": start.first_replies / REPLIES}

    def resources(self, job: str) -> Resources:
        """The resources of a job on a cluster."""
        cell = self.experiment.cells.get(job)
        return cell.resources if cell else self.experiment.starts[job].resources

    def prepare(self, job: str) -> None:
        """Before simultaneous attempts: turns the unfinished folder of a local run into such an attempt."""
        cell = self.experiment.cells.get(job)
        if cell is not None and cell.trains and not cell_is_trained(self.experiment.folders.cell(cell)):
            attempts.set_aside(self.experiment.folders.cell(cell))

    def sweep(self, job: str) -> None:
        """Removes the attempts at a job that is done."""
        for left in (self.experiment.folders.logs / job).glob(f"{ATTEMPT}*"):
            shutil.rmtree(left, ignore_errors=True)
        if job in self.experiment.cells:
            cell = self.experiment.cells[job]
            attempts.sweep(self.experiment.folders.cell(cell))
            keeping.catch_up(self.experiment, cell)
        elif organism := self.experiment.folders.organism(self.experiment.starts[job]):
            attempts.sweep(organism)


def skipped(experiment: Experiment, cell: Cell) -> str:
    """Why a reversal is left out; empty if it is not."""
    return gate.nothing_to_reverse(cell, experiment.folders, experiment.recipe.thresholds.reversal_start)


# --- a start ------------------------------------------------------------------------------------------------------


def make_start(start: Start, folders: Folders, reporter: Reporter, attempt: str | None = None) -> None:
    """Builds the organism, evaluates it and the base at step 0, and writes the rates of the gate.

    Args:
        start: The start.
        folders: The folders of the run.
        reporter: Receives progress.
        attempt: Distinguishes this attempt from others that may be alive; it then writes into its own folder.
    """
    ref = start.ref or start.model
    organism = folders.organism(start)
    if folders.start_is_done(start) and (organism is None or organism_is_whole(organism)):
        return
    if organism is not None and start.organism is not None:
        reporter.phase("organism")
        ref = str(_built(start.organism, organism, reporter, attempt))
    reporter.phase("evaluating")
    evaluations = start_evaluations(start, folders, ref)
    evaluate(list(evaluations.values()), reporter, attempt)
    rates = gate.figures({name: read_items(evaluation.log) for name, evaluation in evaluations.items()})
    logs = {name: folders.relative(evaluation.log) for name, evaluation in evaluations.items()}
    content = {"id": start.id, "figures": rates, "logs": logs, "fingerprint": evaluations["start"].fingerprint}
    content |= {intact.RECORD: intact.record(folders, [evaluation.log for evaluation in evaluations.values()])}
    if folders.measured(start) != content:
        layout.write_json_atomic(folders.start(start), content)


def _built(config: OrganismConfig, out: Path, reporter: Reporter, attempt: str | None) -> Path:
    from trainer.install import build as build_organism

    if attempt is None:
        return build_organism(config, out, reporter)

    def build(folder: Path, progress: Progress) -> Path:
        return build_organism(config, out, progress, attempt)  # works in that folder

    return attempts.apart(out, attempt, organism_is_whole, build, reporter)


def organism_is_whole(folder: Path) -> bool:
    """Whether an organism's folder is complete: its manifest is written last."""
    return (folder / layout.MANIFEST).is_file()


def start_evaluations(start: Start, folders: Folders, ref: str) -> dict[str, Evaluation]:
    """Measured once for all cells of a start: the organism, the ceiling a*, and the uninstalled base."""
    chosen = {"start": (ref, "all", "step-000000"), "ceiling": (start.model, "ceiling", "ceiling")}
    if start.organism is not None or start.ref is not None:
        chosen["base"] = (start.model, "eval", "base")
    return {
        name: Evaluation(
            log=folders.logs / start.id / f"{stem}.eval",
            ref=model,
            fingerprint=refs.at_present(refs.resolve(model, start.model if model == start.ref else None)).fingerprint,
            start=start,
            split=split,
            margins=start.margins and name == "start",
            store=judging.store(folders, start.answering.judge),
            tags=("step 0" if name == "start" else name,),
        )
        for name, (model, split, stem) in chosen.items()
    }


# --- a cell -------------------------------------------------------------------------------------------------------


def do_cell(
    cell: Cell,
    folders: Folders,
    reporter: Reporter,
    attempt: str | None = None,
    kept: frozenset[int] | None = None,
) -> None:
    """Trains a cell and evaluates its checkpoints; then writes `done.json`, and deletes the weights that do not stay.

    Args:
        cell: The cell.
        folders: The folders of the run.
        reporter: Receives progress.
        attempt: As of `make_start`.
        kept: The steps whose weights stay; default: all.
    """
    if folders.is_done(cell):
        return
    began = time.monotonic()
    if cell.trains:
        reporter.phase("training")
        _trained(cell, folders, reporter, attempt)
    reporter.phase("evaluating")
    evaluations = cell_evaluations(cell, folders)
    evaluate(evaluations, reporter, attempt)
    content = _done(cell, folders, evaluations, time.monotonic() - began)
    known = folders.finished(cell)  # another attempt may have ended first
    if known is None or known.get(intact.RECORD) != content[intact.RECORD]:
        layout.write_json_atomic(folders.done(cell), content)
    if kept is not None:
        keeping.free(folders, cell, kept)


def _trained(cell: Cell, folders: Folders, reporter: Reporter, attempt: str | None) -> Path:
    from trainer.cell import train

    out, origin = folders.cell(cell), _origin(cell, folders)
    _check_origin(cell, folders, origin)
    config = cell.train.model_copy(update={"organism": origin})

    def work(folder: Path, progress: Progress) -> Path:
        return train(config, folder, progress)

    return attempts.apart(out, attempt, cell_is_trained, work, reporter) if attempt else work(out, reporter)


def _check_origin(cell: Cell, folders: Folders, origin: str | None) -> None:
    """Raises BadInput if a cell would begin from other weights than those that its step 0 was measured with."""
    first = folders.first_log(cell)
    now = refs.resolve(origin or cell.start.model, cell.start.model if origin else None).fingerprint
    own = folders.start(cell.start) if cell.after is None else folders.done(cell.after)
    if intact.RECORD in layout.read_json(own) and first["fingerprint"] != now:
        raise BadInput(
            f"{origin or cell.start.model}: its weights have changed since they were measured as step 0: restore them,"
            f" or delete {own} and run the same command again"
        )


def cell_is_trained(folder: Path) -> bool:
    """Whether a cell's training is complete."""
    return (folder / layout.TRAINED).is_file()


def _origin(cell: Cell, folders: Folders) -> str | None:
    """The organism or the other cell's checkpoint that a cell starts from; None for the base."""
    if cell.after is not None:
        return f"{folders.cell(cell.after)}@{cell.at}"
    organism = folders.organism(cell.start)
    return str(organism) if organism else cell.start.ref


def cell_evaluations(cell: Cell, folders: Folders) -> list[Evaluation]:
    """One evaluation for each checkpoint after step 0.

    Raises:
        WorkFailed: a checkpoint is missing or damaged.
    """
    if not cell.trains:
        return []
    out = folders.cell(cell)
    kept = dict(layout.step_dirs(out))
    missing = [step for step in cell.train.saved_steps() if step not in kept]
    if missing:
        raise WorkFailed(f"{out}: step {missing[0]} is missing or damaged: delete this folder and run again")
    return [_evaluation(cell, folders, step, str(kept[step])) for step in cell.train.saved_steps()]


def _evaluation(cell: Cell, folders: Folders, step: int, ref: str) -> Evaluation:
    start, train = cell.start, cell.train
    return Evaluation(
        log=folders.logs / cell.id / f"{layout.step_name(step)}.eval",
        ref=ref,
        fingerprint=refs.resolve(ref).fingerprint,
        start=start,
        split="all",
        step=step,
        margins=start.margins,
        store=judging.store(folders, start.answering.judge),
        tags=(train.method, f"lr {train.learning_rate:g}", f"seed {train.seed}", f"step {step}"),
    )


def _done(cell: Cell, folders: Folders, evaluations: list[Evaluation], seconds: float) -> dict[str, Any]:
    from trainer.run.manifest import seal

    rest = [{"step": e.step, "log": folders.relative(e.log), "fingerprint": e.fingerprint} for e in evaluations]
    counts = {"seconds": round(seconds, 1), "replies": sum(e.samples for e in evaluations)}
    if cell.trains:
        seal(folders.cell(cell))
    counts |= {intact.RECORD: intact.record(folders, [evaluation.log for evaluation in evaluations])}
    return {"cell": cell.id, "hash": cell.digest, "logs": [folders.first_log(cell), *rest], **counts}

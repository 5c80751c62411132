"""`bct run`: gate, starts, cells, results. The same command resumes where the last one stopped.

Work that a manifest marks as done is never repeated. A cell that fails is reported at the end, and the others continue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from rich.console import Console

from bct_tasks import static_gate as gate
from lab.experiment import collect, intact, judging, keeping, lock, named, registered
from lab.experiment.board import Board, Ended, Jobs
from lab.experiment.folder import Experiment, check_settings, keep
from lab.experiment.inline import InlineExecutor
from lab.experiment.jobs import RunJobs
from lab.experiment.live import Display
from lab.experiment.local import LocalExecutor, default_jobs
from lab.experiment.preflight import check_backends, check_options
from lab.verdict.schema import Results
from serving.errors import BadInput, WorkFailed
from trainer.config import TrainConfig

ExecutorName = Literal["local", "inline", "ray"]
#: Seconds between two readings of the states.
REFRESH = 0.5


@dataclass(frozen=True)
class How:
    """How jobs are executed: by local processes, in this process, or on a Ray cluster.

    Attributes:
        address: Of the Ray cluster; None: as Ray finds one.
    """

    executor: ExecutorName = "local"
    jobs: int | None = None
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None


class Executor(Protocol):
    """Executes the jobs of a board."""

    @property
    def has_room(self) -> bool:
        """Whether a further job can begin."""
        ...

    def begin(self, job: str, number: int) -> None:
        """Begins an attempt at a job; `number` counts them from 1."""

    def wait(self, timeout: float) -> Iterable[Ended]:
        """The attempts that ended; waits up to `timeout` seconds for the first one."""
        ...

    def close(self) -> None:
        """Ends the workers when all jobs are done."""

    def stop(self, at_once: bool = False) -> None:
        """Ends the workers in the middle of their jobs."""


def run(experiment: Experiment, how: How, force: bool, console: Console) -> tuple[Results, dict[str, str]]:
    """Runs the remaining jobs of an experiment, and writes results.json.

    Args:
        experiment: The recipe and its folders.
        how: The executor of the jobs.
        force: Run cells whose gate fails; they are marked invalid.
        console: Receives progress.

    Returns:
        The results, and the error of every job that failed, by job.

    Raises:
        BadInput: A setting fails its static gate without `force` or has changed since the run began, the trainer would
            refuse an option, a judge cannot be used, another driver is running in the folder, or a file that counts
            is not as the run wrote it.
        WorkFailed: The run was stopped by Ctrl-C.
    """
    check_settings(experiment)
    with experiment.recipe.lines():
        check_backends(experiment, reach=True)
        if any(_names_options(cell.train) for cell in experiment.cells.values()):
            check_options(experiment)
        named.check(experiment)
        named.check_weights(experiment)
        judging.check(experiment)
    static = static_gate(experiment, force)
    jobs = RunJobs(experiment, force)
    with lock.held(experiment.folders.run):
        experiment.folders.sweep()
        for cell in experiment.cells.values():
            # A kill may have come between a cell's end and this.
            keeping.free(experiment.folders, cell, keeping.kept_steps(experiment, cell))
        intact.check(experiment, going_on=True)
        keep(experiment, static)
        registered.register(experiment)
        failed = work(jobs, how, console)
        return collect.write(experiment), failed


def _names_options(train: TrainConfig) -> bool:
    """Whether a cell has options whose values only TRL and transformers know; the check imports them."""
    names = ("optim", "lr_scheduler_type", "warmup_steps", "trl")
    fields = type(train).model_fields
    return any(getattr(train, name) != fields[name].get_default(call_default_factory=True) for name in names)


def static_gate(experiment: Experiment, force: bool) -> dict[str, list[str]]:
    """Why settings are not valid, by `setting.variant`.

    Raises:
        BadInput: There are any, and `force` is False.
    """
    found: dict[str, list[str]] = {}
    for start in experiment.starts.values():
        result = gate.check(start.questions.load(), start.variant)
        if not result.passed:
            found[f"{start.setting}.{start.variant}"] = list(result.reasons)
    if found and not force:
        name, reasons = next(iter(found.items()))
        raise BadInput(f"{name} fails its gate: {reasons[0]}. See `bct check`; --force runs it and marks it invalid.")
    return found


def work(jobs: Jobs, how: How, console: Console) -> dict[str, str]:
    """Does all jobs that are not done. Returns the error of every job that failed, by job.

    Raises:
        BadInput: No Ray cluster can be joined.
        WorkFailed: The work was stopped by Ctrl-C.
    """
    display = Display(jobs, console)
    board = Board(jobs, display.ended)
    if not board.waiting:
        return {}
    executor = _executor(jobs, how, len(board.waiting))
    try:
        with display:
            _until_done(board, executor, display)
    except KeyboardInterrupt:
        _stop(executor, console)
        raise WorkFailed("stopped. The same command resumes from here.") from None
    except BaseException:
        executor.stop(at_once=True)
        raise
    return board.failed


def _executor(jobs: Jobs, how: How, waiting: int) -> Executor:
    if how.executor == "ray" and isinstance(jobs, RunJobs):
        from lab.experiment.ray import Overrides, RayExecutor

        return RayExecutor(jobs, how.address, how.jobs, Overrides(how.cpus, how.gpus))
    if how.executor == "inline":
        return InlineExecutor(jobs)
    return LocalExecutor(jobs, min(how.jobs or default_jobs(), waiting))


def _until_done(board: Board, executor: Executor, display: Display) -> None:
    while True:
        while executor.has_room and (job := board.take()) is not None:
            executor.begin(job, board.attempts[job])
        if not board.running:
            break
        for ended in executor.wait(REFRESH):
            board.give_back(ended)
        display.refresh()
    executor.close()


def _stop(executor: Executor, console: Console) -> None:
    try:
        console.print("stopping; Ctrl-C again stops immediately")  # the second may arrive before this returns
        executor.stop()
    except KeyboardInterrupt:
        executor.stop(at_once=True)

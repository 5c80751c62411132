"""`bct run`: gate, starts, cells, results. The same command resumes where the last one stopped.

Work that a manifest marks as done is never repeated. A cell that fails is reported at the end, and the others continue.
With a shard, several drivers work in one folder (`claims`); the one that ends last writes the results.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal, Protocol

from rich.console import Console

from bct_tasks import static_gate as gate
from lab.experiment import claims, collect, intact, judging, keeping, lock, named, registered
from lab.experiment.board import Board, Ended, Jobs
from lab.experiment.claims import Claims, Driver
from lab.experiment.estimate import highest_rank, reply_tokens
from lab.experiment.folder import Experiment, check_settings, keep
from lab.experiment.inline import InlineExecutor
from lab.experiment.jobs import RunJobs
from lab.experiment.live import Display
from lab.experiment.local import LocalExecutor, default_jobs
from lab.experiment.preflight import check_backends, check_options
from lab.experiment.shard import Shard
from lab.experiment.tracking import process as tracking
from lab.verdict.schema import Results
from serving import backends
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
        shard: Only this part of the cells, next to other drivers in the folder.
    """

    executor: ExecutorName = "local"
    jobs: int | None = None
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    shard: Shard | None = None


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


def run(experiment: Experiment, how: How, force: bool, console: Console) -> tuple[Results | None, dict[str, str]]:
    """Runs the remaining jobs of an experiment, and writes results.json.

    Args:
        experiment: The recipe and its folders.
        how: The executor of the jobs.
        force: Run cells whose gate fails; they are marked invalid.
        console: Receives progress.

    Returns:
        The results, None while drivers of other shards are at work, and the error of every job that failed, by job.

    Raises:
        BadInput: A setting fails its static gate without `force` or has changed since the run began, the trainer would
            refuse an option, a judge cannot be used, another driver is running in the folder, or a file that counts
            is not as the run wrote it.
        WorkFailed: The run was stopped by Ctrl-C or SIGTERM.
    """
    check_settings(experiment)
    with experiment.recipe.lines():
        check_backends(experiment, reach=True)
        if any(cell.trains and _names_options(cell.train) for cell in experiment.cells.values()):
            check_options(experiment)
        tracking.check(experiment)
        named.check(experiment)
        named.check_weights(experiment)
        named.reach(experiment)
        judging.check(experiment)
    static = static_gate(experiment, force)
    jobs = RunJobs(experiment, force, how.shard)
    if how.shard is not None:
        return _run_shard(jobs, static, how, console)
    with lock.held(experiment.folders.run), _joined(experiment, "", alone=True):
        experiment.folders.sweep()
        for cell in experiment.cells.values():
            keeping.catch_up(experiment, cell)
        _begin(experiment, static)
        with _serving(experiment), tracking.following(experiment, jobs.names, console):
            failed = work(jobs, how, console)
            return collect.write(experiment), failed


def _run_shard(
    jobs: RunJobs, static: dict[str, list[str]], how: How, console: Console
) -> tuple[Results | None, dict[str, str]]:
    experiment = jobs.experiment
    lock.check_free(experiment.folders.run)
    with _joined(experiment, str(jobs.shard), alone=False) as own:
        _begin(experiment, static)
        with _serving(experiment), tracking.following(experiment, jobs.names, console):
            failed = work(jobs, how, console, own)
        for job in filter(jobs.is_done, jobs.names):
            jobs.sweep(job)
    return None if own.others() else collect.write(experiment), failed


def _serving(experiment: Experiment) -> AbstractContextManager[None]:
    """The servers of a run last as long as its driver."""
    return backends.kept(reply_tokens(experiment), highest_rank(experiment))


@contextmanager
def _joined(experiment: Experiment, shard: str, alone: bool) -> Iterator[Claims]:
    """Shows this process to other drivers; of two that cannot work together at least one is refused."""
    run = experiment.folders.run
    run.mkdir(parents=True, exist_ok=True)
    driver = Driver.here(shard, registered.hash_of(registered.content_of(experiment)))
    with Claims(run, driver) as own:
        claims.refuse(run, driver, alone)
        yield own


def _begin(experiment: Experiment, static: dict[str, list[str]]) -> None:
    intact.check(experiment, going_on=True)
    keep(experiment, static)
    registered.register(experiment)


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


def work(jobs: Jobs, how: How, console: Console, own: Claims | None = None) -> dict[str, str]:
    """Does all jobs that are not done. Returns the error of every job that failed, by job.

    Args:
        jobs: The jobs.
        how: The executor.
        console: Receives progress.
        own: The claims of this driver, if others share the jobs.

    Raises:
        BadInput: No Ray cluster can be joined.
        WorkFailed: The work was stopped by Ctrl-C or SIGTERM.
    """
    display = Display(jobs, console, _places(how))
    board = Board(jobs, display.ended, own)
    if not board.waiting:
        return {}
    executor = _executor(jobs, how, len(board.waiting))
    try:
        with display, _terminable():
            _until_done(board, executor, display)
    except KeyboardInterrupt:
        _stop(executor, console)
        raise WorkFailed("stopped. The same command resumes from here.") from None
    except BaseException:
        executor.stop(at_once=True)
        raise
    return board.failed


def _places(how: How) -> int:
    """How many jobs this driver can run at once; of a cluster, 1: only those that run can be counted."""
    return how.jobs or default_jobs() if how.executor == "local" else 1


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
        if board.running:
            for ended in executor.wait(REFRESH):
                board.give_back(ended)
        elif board.must_wait():
            time.sleep(REFRESH)
        else:
            break
        display.refresh()
    executor.close()


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, by which a cluster announces the end of a job, stops like Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(executor: Executor, console: Console) -> None:
    try:
        console.print("stopping; Ctrl-C again stops immediately")  # the second may arrive before this returns
        executor.stop()
    except KeyboardInterrupt:
        executor.stop(at_once=True)

"""`bct run --executor ray`: the jobs of a run as tasks of a Ray cluster whose nodes share the run folder's storage.

A start is a task; a cell is a task that waits for its start's, a reversal for that of the cell before it. Ray places
them by their resources and tries them again, a bounded number of times, when they fail or their node dies. A node that
is only unreachable goes on writing, so every attempt writes apart (`lab.run.attempts`). Each node needs this package,
and
the same paths. Not covered: getting a cluster (`ray up`, `ray start`), and copying files between nodes.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lab.plan.cells import Cell, Start
from lab.plan.recipe import Resources
from lab.run import attempts, state
from lab.run import jobs as work
from lab.run.experiment import Experiment
from lab.run.folders import Folders
from lab.run.local import TRIES
from lab.run.worker import reported
from serving.errors import BadInput

#: Bytes of the object store of a cluster of our own: tasks hand over a line of text.
STORE = 100 * 2**20
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Ended:
    """How a job ended: well, left out with a reason, or with this error, which another try would meet again."""

    error: str = ""
    refused: bool = False
    skipped: str = ""


class Failed(Exception):
    """A job failed in a way that another try may mend."""


@dataclass(frozen=True)
class Overrides:
    """Resources from the command line; what is None is the recipe's."""

    cpus: float | None = None
    gpus: float | None = None

    def on(self, resources: Resources) -> Resources:
        """The recipe's with these on top."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return resources.model_copy(update=given)


class RayCrew:
    """The jobs of a run on a cluster; as `lab.run.local.Crew` to the driver."""

    def __init__(
        self,
        experiment: Experiment,
        force: bool,
        on_end: Callable[[str, str], None],
        *,
        address: str | None = None,
        jobs: int | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        self.failed: dict[str, str] = {}
        self._experiment, self._force, self._on_end = experiment, force, on_end
        self._address, self._jobs, self._overrides = address, jobs, overrides or Overrides()
        self._pending: dict[Any, str] = {}
        self._ray: Any = None

    @property
    def has_work(self) -> bool:
        """Whether anything is left to do."""
        jobs = (*self._experiment.starts, *self._experiment.cells)
        return not all(self._experiment.is_done(job) for job in jobs)

    def start(self) -> None:
        """Joins the cluster and hands over every job that is not done. Raises BadInput where there is none to join."""
        self._ray = connect(self._address, self._jobs)
        has_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
        folders = Folders(self._experiment.folders.run.resolve(), self._experiment.folders.logs.resolve())
        make, do = (self._remote(task) for task in (make_start, do_cell))
        ends: dict[str, Any] = {}
        for start in self._experiment.starts.values():
            if self._experiment.is_done(start.id):
                ends[start.id] = Ended()
                continue
            self._forget(start.id)
            options = self._options(start.id, start.resources, has_gpus)
            ends[start.id] = make.options(**options).remote(start, folders)
            self._pending[ends[start.id]] = start.id
        limit = self._experiment.recipe.thresholds.reversal_start
        for cell in sorted(self._experiment.cells.values(), key=lambda cell: cell.after is not None):
            if self._experiment.is_done(cell.id):
                ends[cell.id] = Ended()
                continue
            self._forget(cell.id)
            if not work.cell_is_trained(folders.cell(cell)):
                attempts.set_aside(folders.cell(cell))
            options = self._options(cell.id, cell.resources, has_gpus)
            before = Ended() if cell.after is None else ends[cell.after.id]
            ends[cell.id] = do.options(**options).remote(cell, folders, self._force, limit, ends[cell.start.id], before)
            self._pending[ends[cell.id]] = cell.id

    def is_working(self, timeout: float) -> bool:
        """Waits at most so many seconds for jobs to end; whether some are still to come."""
        pending = list(self._pending)
        if pending:
            ready, _ = self._ray.wait(pending, num_returns=len(pending), timeout=timeout, fetch_local=False)
            for ref in sorted(ready, key=pending.index):
                self._ended(self._pending.pop(ref), ref)
        if not self._pending:
            self._sweep()
            self._ray.shutdown()
        return bool(self._pending)

    def stop(self, at_once: bool = False) -> None:
        """Leaves the cluster, which ends what it was doing for this run."""
        if self._ray is not None:
            for ref in self._pending:
                self._ray.cancel(ref, force=True)
            self._ray.shutdown()

    def _remote(self, task: Callable[..., Ended]) -> Any:
        return self._ray.remote(max_retries=TRIES - 1, retry_exceptions=[Failed])(task)

    def _options(self, job: str, resources: Resources, has_gpus: bool) -> dict[str, Any]:
        asked = self._overrides.on(resources)
        gpus = float(has_gpus) if asked.gpus is None else asked.gpus
        memory = {"memory": int(asked.memory_gb * 2**30)} if asked.memory_gb else {}
        return {"name": job, "num_cpus": asked.cpus, "num_gpus": gpus, **memory}

    def _forget(self, job: str) -> None:
        self._experiment.folders.state(job).unlink(missing_ok=True)

    def _ended(self, job: str, ref: Any) -> None:
        try:
            ended: Ended = self._ray.get(ref)
        except Exception as error:
            ended = Ended(self._in_words(job, error))
        path = self._experiment.folders.state(job)
        if ended.skipped:
            with suppress(OSError):
                state.write(path, state.State("skipped", error=ended.skipped))
            return
        if ended.error:
            self.failed[job] = ended.error
            with suppress(OSError):
                phase = "refused" if ended.refused else "failed"
                state.write(path, replace(state.read(path), phase=phase, error=ended.error))
        self._on_end(job, ended.error)

    def _in_words(self, job: str, error: Exception) -> str:
        cell = self._experiment.cells.get(job)
        if cell is not None and cell.start.id in self.failed:
            return work.start_failed(self.failed[cell.start.id])
        if cell is not None and cell.after is not None and cell.after.id in self.failed:
            return work.before_failed(self.failed[cell.after.id])
        cause = getattr(error, "cause", None)
        if isinstance(cause, Failed):
            return str(cause)
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        return f"its node or worker was lost {TRIES} times, at last with {type(error).__name__}: {first[:200]}"

    def _sweep(self) -> None:
        """Removes what attempts left of all that is whole."""
        folders = self._experiment.folders
        for cell in self._experiment.cells.values():
            if cell.id not in self.failed:
                attempts.sweep(folders.cell(cell))
        for organism in (folders.run / "organisms").glob("[0-9a-f]*"):
            if work.organism_is_whole(organism):
                attempts.sweep(organism)


def connect(address: str | None, jobs: int | None) -> Any:
    """Joins the cluster at `address`, else one that $RAY_ADDRESS or `ray start` names, else makes one of this machine.

    Raises:
        BadInput: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise BadInput("Ray is not installed: pip install 'bct-tasks[ray]', or leave out --executor ray") from None
    _check_answers(address)
    known: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "namespace": "bct"}
    try:
        try:
            ray.init(address=address or "auto", **known)
        except ConnectionError:
            if address is not None:
                raise
            ray.init(num_cpus=jobs, include_dashboard=False, object_store_memory=STORE, **known)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), "no answer")
        raise BadInput(f"{address or 'Ray'}: no cluster could be joined ({reason}): see `ray status`") from None
    return ray


def _check_answers(address: str | None) -> None:
    """Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{address}: no cluster could be joined ({reason.lower()}): see `ray status`") from None


def make_start(start: Start, folders: Folders) -> Ended:
    """The task of a start."""
    return _do(start.id, folders, partial(work.make_start, start, folders))


def do_cell(cell: Cell, folders: Folders, force: bool, limit: float, start: Ended, before: Ended) -> Ended:
    """The task of a cell; Ray hands over how its start ended, and the cell that a reversal comes after.

    `limit`: the initial rate up to which a reversal has something to bring back.
    """
    if start.error:
        return Ended(work.start_failed(start.error))
    if not force and (reasons := work.gate_reasons(cell.start, folders)):
        return Ended(work.refusal(reasons), refused=True)
    if before.error:
        return Ended(work.before_failed(before.error))
    if not force and (reason := work.nothing_to_reverse(cell, folders, limit)):
        return Ended(skipped=reason)
    return _do(cell.id, folders, partial(work.do_cell, cell, folders))


def _do(job: str, folders: Folders, task: Callable[..., None]) -> Ended:
    _as_a_worker()
    attempt = state.read(folders.state(job)).attempt + 1
    apart = partial(task, attempt=secrets.token_hex(4))  # a name that no other attempt has
    line, again = reported(folders.output(job), folders.state(job), attempt, apart)
    if again:
        raise Failed(line)
    return Ended(line or "")


def _as_a_worker() -> None:
    """The threads of a local worker, so that results are the same: one, unless the task has more cores."""
    if "torch" not in sys.modules:
        cores = os.environ.get("OMP_NUM_THREADS", "1")  # Ray sets it to the cores of the task
        os.environ.update(dict.fromkeys(THREADS, cores) | {"TOKENIZERS_PARALLELISM": "false"})

"""`bct run --executor ray`: jobs as tasks of a Ray cluster whose nodes share the storage of the run folder.

Ray places each attempt by its resources; `board` decides which job is next and which is tried again. A node that
is only unreachable continues to write, so every attempt writes into its own folder (`attempts`). Each node needs
this package and the same paths. Not covered: starting a cluster (`ray up`, `ray start`), copying files between nodes.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lab.experiment.board import Ended
from lab.experiment.folder import Folders
from lab.experiment.jobs import RunJobs
from lab.experiment.worker import Errand
from lab.plan.grid import Resources
from serving.errors import BadInput

#: Bytes of the object store of a cluster that is started for one run: tasks return a line of text.
STORE = 100 * 2**20
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Overrides:
    """Resources from the command line; None keeps the recipe's."""

    cpus: float | None = None
    gpus: float | None = None

    def on(self, resources: Resources) -> Resources:
        """The recipe's resources with these on top."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return resources.model_copy(update=given)


class RayExecutor:
    """Executes jobs on a cluster.

    Args:
        jobs: Those of the run.
        address: Of the cluster; None joins the one that Ray finds, or starts one on this machine.
        workers: Cores of a cluster that is started.
        overrides: Resources from the command line.

    Raises:
        BadInput: Ray is not installed, or no cluster is at the address.
    """

    has_room = True  # Ray queues tasks for which resources are missing

    def __init__(
        self, jobs: RunJobs, address: str | None = None, workers: int | None = None, overrides: Overrides | None = None
    ) -> None:
        folders = jobs.experiment.folders
        absolute = replace(jobs.experiment, folders=Folders(folders.run.resolve(), folders.logs.resolve()))
        self._jobs, self._overrides = replace(jobs, experiment=absolute), overrides or Overrides()
        self._pending: dict[Any, str] = {}
        self._begun: set[str] = set()
        self._ray = connect(address, workers)
        self._has_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
        # No retries by Ray: the board counts attempts.
        self._do = self._ray.remote(max_retries=0)(_do)

    def begin(self, job: str, number: int) -> None:
        """Begins an attempt at a job."""
        if job not in self._begun:
            self._begun.add(job)
            self._jobs.prepare(job)
        errand = Errand(job, self._jobs.home, number, self._jobs.task(job))
        self._pending[self._do.options(**self._options(job)).remote(errand)] = job

    def wait(self, timeout: float) -> Iterable[Ended]:
        """The attempts that ended; waits up to `timeout` seconds for the first one."""
        pending = list(self._pending)
        ready, _ = self._ray.wait(pending, num_returns=1, timeout=timeout, fetch_local=False)
        if ready:
            ready, _ = self._ray.wait(pending, num_returns=len(pending), timeout=0, fetch_local=False)
        for ref in sorted(ready, key=pending.index):
            yield self._ended(ref, self._pending.pop(ref))

    def close(self) -> None:
        """Removes the remains of attempts at all finished jobs, and leaves the cluster."""
        for job in self._jobs.names:
            if self._jobs.is_done(job):
                self._jobs.sweep(job)
        self._ray.shutdown()

    def stop(self, at_once: bool = False) -> None:
        """Leaves the cluster, which ends the jobs of this run."""
        for ref in self._pending:
            self._ray.cancel(ref, force=True)
        self._ray.shutdown()

    def _options(self, job: str) -> dict[str, Any]:
        wanted = self._overrides.on(self._jobs.resources(job))
        gpus = float(self._has_gpus) if wanted.gpus is None else wanted.gpus
        memory = {"memory": int(wanted.memory_gb * 2**30)} if wanted.memory_gb else {}
        return {"name": job, "num_cpus": wanted.cpus, "num_gpus": gpus, **memory}

    def _ended(self, ref: Any, job: str) -> Ended:
        try:
            return self._ray.get(ref)
        except Exception as error:
            first = next(iter(str(error).strip().splitlines()), "")
            return Ended(job, f"its node or worker was lost: {type(error).__name__}: {first[:200]}", True)


# Any: the module of Ray, an optional package.
def connect(address: str | None, jobs: int | None) -> Any:  # the module ray, which is optional
    """Joins the cluster at `address`, else one that $RAY_ADDRESS or `ray start` names, else starts one on this machine.

    Args:
        address: Of the cluster.
        jobs: Cores of a cluster that is started; None uses all.

    Raises:
        BadInput: Ray is not installed, or no cluster is at the address.
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


def _do(errand: Errand) -> Ended:
    """The task of an attempt, in a process of Ray."""
    if "torch" not in sys.modules:
        # The threads of a local worker, so that results are the same: one, unless the task has more cores.
        cores = os.environ.get("OMP_NUM_THREADS", "1")  # Ray sets it to the cores of the task
        os.environ.update(dict.fromkeys(THREADS, cores) | {"TOKENIZERS_PARALLELISM": "false"})
    return errand.do(attempt=secrets.token_hex(4))  # a name that no other attempt has

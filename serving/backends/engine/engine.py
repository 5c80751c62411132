"""The in-process engine: one worker thread owns the device and answers batches, one checkpoint at a time.

Requests wait in one queue, whatever their checkpoint, temperature or length. The worker takes all that are there and
all that the process is busy making, stays with the checkpoint that is loaded while it has work, sorts by length and
decodes in batches that fit into memory. It sleeps without polling when there is nothing to do. Importing this module
imports no torch; the worker does when it starts.

Not covered: splitting a model over several devices, and joining a batch that is already running.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from serving.backends.engine.delivery import delivered
from serving.backends.engine.stream import Tell, pieces
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored

if TYPE_CHECKING:
    from serving.backends.engine.resident import Residents

# Callers hand in requests one by one. A batch waits while they come, or while this process computes: then its callers
# are likely still preparing requests, and decoding a few of them would hold up the others.
PAUSE_S = 0.003
BUSY_SHARE = 0.2
CALM_PAUSES = 8
LONGEST_PAUSE_S = 0.5
ENOUGH = 256
# How long work for another checkpoint is put off for the one that is loaded.
PATIENCE_S = 30.0
# How long the end of a process waits for a running batch.
LONGEST_GOODBYE_S = 10.0


@dataclass
class _Job:
    checkpoint: Checkpoint
    asked: Request | Continuation
    future: Future[Any]
    since: float
    tell: Tell | None = None


class Engine:
    """Answers for any number of checkpoints; thread-safe. See the module's docstring."""

    def __init__(self, dtype: str = "auto", device: str | None = None) -> None:
        self._options = (dtype, device)
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._pending: dict[str, list[_Job]] = {}
        self._crowd = 0
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._closed = False

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> list[Reply]:
        """Replies in the order of the requests; blocks. Raises the first request's error."""
        futures = self.submit(checkpoint, requests)
        return [future.result() for future in futures]

    async def agenerate(self, checkpoint: Checkpoint, request: Request) -> Reply:
        """One reply, without blocking the event loop; cancelling takes a waiting request out of the queue."""
        return await delivered(self.submit(checkpoint, [request])[0])

    def stream(self, checkpoint: Checkpoint, request: Request, tell: Tell) -> Future[Reply]:
        """One reply, told in pieces while it is written (see `stream`); the future holds it whole."""
        [future] = self._put(checkpoint, [request], tell)
        return future

    def astream(self, checkpoint: Checkpoint, request: Request) -> AsyncGenerator[str | Reply]:
        """The pieces of a reply as they are written, then the reply; closing it frees the reply's row."""
        return pieces(partial(self.stream, checkpoint, request))

    def score(self, checkpoint: Checkpoint, asked: Sequence[Continuation]) -> list[Scored]:
        """How likely each given reply is, in order; blocks. Raises the first error."""
        return [future.result() for future in self._put(checkpoint, asked)]

    async def ascore(self, checkpoint: Checkpoint, asked: Sequence[Continuation]) -> list[Scored]:
        """`score` without blocking the event loop."""
        return list(await asyncio.gather(*map(delivered, self._put(checkpoint, asked))))

    def submit(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> list[Future[Reply]]:
        """Put requests into the queue together."""
        return self._put(checkpoint, requests)

    def _put(
        self, checkpoint: Checkpoint, asked: Sequence[Request | Continuation], tell: Tell | None = None
    ) -> list[Future[Any]]:
        now = time.monotonic()
        jobs = [_Job(checkpoint, each, Future(), now, tell) for each in asked]
        self._start()
        self._queue.put(jobs)
        return [job.future for job in jobs]

    def close(self) -> None:
        """Let the running batch end (for a while), then stop the worker. What still waits is cancelled."""
        with self._lock:
            self._closed, worker = True, self._worker
        if worker is not None:
            self._queue.put(None)
            worker.join(LONGEST_GOODBYE_S)

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, name="serving", daemon=True)
                self._worker.start()

    # --- the worker's side ------------------------------------------------------------------------

    def _serve(self) -> None:
        residents: Residents | None = None
        while self._gather():
            jobs = self._next_jobs(residents)
            try:
                residents = residents or _new_residents(*self._options)
                self._answer(residents, jobs)
            except Exception as error:  # a failed load must not end the worker: its jobs get the error
                _fail(jobs, error)
        _cancel(job for jobs in self._pending.values() for job in jobs)

    def _gather(self) -> bool:
        """Move what waits in the queue to `_pending`; blocks only where there is nothing. False: stop."""
        calm = int(not self._take(0.0 if self._pending else None)) * CALM_PAUSES
        until = time.monotonic() + LONGEST_PAUSE_S
        while calm < self._patience() and time.monotonic() < until:
            used = time.process_time()
            busy = self._take(PAUSE_S) or time.process_time() - used > BUSY_SHARE * PAUSE_S
            calm = 0 if busy else calm + 1
        self._crowd = self._waiting()
        return not self._closed

    def _patience(self) -> int:
        """Pauses without a sign of life after which a batch begins: fewer where as many wait as the last time."""
        if self._closed or self._waiting() >= ENOUGH:
            return 0
        return 1 if self._waiting() >= self._crowd else CALM_PAUSES

    def _waiting(self) -> int:
        return sum(map(len, self._pending.values()))

    def _take(self, timeout: float | None) -> bool:
        try:
            jobs = self._queue.get(block=timeout != 0.0, timeout=timeout or None)
        except queue.Empty:
            return False
        for job in jobs or ():
            self._pending.setdefault(job.checkpoint.fingerprint, []).append(job)
        return jobs is not None

    def _next_jobs(self, residents: Residents | None) -> list[_Job]:
        """All waiting jobs of one checkpoint: a loaded one's first, unless others have waited too long."""
        waiting = list(self._pending.values())
        oldest = min(waiting, key=lambda jobs: jobs[0].since)
        loaded = [jobs for jobs in waiting if residents and residents.holds(jobs[0].checkpoint)]
        patient = time.monotonic() - oldest[0].since < PATIENCE_S
        jobs = min(loaded, key=lambda jobs: jobs[0].since) if loaded and patient else oldest
        return self._pending.pop(jobs[0].checkpoint.fingerprint)

    def _answer(self, residents: Residents, jobs: list[_Job]) -> None:
        from serving.backends.engine import batch

        wanted = [
            batch.Job(job.asked, job.future, tell=job.tell) for job in jobs if job.future.set_running_or_notify_cancel()
        ]
        if wanted:
            with residents.speaking(jobs[0].checkpoint) as speaker:
                batch.answer(wanted, speaker)


def _new_residents(dtype: str, device: str | None) -> Residents:
    from serving.backends.engine import batch
    from serving.backends.engine.resident import Residents

    batch.threads()
    return Residents(dtype, device)


def _fail(jobs: Sequence[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)


def _cancel(jobs: Iterator[_Job]) -> None:
    for job in jobs:
        job.future.cancel()


# --- one per process ------------------------------------------------------------------------------

_engines: dict[tuple[str, str | None], Engine] = {}
_engines_lock = threading.Lock()


def get_engine(dtype: str = "auto", device: str | None = None) -> Engine:
    """The process-wide engine of these options, made on first use."""
    with _engines_lock:
        if (dtype, device) not in _engines:
            _engines[dtype, device] = engine = Engine(dtype, device)
            atexit.register(engine.close)
        return _engines[dtype, device]


# A forked child has the engines but not their threads.
_forget: Callable[[], None] = _engines.clear
os.register_at_fork(after_in_child=_forget)

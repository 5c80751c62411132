"""The in-process engine: one worker thread owns the device and answers batches, one checkpoint at a time.

Requests of any checkpoint, temperature and length wait in one queue. The worker takes all that are queued and all that
the process is busy preparing (`serving.backends.engine.gathering`), stays with the loaded checkpoint while it has work,
sorts by length and decodes in batches that fit into memory. Without work it blocks. Importing this module imports no
torch; the worker does when it starts.

Not covered: splitting a model over several devices, and joining a batch that is already running.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import queue
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from serving.backends.engine.delivery import delivered, fail
from serving.backends.engine.gathering import Gathering
from serving.backends.engine.stream import Tell, pieces
from serving.errors import of_checkpoint
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored

if TYPE_CHECKING:
    from serving.backends.engine.resident import Residents

# How long work for another checkpoint waits while the loaded one has work.
PATIENCE_S = 30.0
# How long the end of a process waits for a running batch.
LONGEST_GOODBYE_S = 10.0


@dataclass(frozen=True)
class _Queued:
    """A request in the queue."""

    checkpoint: Checkpoint
    asked: Request | Continuation
    future: Future[Any]
    since: float
    tell: Tell | None = None


class Engine:
    """Answers for any number of checkpoints; thread-safe. See the module's docstring."""

    def __init__(self, dtype: str = "auto", device: str | None = None) -> None:
        self._options = (dtype, device)
        self._queue: queue.SimpleQueue[list[_Queued] | None] = queue.SimpleQueue()
        self._pending: dict[str, list[_Queued]] = {}
        self._gathering = Gathering()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._closed = False
        self._rests: list[threading.Event] = []
        with _engines_lock:
            _alive.add(self)

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> list[Reply]:
        """Return replies in the order of the requests; blocks. Raises the first error of a request."""
        return [future.result() for future in self.submit(checkpoint, requests)]

    async def agenerate(self, checkpoint: Checkpoint, request: Request) -> Reply:
        """Return one reply without blocking the event loop; cancelling removes a waiting request from the queue."""
        return await delivered(self.submit(checkpoint, [request])[0])

    def stream(self, checkpoint: Checkpoint, request: Request, tell: Tell) -> Future[Reply]:
        """Return the future of one reply; `tell` gets its pieces as they are decoded (see `stream.Tell`)."""
        [future] = self.submit(checkpoint, [request], tell)
        return future

    def astream(self, checkpoint: Checkpoint, request: Request) -> AsyncGenerator[str | Reply]:
        """Yield the pieces of a reply as they are decoded, then the reply; closing the generator frees its row."""
        return pieces(partial(self.stream, checkpoint, request))

    def score(self, checkpoint: Checkpoint, asked: Sequence[Continuation]) -> list[Scored]:
        """Return how likely each given reply is, in order; blocks. Raises the first error."""
        return [future.result() for future in self.submit(checkpoint, asked)]

    async def ascore(self, checkpoint: Checkpoint, asked: Sequence[Continuation]) -> list[Scored]:
        """`score` without blocking the event loop."""
        return list(await asyncio.gather(*map(delivered, self.submit(checkpoint, asked))))

    def submit(
        self, checkpoint: Checkpoint, asked: Sequence[Request | Continuation], tell: Tell | None = None
    ) -> list[Future[Any]]:
        """Queue requests together and return the futures of their replies or scores; `tell` as for `stream`."""
        now = time.monotonic()
        jobs = [_Queued(checkpoint, _as_trained(checkpoint, each), Future(), now, tell) for each in asked]
        self._start()
        self._queue.put(jobs)
        return [job.future for job in jobs]

    def rest(self) -> None:
        """Answer what is queued, then forget large models and give back their memory; they load again when asked."""
        rested = threading.Event()
        with self._lock:
            if self._worker is None:
                return
            self._rests.append(rested)
        self._queue.put([])
        while not self._closed and not rested.wait(0.1):
            pass

    def close(self) -> None:
        """Wait for the running batch (for a while), then stop the worker. Requests that still wait are cancelled."""
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
            if self._pending:
                jobs = self._next_jobs(residents)
                try:
                    residents = residents or _new_residents(*self._options)
                    self._answer(residents, jobs)
                except BaseException as error:  # a failed load must not end the worker: its jobs get the error
                    fail((job.future for job in jobs), of_checkpoint(jobs[0].checkpoint.ref, error))
            if not self._pending:
                self._let_rest(residents)
        for job in itertools.chain.from_iterable(self._pending.values()):
            job.future.cancel()

    def _let_rest(self, residents: Residents | None) -> None:
        """Forget large models where somebody waits for that."""
        with self._lock:
            rests, self._rests = self._rests, []
        if rests and residents is not None:
            residents.forget_large()
        for rested in rests:
            rested.set()

    def _gather(self) -> bool:
        """Move the queue's content to `_pending`; blocks while it is empty. False: stop."""
        self._gathering.gather(self._take, self._waiting, lambda: self._closed)
        return not self._closed

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

    def _next_jobs(self, residents: Residents | None) -> list[_Queued]:
        """Return all waiting requests of one checkpoint: a loaded one's, unless others have waited too long."""
        waiting = list(self._pending.values())
        oldest = min(waiting, key=lambda jobs: jobs[0].since)
        loaded = [jobs for jobs in waiting if residents and residents.holds(jobs[0].checkpoint)]
        patient = time.monotonic() - oldest[0].since < PATIENCE_S
        jobs = min(loaded, key=lambda jobs: jobs[0].since) if loaded and patient else oldest
        return self._pending.pop(jobs[0].checkpoint.fingerprint)

    def _answer(self, residents: Residents, jobs: list[_Queued]) -> None:
        from serving.backends.engine import batch

        running = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if running:
            with residents.speaking(jobs[0].checkpoint) as speaker:
                batch.answer([batch.EngineJob(job.asked, job.future, tell=job.tell) for job in running], speaker)


def _as_trained(checkpoint: Checkpoint, asked: Request | Continuation) -> Request | Continuation:
    """The request with the template's arguments of the checkpoint's run. Raises BadInput where it has others."""
    arguments = checkpoint.defaults.arguments(asked.chat_template_kwargs, checkpoint.ref)
    return replace(asked, chat_template_kwargs=arguments) if arguments != asked.chat_template_kwargs else asked


def _new_residents(dtype: str, device: str | None) -> Residents:
    from serving.backends.engine import batch
    from serving.backends.engine.resident import Residents

    batch.threads()
    return Residents(dtype, device)


# --- one per process ------------------------------------------------------------------------------

_engines: dict[tuple[str, str | None], Engine] = {}
# Those that somebody has made for themselves, too.
_alive: weakref.WeakSet[Engine] = weakref.WeakSet()
_engines_lock = threading.RLock()  # get_engine makes an engine inside it


def get_engine(dtype: str = "auto", device: str | None = None) -> Engine:
    """Return the engine of this process for these options, made on first use."""
    with _engines_lock:
        if (dtype, device) not in _engines:
            _engines[dtype, device] = engine = Engine(dtype, device)
            atexit.register(engine.close)
        return _engines[dtype, device]


def rest() -> None:
    """Have every engine of this process forget its large models, so that a training has the memory."""
    with _engines_lock:
        engines = list(_alive)
    for engine in engines:
        engine.rest()


def _forget() -> None:
    """A forked child has the engines but not their threads."""
    _engines.clear()
    _alive.clear()


os.register_at_fork(after_in_child=_forget)

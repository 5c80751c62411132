"""The in-process engine: one worker thread owns the device and answers batches, one checkpoint at a time.

Requests wait in one queue, whatever their checkpoint, temperature or length. The worker takes all that are
there, stays with the checkpoint that is loaded while it has work, sorts by length and decodes in batches of a
token budget. It sleeps without polling when there is nothing to do. Importing this module imports no torch; the
worker does when it starts.

Not covered: splitting a model over several devices, and joining a batch that is already running.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.refs import Checkpoint
from serving.request import Reply, Request, StopReason

if TYPE_CHECKING:
    from serving.decode import Row, Written
    from serving.resident import Residents, Speaker

MAX_ROWS = 256
# Prompt plus reply, summed over the rows of a batch: what its key-value cache may hold.
TOKENS_CPU = 2**15
TOKENS_GPU = 2**17
# Callers hand in requests one by one within a few milliseconds; a batch waits for those and no longer.
PAUSE_S = 0.003
LONGEST_PAUSE_S = 0.03
# How long work for another checkpoint is put off for the one that is loaded.
PATIENCE_S = 30.0
# How long the end of a process waits for a running batch.
LONGEST_GOODBYE_S = 10.0


@dataclass
class _Job:
    checkpoint: Checkpoint
    request: Request
    future: Future[Reply]
    since: float
    row: Row | None = None


class Engine:
    """Answers for any number of checkpoints; thread-safe. See the module's docstring."""

    def __init__(self, dtype: str = "auto", device: str | None = None) -> None:
        self._options = (dtype, device)
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._pending: dict[str, list[_Job]] = {}
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._closed = False

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> list[Reply]:
        """Replies in the order of the requests; blocks. Raises the first request's error."""
        futures = self.submit(checkpoint, requests)
        return [future.result() for future in futures]

    async def agenerate(self, checkpoint: Checkpoint, request: Request) -> Reply:
        """One reply, without blocking the event loop; cancelling takes a waiting request out of the queue."""
        return await asyncio.wrap_future(self.submit(checkpoint, [request])[0])

    def submit(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> list[Future[Reply]]:
        """Put requests into the queue together."""
        now = time.monotonic()
        jobs = [_Job(checkpoint, request, Future(), now) for request in requests]
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
        arrived = self._take(0.0 if self._pending else None)
        until = time.monotonic() + LONGEST_PAUSE_S
        while arrived and time.monotonic() < until:
            arrived = self._take(PAUSE_S)
        return not self._closed

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
        jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if not jobs:
            return
        with residents.speaking(jobs[0].checkpoint) as speaker:
            ready = [job for job in jobs if _prepare(job, speaker)]
            budget = TOKENS_GPU if speaker.model.device.type == "cuda" else TOKENS_CPU
            for batch in batches(ready, budget):
                try:
                    _reply(batch, speaker)
                except Exception as error:  # a batch too large for the memory must not take the others along
                    _fail(batch, error)


def batches(jobs: list[_Job], budget: int) -> Iterator[list[_Job]]:
    """Jobs sorted by length and cut so that rows × (longest prompt + longest limit) keep to the budget."""
    batch: list[_Job] = []
    prompt = limit = 0
    for job in sorted(jobs, key=lambda job: (job.row.limit, len(job.row.prompt)) if job.row else (0, 0)):
        row = job.row
        assert row is not None
        prompt, limit = max(prompt, len(row.prompt)), max(limit, row.limit)
        if batch and (len(batch) == MAX_ROWS or (len(batch) + 1) * (prompt + limit) > budget):
            yield batch
            batch, prompt, limit = [], len(row.prompt), row.limit
        batch.append(job)
    if batch:
        yield batch


def _new_residents(dtype: str, device: str | None) -> Residents:
    import torch

    from serving.resident import Residents

    # One thread: small models are faster, several processes share a machine, and sums keep their order.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return Residents(dtype, device)


def _prepare(job: _Job, speaker: Speaker) -> bool:
    """Tokenize a job's prompt. False where it is answered already: with an error, or for want of room."""
    try:
        job.row = _row(job.request, speaker)
    except Exception as error:  # templates raise errors of their own, on a role they do not know
        _fail([job], error)
        return False
    if job.row.limit < 1:
        job.future.set_result(Reply("", "model_length", len(job.row.prompt), 0))
        return False
    return True


def _row(request: Request, speaker: Speaker) -> Row:
    from serving.decode import Row

    prompt = encode(speaker.tokenizer, request)
    room = speaker.context - len(prompt) if speaker.context else request.max_tokens
    seed = int.from_bytes(os.urandom(8), "little") if request.seed is None else request.seed
    limit = min(request.max_tokens, room)
    return Row(prompt, limit, request.temperature, request.top_p, request.top_k, seed, tuple(request.stop))


def encode(tokenizer: Any, request: Request) -> list[int]:
    """The prompt's tokens, by the chat template alone: no special token is added a second time."""
    continues = request.messages[-1]["role"] == "assistant"
    return tokenizer.apply_chat_template(
        [dict(message) for message in request.messages],
        add_generation_prompt=not continues,
        continue_final_message=continues,
        tokenize=True,
        return_dict=False,
        **request.chat_template_kwargs,
    )


def _reply(jobs: list[_Job], speaker: Speaker) -> None:
    from serving.decode import decode

    rows = [job.row for job in jobs if job.row is not None]
    replies = decode(speaker.model, rows, speaker.ending, speaker.pad)
    for job, row, written in zip(jobs, rows, replies, strict=True):
        job.future.set_result(_finished(job.request, row, written, speaker))


def _finished(request: Request, row: Row, written: Written, speaker: Speaker) -> Reply:
    from serving.decode import to_text

    tokens = written.tokens[:-1] if written.tokens[-1] in speaker.ending.tokens else written.tokens
    text = to_text(speaker.tokenizer, tokens)
    cut = min((at for at in (text.find(stop) for stop in row.stop) if at >= 0), default=len(text))
    limited: StopReason = "max_tokens" if row.limit == request.max_tokens else "model_length"
    return Reply(text[:cut], "stop" if written.ended else limited, len(row.prompt), len(written.tokens))


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

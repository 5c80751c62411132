"""Workers and the board of jobs they take from: starts first, a cell when its start is done.

One thread per worker feeds one process (`lab.run.worker`). A job that fails is tried again at the end of the queue, a
bounded number of times; then it is reported and the others go on. All state that matters is in files: the board is
made anew from them by every run. Not covered: more than one machine (`lab.run.ray`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.run import state
from lab.run.experiment import Experiment
from lab.run.jobs import before_failed, refusal, start_failed

CORE = "BCT_CORE"
GPUS = "CUDA_VISIBLE_DEVICES"
TRIES = 3
GRACE = 10.0  # seconds that a worker has to leave before it is ended


def default_jobs() -> int:
    """One worker per GPU that this process may use, or per core where there is none."""
    return len(gpus()) or len(cores()) or 1


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA names them."""
    if GPUS in os.environ:
        return [name for name in os.environ[GPUS].split(",") if name.strip()]
    return [str(i) for i in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def cores() -> list[int]:
    """The cores that this process may use."""
    known = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return sorted(known)


def pins(workers: int) -> list[dict[str, str]]:
    """The environment that keeps each worker on a GPU, or on a core, of its own; empty where they must share."""
    devices, processors = gpus(), cores()
    if devices:
        return [{GPUS: devices[i % len(devices)]} for i in range(workers)]
    if workers == len(processors) > 1:
        return [{CORE: str(core)} for core in processors]
    return [{} for _ in range(workers)]


class Board:
    """The jobs of a run, shared by the threads of a crew."""

    def __init__(self, experiment: Experiment, force: bool, on_end: Callable[[str, str], None]) -> None:
        self._experiment = experiment
        self._force = force
        self._on_end = on_end
        self._changed = threading.Condition()
        self._stopped = False
        self._looked_for = True  # whether cells may have become hopeless since one last looked
        self._followed = {cell.after.id for cell in experiment.cells.values() if cell.after is not None}
        every = [*experiment.starts, *experiment.cells]
        self.done = {job for job in every if experiment.is_done(job)}
        self.waiting = [job for job in every if job not in self.done]
        self.tries = dict.fromkeys(self.waiting, 0)
        self.running: set[str] = set()
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        for job in self.waiting:
            experiment.folders.state(job).unlink(missing_ok=True)

    def take(self) -> str | None:
        """The next job that can be done; waits for one. None when nothing is left or the run was stopped."""
        with self._changed:
            while not self._stopped:
                self._drop_hopeless()
                job = next((job for job in self.waiting if self._is_ready(job)), None)
                if job is not None:
                    self.waiting.remove(job)
                    self.running.add(job)
                    self.tries[job] += 1
                    return job
                if not self.waiting and not self.running:
                    break
                self._changed.wait()
            self._changed.notify_all()
            return None

    def give_back(self, job: str, error: str | None, again: bool) -> None:
        """A job has ended: done, to be tried again, or failed."""
        with self._changed:
            self.running.discard(job)
            self._looked_for |= job not in self._experiment.cells or job in self._followed
            if self._stopped:
                pass
            elif error is None:
                self.done.add(job)
                self._on_end(job, "")
            elif again and self.tries[job] < TRIES:
                self._experiment.folders.state(job).unlink(missing_ok=True)
                self.waiting.append(job)
            else:
                self._fail(job, error)
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more is handed out."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _is_ready(self, job: str) -> bool:
        cell = self._experiment.cells.get(job)
        return cell is None or (cell.start.id in self.done and (cell.after is None or cell.after.id in self.done))

    def _drop_hopeless(self) -> None:
        if not self._looked_for:
            return
        self._looked_for = False
        for job in list(self.waiting):
            reason, phase = self._hopeless(job)
            if phase == "skipped":
                self.waiting.remove(job)
                self._skip(job, reason)
            elif reason:
                self.waiting.remove(job)
                self._fail(job, reason, phase)

    def _hopeless(self, job: str) -> tuple[str, state.Phase]:
        """Why a cell cannot be trained at all, if it cannot."""
        cell = self._experiment.cells.get(job)
        if cell is None:
            return "", "waiting"
        if cell.start.id in self.failed:
            return start_failed(self.failed[cell.start.id]), "failed"
        if not self._force and cell.start.id in self.done and (reasons := self._experiment.refused(cell.start)):
            return refusal(reasons), "refused"
        if cell.after is not None and cell.after.id in self.failed:
            return before_failed(self.failed[cell.after.id]), "failed"
        if not self._force and (reason := self._experiment.skipped(cell)):
            return reason, "skipped"
        return "", "waiting"

    def _skip(self, job: str, reason: str) -> None:
        """Not a failure: what the cell before it came to leaves nothing to ask."""
        self.skipped[job] = reason
        with suppress(OSError):
            state.write(self._experiment.folders.state(job), state.State("skipped", error=reason))

    def _fail(self, job: str, error: str, phase: state.Phase = "failed") -> None:
        self.failed[job] = error
        path = self._experiment.folders.state(job)
        with suppress(OSError):
            state.write(path, replace(state.read(path), phase=phase, error=error))
        self._on_end(job, error)


class Crew:
    """Threads and processes that work until the board is empty."""

    def __init__(self, experiment: Experiment, board: Board, workers: int) -> None:
        self._experiment = experiment
        self._board = board
        self._processes: set[subprocess.Popen[str]] = set()
        self._threads = [threading.Thread(target=self._work, args=(pin,), daemon=True) for pin in pins(workers)]

    @property
    def failed(self) -> dict[str, str]:
        """The jobs that failed, with their error in one line."""
        return self._board.failed

    @property
    def has_work(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._board.waiting)

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def is_working(self, timeout: float) -> bool:
        """Waits at most so many seconds for the end; whether it is still to come."""
        alive = [thread for thread in self._threads if thread.is_alive()]
        if alive:
            alive[0].join(timeout)
        return bool(alive)

    def stop(self, at_once: bool = False) -> None:
        """Ends the workers: they are asked first, unless it must be at once."""
        self._board.stop()
        if not at_once:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                for process in list(self._processes):
                    process.wait(GRACE)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in list(self._processes):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def _work(self, pin: dict[str, str]) -> None:
        # The kernel ends a worker when the *thread* that started it ends: this one outlives its process.
        process: subprocess.Popen[str] | None = None
        while (job := self._board.take()) is not None:
            if process is None:
                process = self._spawn(pin)
            answer = _ask(process, {"job": job, "attempt": self._board.tries[job]})
            if answer is None:
                code = _left(process)
                self._processes.discard(process)
                process = None
                answer = {"error": _death(code), "again": True}
            self._board.give_back(job, answer["error"], answer["again"])
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
            _left(process)

    def _spawn(self, pin: dict[str, str]) -> subprocess.Popen[str]:
        folders = self._experiment.folders
        crash = (folders.run / "state" / "workers.log").open("a", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.run.worker", str(folders.run), str(folders.logs), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=crash,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"} | pin,
            start_new_session=True,  # ctrl-C is for the driver, which asks its workers to stop
        )
        crash.close()
        self._processes.add(process)
        return process


def _ask(process: subprocess.Popen[str], job: dict[str, Any]) -> dict[str, Any] | None:
    """A worker's answer; None where it died."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        return json.loads(line) if line else None
    except OSError:
        return None


def _left(process: subprocess.Popen[str]) -> int:
    """The exit code of a worker that is done; one that a library's thread holds back is ended: its work is in files."""
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its worker was killed (out of memory?): use fewer --jobs, or a smaller batch_size"
    return f"its worker ended with {'signal' if code < 0 else 'code'} {abs(code)}: see its log in state/"

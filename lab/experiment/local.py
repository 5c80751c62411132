"""Jobs in worker processes of this machine (`worker`). Not covered: more than one machine (`ray`)."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

from lab.experiment.board import Ended, Jobs
from lab.experiment.worker import CORE, Errand

GPUS = "CUDA_VISIBLE_DEVICES"
#: Environment of every worker: one thread, so that results do not depend on the number of cores.
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
#: Seconds that a worker has to exit before it is killed.
GRACE = 10.0


def default_jobs() -> int:
    """One worker per GPU that this process may use, or per core if there is none."""
    return len(gpus()) or len(cores()) or 1


def gpus() -> list[str]:
    """The GPUs that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    if GPUS in os.environ:
        return [name for name in os.environ[GPUS].split(",") if name.strip()]
    return [str(i) for i in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def cores() -> list[int]:
    """The cores that this process may use."""
    known = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return sorted(known)


def pins(workers: int) -> list[dict[str, str]]:
    """The environment that keeps each worker on its own GPU or core; empty if they must share."""
    devices, processors = gpus(), cores()
    if devices:
        return [{GPUS: devices[i % len(devices)]} for i in range(workers)]
    if workers == len(processors) > 1:
        return [{CORE: str(core)} for core in processors]
    return [{} for _ in range(workers)]


class Worker:
    """A process that does one job at a time. It is started with its first job, and again if it died.

    The kernel ends the process when the thread that started it ends.
    """

    def __init__(self, home: Path, pin: dict[str, str]) -> None:
        self.job = ""
        self._home, self._pin = home, pin
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, errand: Errand) -> None:
        """Sends a job to the worker."""
        self.job = errand.job
        self.process = self.process or self._spawn()
        assert self.process.stdin is not None
        with suppress(OSError):  # a worker that died is noticed when its answer is read
            pickle.dump(errand, self.process.stdin)
            self.process.stdin.flush()

    def answer(self) -> Ended:
        """Waits for the end of the job."""
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            return pickle.load(self.process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            code = _exit_code(self.process, time.monotonic() + GRACE)
            self.process = None
            return Ended(self.job, _death(code), True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        crashes = self._home / "state" / "workers.log"
        crashes.parent.mkdir(parents=True, exist_ok=True)
        with crashes.open("ab") as stream:
            return subprocess.Popen(
                # The folder is only shown in the list of processes.
                [sys.executable, "-m", "lab.experiment.worker", str(os.getpid()), str(self._home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=os.environ | QUIET | self._pin,
                start_new_session=True,  # Ctrl-C goes to the driver, which stops its workers
            )


class LocalExecutor:
    """Executes jobs in up to `workers` processes."""

    def __init__(self, jobs: Jobs, workers: int) -> None:
        self._jobs = jobs
        self._idle = [Worker(jobs.home, pin) for pin in pins(workers)]
        self._busy: list[Worker] = []

    @property
    def has_room(self) -> bool:
        """Whether a further job can begin."""
        return bool(self._idle)

    def begin(self, job: str, number: int) -> None:
        """Begins an attempt at a job."""
        worker = self._idle.pop(0)
        self._busy.append(worker)
        worker.begin(Errand(job, self._jobs.home, number, self._jobs.task(job)))

    def wait(self, timeout: float) -> Iterable[Ended]:
        """The attempts that ended; waits up to `timeout` seconds for the first one."""
        answers = [worker.process.stdout for worker in self._busy if worker.process is not None]
        ready = connection.wait([stream.fileno() for stream in answers if stream is not None], timeout)
        for worker in list(self._busy):
            if worker.process and worker.process.stdout and worker.process.stdout.fileno() in ready:
                ended = worker.answer()
                self._busy.remove(worker)
                self._idle.append(worker)
                yield ended

    def close(self) -> None:
        """Ends the idle workers."""
        processes, until = self._processes(), time.monotonic() + GRACE
        for process in processes:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        for process in processes:
            _exit_code(process, until)

    def stop(self, at_once: bool = False) -> None:
        """Ends the workers in the middle of their jobs; they get time to exit first, unless `at_once`."""
        if not at_once:
            self._signal(signal.SIGTERM)
            until = time.monotonic() + GRACE
            with suppress(subprocess.TimeoutExpired):
                for process in self._processes():
                    process.wait(max(0.0, until - time.monotonic()))
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def _processes(self) -> list[subprocess.Popen[bytes]]:
        return [worker.process for worker in (*self._idle, *self._busy) if worker.process is not None]


def _exit_code(process: subprocess.Popen[bytes], until: float) -> int:
    """The exit code; a worker that a library's thread keeps alive is killed, since its work is in files."""
    try:
        return process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its worker was killed (out of memory?): use fewer --jobs, or a smaller batch_size"
    return f"its worker ended with {'signal' if code < 0 else 'code'} {abs(code)}: see state/workers.log"

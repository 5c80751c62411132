"""A worker process: reads tasks as pickles from stdin, does them, and answers each with a pickle on stdout.

It keeps its imports and its engine across jobs, prints into the job's log, and ends with its driver: by the
kernel's signal on Linux, elsewhere by watching its parent. Not covered: other machines (`lab.experiment.ray`).
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lab.experiment import state
from lab.experiment.board import Ended, Task
from lab.experiment.state import Reporter
from serving.errors import in_one_line

#: Environment variable with the core to which a worker is pinned.
CORE = "BCT_CORE"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Errand:
    """One attempt at a job: what to do, and the folder that contains `state/`."""

    job: str
    home: Path
    number: int
    task: Task

    def do(self, attempt: str | None = None) -> Ended:
        """Does the task; its output and its progress go into the job's files."""
        reporter = None
        try:
            print_into(state.output_of(self.home, self.job))
            reporter = Reporter(state.path_of(self.home, self.job), self.number)
            self.task(reporter) if attempt is None else self.task(reporter, attempt=attempt)
            reporter.end()
            return Ended(self.job, None, False)
        except Exception as error:
            with suppress(OSError):  # the disk may be full, which is the error
                traceback.print_exception(error)
            line, again = in_one_line(error)
            if reporter is not None:
                reporter.end(line)
            return Ended(self.job, line, again)


def main(driver: int) -> None:
    """Works until the driver closes stdin."""
    die_with(driver)
    if core := os.environ.get(CORE):
        os.sched_setaffinity(0, {int(core)})
    signal.signal(signal.SIGTERM, _stop)
    # The output of libraries must not reach the driver: it goes to where file descriptor 1 points later.
    with os.fdopen(os.dup(1), "wb") as answers:
        while True:
            try:
                errand: Errand = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(errand.do(), answers)
            answers.flush()


def print_into(path: Path) -> None:
    """From now on, the output of this process is appended to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(target, number)
    os.close(target)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def die_with(driver: int) -> None:
    """Ends this process when the process that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))

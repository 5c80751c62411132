"""Jobs in this process, one at a time: for a debugger or a profiler, and for many tiny runs.

A worker process (`local`) imports torch and TRL anew; here that happens once. Not covered: jobs side by side, and a job
that ends its process, which ends the driver too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from lab.experiment.board import Ended, Jobs
from lab.experiment.worker import Errand


class InlineExecutor:
    """Executes each job in the driver's own process and thread."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._errands: list[Errand] = []

    @property
    def has_room(self) -> bool:
        """Whether a further job can begin."""
        return not self._errands

    def begin(self, job: str, number: int) -> None:
        """Takes an attempt at a job; `wait` does it."""
        self._errands.append(Errand(job, self._jobs.home, number, self._jobs.task(job)))

    def wait(self, timeout: float) -> Iterable[Ended]:
        """Does the jobs that began, however long they take."""
        while self._errands:
            with _output_kept():
                ended = self._errands.pop().do()
            yield ended

    def close(self) -> None:
        """Nothing to end: no process was started."""

    def stop(self, at_once: bool = False) -> None:
        """Nothing to end: the job ended with the exception that stops the run."""


@contextmanager
def _output_kept() -> Iterator[None]:
    """Lets a job print into a file of its own, and gives this process its output back afterwards."""
    kept = [os.dup(number) for number in (1, 2)]
    try:
        # A notebook or a test has put streams of its own in the place of these.
        out, err = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 (entered below)
        with out, err, redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)

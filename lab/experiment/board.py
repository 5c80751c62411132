"""The schedule: which job is next, which gets another attempt, and which is skipped.

The one schedule of the lab: starts and cells by local processes (`local`) or on Ray (`ray`), and the
models of `bct check`. A board is rebuilt from the files of each run, and has no persistent state. Where several drivers
share the jobs (`claims`), it hands out what no other driver has, and takes over what others have done.
Not covered: executing jobs, and waiting for them (`driver`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from lab.experiment import state
from lab.experiment.claims import Claims
from lab.experiment.state import Reporter
from lab.plan.words import of_recipe

#: Attempts at a job that fails, or whose worker dies.
ATTEMPTS = 3
#: Seconds between two looks at a job that another driver has.
LOOK = 2.0


class Task(Protocol):
    """The work of a job. It can be pickled, since it is done in another process."""

    def __call__(self, reporter: Reporter, attempt: str | None = None) -> object:
        """Does the remaining work. `attempt` distinguishes it from other attempts that may be alive."""
        ...


@dataclass(frozen=True)
class Dropped:
    """Why a job is not done. A skipped job is not a failure."""

    phase: Literal["failed", "refused", "skipped"]
    reason: str


class Jobs(Protocol):
    """What a board schedules."""

    @property
    def title(self) -> str:
        """Title of the status table."""
        ...

    @property
    def home(self) -> Path:
        """The folder that holds `state/`."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """All jobs, in the order in which they should begin."""
        ...

    def is_done(self, job: str) -> bool:
        """Whether nothing is left to do, from the files."""
        ...

    def needs(self, job: str) -> Mapping[str, str]:
        """The jobs that must be done before this one, each with its role in a message: `its start`."""
        ...

    def dropped(self, job: str) -> Dropped | None:
        """Why a job is skipped, given the jobs done so far."""
        ...

    def task(self, job: str) -> Task:
        """The work of a worker."""
        ...

    def units(self, job: str) -> Mapping[str, float]:
        """Cost of each phase, in training steps."""
        ...


class Ended(NamedTuple):
    """The end of an attempt: its error in one line (None: done), and whether another attempt may succeed."""

    job: str
    error: str | None
    again: bool


class Board:
    """The jobs and their progress.

    Args:
        jobs: The jobs.
        on_end: Called with each job that ended and its error; empty if it is done.
        claims: Of this driver, if others share the jobs.
    """

    def __init__(self, jobs: Jobs, on_end: Callable[[str, str], None], claims: Claims | None = None) -> None:
        self.jobs = jobs
        self.done = {job for job in jobs.names if jobs.is_done(job)}
        self.waiting = [job for job in jobs.names if job not in self.done]
        self.attempts = dict.fromkeys(self.waiting, 0)
        self.running: set[str] = set()
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self._on_end = on_end
        self._needed = {need for job in self.waiting for need in jobs.needs(job)}
        self._may_drop = True  # whether a job has ended since, so that others may have to be skipped
        self._claims = claims
        self._elsewhere: dict[str, float] = {}  # jobs that another driver has, and when to look again
        for job in self.waiting if claims is None else ():
            self._forget(job)

    def take(self) -> str | None:
        """The next job that can begin; None if there is none at present."""
        if self._may_drop:
            self._drop()
        ready = (job for job in list(self.waiting) if self.done.issuperset(self.jobs.needs(job)))
        job = next((job for job in ready if self._is_ours(job)), None)
        if job is None and self._may_drop:  # another driver has ended a job that others need
            return self.take()
        if job is not None:
            self.waiting.remove(job)
            self.running.add(job)
            self.attempts[job] += 1
        return job

    def must_wait(self) -> bool:
        """Whether this driver has to wait for another one: a job needs what that does, or it may have died."""
        if self._claims is None:
            return False
        held = [job for job in self.waiting if job in self._elsewhere]
        needed = {need for job in self.waiting for need in self.jobs.needs(job)}
        return any(job in needed or not self._claims.is_certain(job) for job in held)

    def _is_ours(self, job: str) -> bool:
        """Whether this driver may begin a job: no other one has it, has done it, or has failed at it meanwhile."""
        if self._claims is None or self.attempts[job]:
            return True
        if time.monotonic() < self._elsewhere.get(job, 0.0):
            return False
        if self.jobs.is_done(job):
            self._found_done(job)
            return False
        if not self._claims.take(job):
            self._elsewhere[job] = time.monotonic() + LOOK
            return False
        known = state.read(state.path_of(self.jobs.home, job))
        if self._elsewhere.pop(job, None) is not None and known.phase == "failed":
            self.waiting.remove(job)
            self._may_drop |= job in self._needed
            self._fail(job, known.error)
            return False
        self._forget(job)
        return True

    def _found_done(self, job: str) -> None:
        self.waiting.remove(job)
        self.done.add(job)
        self._may_drop |= job in self._needed
        self._on_end(job, "")

    def give_back(self, ended: Ended) -> None:
        """Records an attempt that ended; a failed job is queued again behind all others."""
        job, error, again = ended
        error = error and of_recipe(error)
        self.running.discard(job)
        self._may_drop |= job in self._needed
        if error is None:
            self.done.add(job)
            self._on_end(job, "")
        elif again and self.attempts[job] < ATTEMPTS:
            self._forget(job)
            self.waiting.append(job)
        else:
            self._fail(job, error)

    def _drop(self) -> None:
        """Removes the jobs to skip, until no remaining job needs a failed one."""
        while self._may_drop:
            self._may_drop = False
            for job in list(self.waiting):
                dropped = self.jobs.dropped(job) or self._without_a_need(job)
                if dropped is None:
                    continue
                self.waiting.remove(job)
                self._may_drop |= job in self._needed
                if dropped.phase == "skipped":
                    self._skip(job, dropped.reason)
                else:
                    self._fail(job, dropped.reason, dropped.phase)

    def _without_a_need(self, job: str) -> Dropped | None:
        needs = self.jobs.needs(job).items()
        reasons = [f"{role} failed: {self.failed[need]}" for need, role in needs if need in self.failed]
        return Dropped("failed", reasons[0]) if reasons else None

    def _skip(self, job: str, reason: str) -> None:
        self.skipped[job] = reason
        with suppress(OSError):
            state.write(state.path_of(self.jobs.home, job), state.State("skipped", error=reason))

    def _fail(self, job: str, error: str, phase: state.Phase = "failed") -> None:
        self.failed[job] = error
        path = state.path_of(self.jobs.home, job)
        with suppress(OSError):
            state.write(path, replace(state.read(path), phase=phase, error=error))
        self._on_end(job, error)

    def _forget(self, job: str) -> None:
        state.path_of(self.jobs.home, job).unlink(missing_ok=True)

"""The progress of jobs, read from their files: the same table for the driver and for another terminal.

The time left is estimated from the finished and running jobs, in units of a training step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.experiment import state
from lab.experiment.board import Jobs
from lab.experiment.claims import Driver, Present, present
from lab.experiment.state import State
from lab.experiment.stored import of_run

RUNNING = ("starting", "organism", "training", "evaluating")
STYLES = {"done": "green", "skipped": "dim", "failed": "red", "refused": "red", "waiting": "dim"}


@dataclass(frozen=True)
class JobProgress:
    """One job: its state, and how many of its training steps (or equivalents) are done."""

    job: str
    state: State
    units: float
    total: float

    @property
    def spent(self) -> float:
        """Seconds spent on this job so far."""
        running = self.state.phase in RUNNING and self.state.began
        return time.time() - self.state.began if running else self.state.seconds

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        found = self.state
        return {"id": self.job, "state": found.phase, "step": found.step, "total": found.total, "error": found.error}


@dataclass(frozen=True)
class Overview:
    """All jobs of a run, the pid of a driver if there is one, and the drivers that the run's folder names."""

    jobs: tuple[JobProgress, ...]
    driver: int | None
    drivers: tuple[Driver, ...] = ()

    def count(self, *phases: str) -> int:
        """Jobs in one of these phases."""
        return sum(job.state.phase in phases for job in self.jobs)

    def seconds_left(self, places: int = 1) -> float | None:
        """Estimate; None until it can be computed, 0 when all jobs are done.

        Args:
            places: How many jobs can run at once, as far as is known: between two jobs fewer are running.
        """
        found = [job for job in self.jobs if job.spent > 0 and job.units > 0]
        open_jobs = [job for job in self.jobs if job.state.phase not in ("done", "failed", "refused", "skipped")]
        left = sum(job.total - job.units for job in open_jobs)
        if not open_jobs:
            return 0.0
        if not found:
            return None
        pace = sum(job.spent for job in found) / sum(job.units for job in found)
        return left * pace / max(1, self.count(*RUNNING), min(places, len(open_jobs)))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        left = self.seconds_left()
        return {
            "driver": self.driver,
            "drivers": [{"host": d.host, "pid": d.pid, "shard": d.shard} for d in self.drivers],
            "seconds_left": None if left is None else round(left),
            "jobs": [job.as_json() for job in self.jobs],
        }


def overview(jobs: Jobs, driver: int | None) -> Overview:
    """Reads the state files of all jobs. A job that was running is shown as stopped if no driver works on it."""
    there = present(jobs.home)
    with of_run(jobs.home):
        found = tuple(_progress(jobs, job, driver is not None, there) for job in jobs.names)
        return Overview(found, driver or next((d.pid for d in there.drivers), None), there.drivers)


def _progress(jobs: Jobs, job: str, alive: bool, there: Present) -> JobProgress:
    found, parts = state.read(state.path_of(jobs.home, job)), jobs.units(job)
    total = sum(parts.values())
    if jobs.is_done(job):
        return JobProgress(job, State("done", seconds=found.seconds, attempt=found.attempt), total, total)
    if found.phase == "done":  # its files were deleted since
        found = State()
    if found.phase in RUNNING and not alive and not there.works_on(job):
        found = replace(found, phase="stopped")
    return JobProgress(job, found, _units(found, parts), total)


def _units(found: State, parts: Mapping[str, float]) -> float:
    before = 0.0
    for phase, units in parts.items():
        if phase == found.phase:
            return before + (units * min(1.0, found.step / found.total) if found.total else 0.0)
        before += units
    return 0.0


def table(view: Overview, title: str, most: int | None = None) -> Table:
    """One line per job.

    Args:
        view: The jobs.
        title: Title of the table.
        most: Lines at most: running and failed jobs come first, and the last line counts the others.
    """
    every = list(view.jobs)
    shown = every if most is None or len(every) <= most else sorted(every, key=_urgency)[: most - 1]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, expand=False)
    # On a narrow terminal the state stays, and ids and bars are cut.
    for column, least in (("", 12), ("state", 10), ("step", 7)):
        table.add_column(column, no_wrap=True, min_width=least)
    table.add_column("", max_width=24)
    table.add_column("", no_wrap=True)
    for job in shown:
        found = job.state
        step = f"{found.step}/{found.total}" if found.total and found.phase != "done" else ""
        bar = ProgressBar(total=max(job.total, 1), completed=job.units)
        table.add_row(job.job, Text(found.phase, STYLES.get(found.phase, "cyan")), step, bar, _note(job))
    if len(shown) < len(every):
        table.add_row(f"and {len(every) - len(shown):,} more")
    return table


def _urgency(job: JobProgress) -> int:
    """Order: running, failed, waiting, done."""
    phase = job.state.phase
    order = (phase in RUNNING, phase in ("failed", "refused"), phase != "done")
    return next((i for i, holds in enumerate(order) if holds), len(order))


def _note(job: JobProgress) -> str:
    if job.state.error:
        return job.state.error
    return f"{duration(job.spent)}" if job.spent else ""


def line(view: Overview, places: int = 1) -> str:
    """All jobs in one line; `places` as for `Overview.seconds_left`."""
    finished = f"{view.count('done')} of {len(view.jobs)} jobs done"
    failed, skipped = view.count("failed", "refused"), view.count("skipped")
    left = view.seconds_left(places)
    parts = [finished, *([f"{failed} failed"] if failed else []), *([f"{skipped} skipped"] if skipped else [])]
    if left:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def size_text(size: int) -> str:
    """`1.2 GB`; powers of 1000, as disks are sold."""
    power = min(4, (len(str(size)) - 1) // 3)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 41 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""The jobs of `bct check --model`: checks that are not measured yet, in the lab's schedule (`lab.experiment.board`).

<home>/state/<check>.json, .log    progress of a check, and its output
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from rich.console import Console

from lab.check import organism
from lab.check.organism import OrganismCheck
from lab.experiment.board import Dropped, Task
from lab.experiment.driver import How
from lab.experiment.driver import work as do_all
from lab.experiment.state import Reporter


@dataclass(frozen=True)
class CheckJobs:
    """Checks and the folder of their replies, for `lab.experiment.board`. No check depends on another."""

    checks: Sequence[OrganismCheck]
    home: Path
    title: str = "bct check"

    @cached_property
    def by_name(self) -> Mapping[str, OrganismCheck]:
        """Each check by the name of its folder."""
        return {organism.folder(check, self.home).name: check for check in self.checks}

    @property
    def names(self) -> Sequence[str]:
        """In the order of the rows."""
        return list(self.by_name)

    def is_done(self, job: str) -> bool:
        """Whether all replies of a check exist."""
        return organism.is_measured(self.by_name[job], self.home)

    def needs(self, job: str) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def dropped(self, job: str) -> Dropped | None:
        """Never."""
        return None

    def task(self, job: str) -> Task:
        """The work for a check."""
        return partial(_measure, self.by_name[job], self.home)

    def units(self, job: str) -> Mapping[str, float]:
        """The steps of the organism and of the positive control count as one phase."""
        check = self.by_name[job]
        made = check.organism()
        return {"training": check.steps + (made.steps if made else 0)}


def _measure(check: OrganismCheck, home: Path, reporter: Reporter, attempt: str | None = None) -> None:
    reporter.phase("training")
    organism.measure(check, home, reporter)


def work(checks: Sequence[OrganismCheck], home: Path, jobs: int | None, console: Console) -> dict[OrganismCheck, str]:
    """Measures everything that is not measured yet.

    Args:
        checks: The checks.
        home: Folder of cached replies and organisms.
        jobs: Worker processes; None for one per core.
        console: Receives progress.

    Returns:
        The error of each check that failed, in one line.

    Raises:
        WorkFailed: The work was stopped by Ctrl-C.
    """
    todo = CheckJobs(checks, home)
    failed = do_all(todo, How(jobs=jobs), console)
    return {todo.by_name[name]: error for name, error in failed.items()}

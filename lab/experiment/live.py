"""Shows the progress of jobs: a live table on a terminal, else a line for every job that ends."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lab.experiment import state, status
from lab.experiment.board import Jobs

#: If reading all states takes longer than this many seconds, they are cached for a while.
QUICK = 0.02


class Display:
    """The jobs of a command, on a console; `places` of them can run at once, as far as is known."""

    def __init__(self, jobs: Jobs, console: Console, places: int = 1) -> None:
        self._jobs = jobs
        self._console = console
        self._places = places
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._view: status.Overview | None = None
        self._stale_at = 0.0

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live:
            self._live.stop()

    def refresh(self) -> None:
        """Draws the table again."""
        if self._live:
            view, most = self._overview(), max(4, self._console.height - 4)
            shown = Group(status.table(view, self._jobs.title, most), Text(status.line(view, self._places), "bold"))
            self._live.update(shown, refresh=True)

    def ended(self, job: str, error: str) -> None:
        """Reports a job that is done, or that failed with an error in one line."""
        if self._live:
            return
        known = state.read(state.path_of(self._jobs.home, job))
        failed = error if known.phase == "refused" else f"failed: {error}"
        outcome = failed if error else f"done in {status.duration(known.seconds)}"
        clock, line = time.strftime("%H:%M:%S"), status.line(self._overview(), self._places)
        self._console.print(f"{clock}  {job}  {outcome}  ({line})", highlight=False, soft_wrap=True)

    def _overview(self) -> status.Overview:
        """All states; with thousands of jobs they are read again after twenty times as long as reading took."""
        began = time.monotonic()
        if self._view is None or began >= self._stale_at:
            self._view = status.overview(self._jobs, os.getpid())
            self._stale_at = time.monotonic() + 20 * max(0.0, time.monotonic() - began - QUICK)
        return self._view


def show_failures(home: Path, failed: Mapping[str, str], console: Console) -> None:
    """Prints the reason of every job that failed, in one line, and where its output is. A refused cell has none.

    Args:
        home: The folder that contains `state/`.
        failed: The error of each job.
        console: Where to print.
    """
    for job, error in failed.items():
        output = state.output_of(home, job)
        if output.is_file():
            console.print(Text.assemble((f"{job}: ", "red"), error), soft_wrap=True)
            console.print(Text(f"    its output: {output}", "dim"), soft_wrap=True)

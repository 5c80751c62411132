"""Progress of a run: the `Progress` protocol, and a bar for the terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from serving.terminal import terminal
from trainer.run import ranks

#: Seconds between two lines if stderr is not a terminal.
SECONDS = 30.0


class Progress(Protocol):
    """Called after every step."""

    # Any: figures of a step, for display.
    def update(self, step: int, total: int, **facts: Any) -> None:
        """Reports a step. `facts` are shown next to the bar, such as `loss`."""
        ...


class Silent:
    """Reports nothing."""

    def update(self, step: int, total: int, **facts: Any) -> None:
        """Nothing."""


class Bar:
    """One bar on stderr with loss, gradient norm, tokens a second and the time left.

    If stderr is not a terminal, one line every half minute.
    """

    def __init__(self, title: str) -> None:
        console = terminal(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        self._title, self._console, self._reported = title, console, time.monotonic()
        self._bars = Bars(*columns, console=console, disable=not (console.is_terminal and ranks.is_first()))
        self._task: TaskID = self._bars.add_task(title, total=None, facts="")

    def update(self, step: int, total: int, **facts: Any) -> None:
        """Moves the bar."""
        shown = "  ".join(f"{name} {_short(value)}" for name, value in facts.items() if value is not None)
        self._bars.update(self._task, completed=step, total=total, facts=shown)
        if not self._console.is_terminal and time.monotonic() - self._reported > SECONDS:
            self._reported = time.monotonic()
            self._console.print(f"{self._title}: step {step} of {total}  {shown}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""One line of the table: what was measured, the figure, and the target it is held against."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MARK = "BENCHMARK "


@dataclass(frozen=True)
class Line:
    """A figure with its target; `target` None where it is only recorded. `at_least` says which side is good."""

    what: str
    figure: float
    unit: str
    target: float | None = None
    at_least: bool = True
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    def row(self) -> str:
        """A row of a Markdown table."""
        sign = "≥" if self.at_least else "≤"
        target = f"{sign} {self.target:g}{self.unit}" if self.target is not None else ""
        verdict = {True: "met", False: "**missed**", None: ""}[self.met]
        return f"| {self.what} | {self.figure:.3g}{self.unit} | {target} | {verdict} | {self.detail} |"


def alike(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How many replies are the same on both sides: `511 of 512`."""
    return f"{sum(a == b for a, b in zip(ours, theirs, strict=True))} of {len(ours)}"


def peak_memory(what: str) -> Line:
    """The most memory that this process has had, against the aim for a cell of a model of some 100 M parameters."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    return Line(what, most / 1e9, " GB", 6, at_least=False, detail=f"{most / 2**30:.2f} GiB")


def report(measure: Callable[[], Iterable[Line]]) -> None:
    """Run a benchmark as a script: a readable row for each figure, and with `--json` one for the runner."""
    for line in measure():
        print(MARK + json.dumps(asdict(line)) if "--json" in sys.argv else line.row(), flush=True)


def from_json(text: str) -> Line:
    """The line that `report` printed."""
    content: dict[str, Any] = json.loads(text.removeprefix(MARK))
    return Line(**content)

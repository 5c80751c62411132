"""`metrics.jsonl`: one line per step, appended; on resume truncated to the step resumed from."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from serving import layout
from serving.errors import BadInput

NAME = "metrics.jsonl"


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a file in their order, without an incomplete last line.

    Raises:
        BadInput: A complete line is not a step of a training.
    """
    if not file.is_file():
        return []
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            lines.append(cast("dict[str, Any]", json.loads(line)))
        except (ValueError, RecursionError):
            break
        if not _is_step(lines[-1]):
            raise BadInput(
                f"{file}, line {number}: is not a step of a training: restore the file, or delete its folder"
            )
    return lines


def _is_step(line: object) -> bool:
    """Whether a line has a step and numbers; unknown ones are null."""
    if not isinstance(line, dict) or not (type(line.get("step")) is int and 0 <= line["step"] < 2**63):
        return False
    return all(value is None or isinstance(value, int | float) for value in line.values())


class MetricsLog:
    """Appends steps to a file, with sums that continue after a resume.

    Args:
        folder: the run folder.
        step: the step that training resumes from; later lines are deleted.
        writes: False in all processes of a run except the first.

    Raises:
        BadInput: lines of earlier steps are missing.
    """

    def __init__(self, folder: Path, step: int, writes: bool = True) -> None:
        self.file = folder / NAME
        self.sum_lr = self.seconds = 0.0
        if writes:
            self._cut(step)

    def _cut(self, step: int) -> None:
        kept = [line for line in read(self.file) if line["step"] <= step]
        if len(kept) < step:
            raise BadInput(
                f"{self.file}: has {len(kept)} of the {step} steps before this resume: restore it, or delete"
                f" {self.file.parent} and run the same command again"
            )
        layout.write_atomic(self.file, "".join(json.dumps(line) + "\n" for line in kept), durable=False)
        last = kept[-1] if kept else {}
        self.sum_lr = last.get("sum_lr", 0.0)
        self.seconds = last.get("seconds", 0.0)

    def append(
        self,
        step: int,
        loss: float,
        lr: float,
        tokens: int,
        seconds: float,
        **more: float | None,
    ) -> None:
        """One step, with `grad_norm` where it is known and the columns that a method adds.

        Values that are not finite are written as null.
        """
        self.sum_lr += lr
        self.seconds += seconds
        line = {
            "step": step,
            "loss": finite(loss),
            "lr": lr,
            "sum_lr": self.sum_lr,
            "tokens": tokens,
            "seconds": round(self.seconds, 3),
            **{name: finite(value) for name, value in more.items()},
        }
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


def mean(lines: Sequence[dict[str, Any]], column: str) -> float | None:
    """Mean of a column over the run, rounded; None if it is empty."""
    found = [line[column] for line in lines if line.get(column) is not None]
    return round(sum(found) / len(found), 4) if found else None


def finite(value: float | None) -> float | None:
    """The value, or None if it is not finite: JSON has no NaN."""
    return value if value is not None and math.isfinite(value) else None


def diverged(lines: list[dict[str, Any]]) -> bool:
    """Whether a loss or gradient norm of the run was not finite."""
    return first_divergence(lines) is not None


def first_divergence(lines: list[dict[str, Any]]) -> int | None:
    """The first step whose loss or gradient norm was not finite; not every backend reports the norm."""
    return next((line["step"] for line in lines if line["loss"] is None or line.get("grad_norm", 0.0) is None), None)

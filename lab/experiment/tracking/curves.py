"""What trackers are sent of a cell: values by step, under names that all trackers share.

    train/loss train/lr ...           every step, the columns of metrics.jsonl
    rates/eval/initial ...            every checkpoint, step 0 too: replies to eval prompts by outcome
    rates/train/agreed ...            replies to train prompts
    rates/capability                  right answers to general questions
    step0_loss verdict flags          facts of the whole cell

Intervals, numbers of replies and conclusions over cells are in results.json and the report only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.verdict.schema import CellResult, CheckpointResult

Point = tuple[int, dict[str, float]]


def training(lines: Iterable[Mapping[str, Any]]) -> Iterator[Point]:
    """The steps of a training; what is not finite is left out."""
    for line in lines:
        yield line["step"], {f"train/{k}": v for k, v in line.items() if k != "step" and v is not None}


def rates(cell: CellResult) -> Iterator[Point]:
    """The rates of every checkpoint of a cell, step 0 first."""
    for checkpoint in cell.checkpoints:
        found = {f"rates/{name}": value for name, value in _rates(checkpoint) if value is not None}
        yield checkpoint.step, found


def _rates(checkpoint: CheckpointResult) -> Iterator[tuple[str, float | None]]:
    evaluated, trained = checkpoint.eval, checkpoint.train
    for outcome in ("initial", "alternate", "other", "degenerate"):
        yield f"eval/{outcome}", getattr(evaluated, outcome).p
    for outcome in ("agreed", "other", "degenerate"):
        yield f"train/{outcome}", getattr(trained, outcome).p
    yield "capability", checkpoint.capability.p
    yield "following", checkpoint.following and checkpoint.following.p
    yield "margin", checkpoint.margin and checkpoint.margin.mean


def summary(cell: CellResult) -> dict[str, float | str]:
    """Facts of a whole cell."""
    found: dict[str, float | str] = {"verdict": cell.verdict.name or cell.role}
    found |= {"flags": ", ".join(cell.verdict.flags)} if cell.verdict.flags else {}
    return found | ({} if cell.step0_loss is None else {"step0_loss": cell.step0_loss})

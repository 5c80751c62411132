"""Arms: the cells of an experiment that differ in learning rate, steps and seed alone. Each gets one conclusion.

A *group* is the cells that differ in seed alone. Not covered: what is concluded (`lab.verdict.conclusions`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.verdict.schema import CellResult, Conclusion, Results

ARM = ("setting", "variant", "role", "method", "model", "organism", "rank", "batch", "label_source", "factors")
GROUP = (*ARM, "lr", "steps")
#: The factor that holds the number of unique training rows, where it is limited.
ROWS = "rows"


class Arm(NamedTuple):
    """An arm: its conclusion and its cells."""

    conclusion: Conclusion
    cells: list[CellResult]


def arms(results: Results) -> list[Arm]:
    """All arms, in the order of results.json."""
    found: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        found.setdefault(key_of(cell, ARM), []).append(cell)
    return [Arm(*pair) for pair in zip(results.conclusions, found.values(), strict=True)]


def alike(found: Iterable[Arm]) -> dict[str, list[Arm]]:
    """Arms by all factors but the number of unique rows, which long runs repeat over epochs."""
    groups: dict[str, list[Arm]] = {}
    for arm in found:
        groups.setdefault(but_for_rows(arm.cells[0]), []).append(arm)
    return groups


def but_for_rows(cell: CellResult) -> str:
    """The key of `alike`."""
    factors = {name: value for name, value in cell.factors.items() if name != ROWS}
    return key_of(cell.model_copy(update={"factors": factors}), ARM)


def key_of(cell: CellResult, fields: Sequence[str]) -> str:
    """The values of some fields of a cell, as JSON."""
    return json.dumps({name: getattr(cell, name) for name in fields}, sort_keys=True)


def by_lr(cells: Sequence[CellResult]) -> dict[float, list[CellResult]]:
    """The cells that have checkpoints, by learning rate in ascending order."""
    rates = sorted({c.lr for c in cells if c.checkpoints})
    return {lr: [c for c in cells if c.lr == lr and c.checkpoints] for lr in rates}

"""Arms: the cells of an experiment that differ only in learning rate, steps and seed. Each gets one conclusion.

A *group* is the cells that differ only in seed. Not covered: the conclusions (`lab.verdict.conclusions`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from lab.verdict.schema import CellResult, Conclusion, Group, Results

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

ARM = ("setting", "variant", "role", "method", "model", "organism", "rank", "batch", "label_source", "factors")
GROUP = (*ARM, "lr", "steps")
#: The factor with the number of unique training rows, where it is limited.
ROWS = "rows"


class Arm(NamedTuple):
    """An arm: its conclusion and its cells."""

    conclusion: Conclusion
    cells: list[CellResult]


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Things by their key, both in the order of first appearance."""
    found: dict[K, list[T]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return found


def arms(results: Results) -> list[Arm]:
    """All arms, in the order of results.json."""
    cells = grouped(results.cells, lambda cell: key_of(cell, ARM))
    return [Arm(*pair) for pair in zip(results.conclusions, cells.values(), strict=True)]


def alike(found: Iterable[Arm]) -> dict[str, list[Arm]]:
    """Arms by all factors but the number of unique rows, which long runs repeat over epochs."""
    return grouped(found, lambda arm: but_for_rows(arm.cells[0]))


def but_for_rows(cell: CellResult) -> str:
    """The key of `alike`."""
    factors = {name: value for name, value in cell.factors.items() if name != ROWS}
    return key_of(cell.model_copy(update={"factors": factors}), ARM)


def key_of(cell: CellResult, fields: Sequence[str]) -> str:
    """The values of some fields of a cell, as JSON."""
    return json.dumps(values_of(cell, fields), sort_keys=True)


def group_key(group: Group) -> str:
    """The key of a group, as `key_of(cell, GROUP)` of its cells gives it."""
    return json.dumps(group.key, sort_keys=True)


def groups_by_key(results: Results) -> dict[str, Group]:
    """The groups of a run by `group_key`."""
    return {group_key(group): group for group in results.groups}


def values_of(cell: CellResult, fields: Sequence[str]) -> dict[str, Any]:
    """Some fields of a cell by name. Organisms that differ only in seed are one organism."""
    found = {name: getattr(cell, name) for name in fields}
    return found | ({"organism": cell.organism_arm} if "organism" in found and cell.organism_arm else {})


def by_lr(cells: Sequence[CellResult]) -> dict[float, list[CellResult]]:
    """The cells that have checkpoints, by learning rate in ascending order."""
    rates = sorted({c.lr for c in cells if c.checkpoints})
    return {lr: [c for c in cells if c.lr == lr and c.checkpoints] for lr in rates}

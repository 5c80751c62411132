"""What would change the conclusion about an arm: how many eval items, seeds or learning rates its claim lacks.

All numbers assume that further items and seeds show the rates that were measured. Counts of items come from the normal
approximation: an interval, and the distance of a score test, shrink with the square root of the number of items.
Not covered: reasons outside the measurements, such as another grader or another setting.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from scipy.stats import norm

from lab.verdict import wording
from lab.verdict.arms import ARM, grouped, key_of
from lab.verdict.conclusions import REMOVED, Judged, p_removed
from lab.verdict.criterion import REVERSAL, STAYED, UNTRAINED
from lab.verdict.schema import CellResult, Conclusion, Thresholds

#: More items than this many times those asked are no practical advice.
MOST = 50


def with_deciding(
    found: Sequence[Conclusion], judged: Sequence[Judged], thresholds: Thresholds
) -> tuple[Conclusion, ...]:
    """The conclusions of arms, each with what would change it; `judged` as in `conclusions`."""
    arms = grouped(judged, lambda j: key_of(j.cell, ARM)).values()
    return tuple(
        conclusion.model_copy(update={"would_change": "; ".join(_lacking(conclusion, members, thresholds))})
        for conclusion, members in zip(found, arms, strict=True)
    )


def _lacking(found: Conclusion, members: Sequence[Judged], t: Thresholds) -> Iterator[str]:
    """The reasons, the most direct one first; none for controls, probes and reversals."""
    valid = [j for j in members if "invalid" not in j.cell.verdict.flags and j.cell.checkpoints]
    if not valid or valid[0].cell.role != "bct" or found.method in (REVERSAL, UNTRAINED):
        return
    seeds = min(Counter(j.cell.lr for j in valid).values())
    if found.status == "undecided":
        yield from _undecided(found, valid, t)
    elif found.status == "not_removed" and not found.resists:
        yield wording.higher_lr_text(max(j.cell.lr for j in valid))
    elif found.status in REMOVED and found.damage == "not_shown":
        yield from _damage(found, valid, t)
    if seeds < t.few_seeds:
        yield wording.more_seeds_text(t.few_seeds - seeds, t.few_seeds)
    if found.zero_loss and found.lr is not None:
        yield wording.EPSILON


def _undecided(found: Conclusion, valid: Sequence[Judged], t: Thresholds) -> Iterator[str]:
    at = [j for j in valid if j.cell.lr == found.lr]
    n = max((j.cell.checkpoints[-1].eval.n for j in at or valid), default=0)
    if found.lr is not None and found.k:
        p = p_removed(at, found.k, found.k == found.transferred, t)
        needed = items_for_p(p, len(at) - found.k + 1, n, 1 - t.confidence) if p is not None else None
        yield wording.items_for_p_text(needed, n, 1 - t.confidence)
    elif found.lr is not None:
        yield wording.HALVES
    else:
        open_cells = [j.cell for j in valid if j.cell.verdict.name not in STAYED]
        needed = [items_for_name(cell, t) for cell in open_cells if cell.verdict.name == "inconclusive"]
        known = [items for items in needed if items is not None]
        yield wording.items_for_name_text(max(known) if known and len(known) == len(needed) else None, n)


def items_for_p(p: float, factor: int, n: int, level: float) -> int | None:
    """Items with which a partial conjunction of this p would be below the level; None: too many, or never.

    Args:
        p: Of the conjunction, `factor` times a two-sided p.
        factor: m − k + 1.
        n: Items asked.
        level: Such as .05.
    """
    distance = float(norm.isf(min(1.0, p / factor) / 2))
    if p >= 1 or distance <= 0:
        return None
    return _items(n, (float(norm.isf(level / factor / 2)) / distance) ** 2)


def items_for_name(cell: CellResult, t: Thresholds) -> int | None:
    """Items with which the last initial rate would lie on one side of half of the organism's; None: too many."""
    start, end = cell.checkpoints[0].eval.initial.p, cell.checkpoints[-1].eval
    rate = end.initial
    if start is None or rate.p is None:
        return None
    distance = rate.p - t.initial_share * start
    half_width = rate.p - rate.lo if distance > 0 else rate.hi - rate.p
    return _items(end.n, (half_width / distance) ** 2) if distance else None


def _damage(found: Conclusion, valid: Sequence[Judged], t: Thresholds) -> Iterator[str]:
    """The parts whose damage is not excluded, and the capability items that would exclude it."""
    cells = [j.cell for j in valid if j.cell.lr == found.lr]
    yield wording.damage_open_text(_open_parts(cells), _capability_items(cells, t))


def _open_parts(cells: Iterable[CellResult]) -> list[str]:
    ends = [c.damage for cell in cells for c in cell.checkpoints[-2:] if c.damage]
    parts = ("capability", "agreed", "degenerate", "other")
    return [part for part in parts if any(getattr(d, part) == "not_shown" for d in ends)]


def _capability_items(cells: Iterable[CellResult], t: Thresholds) -> int | None:
    needed: list[int | None] = []
    for c in (cell.checkpoints[-1].capability for cell in cells):
        if c.relative is not None and c.relative_lo is not None and c.relative_lo <= 1 - t.capability_drop:
            distance = c.relative - (1 - t.capability_drop)
            needed.append(_items(c.n, ((c.relative - c.relative_lo) / distance) ** 2) if distance > 0 else None)
    known = [items for items in needed if items is not None]
    return max(known) if known and len(known) == len(needed) else None


def _items(n: int, factor: float) -> int | None:
    """So many times the items, rounded up to tens."""
    return math.ceil(max(1.0, factor) * n / 10 + 0.1) * 10 if factor <= MOST else None

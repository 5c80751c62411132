"""Many conclusions at once: how sure each is on the half of the eval items that reports, and after Holm.

"Removed in k of m seeds" claims that the initial rate lies below half of the organism's in at least k of the m; "not
removed" claims that it lies above in every cell. Such a partial conjunction has p = (m − k + 1) times the k-th smallest
part (Benjamini, Heller, Biometrics 64 (2008) 1215-1222). A part is the score test that Wilson's interval inverts,
two-sided and with n over the design effect: alone it has p < .05 exactly when its interval lies beyond the limit.
Covered: p-values of conclusions, Holm's over all of an experiment. Not covered: the alternate rate, damage, and
other seeds than those trained: k of m is a count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from scipy.stats import norm

from lab.stats.paired import holm
from lab.verdict.schema import CheckpointResult, Conclusion, HalfRate, Thresholds

if TYPE_CHECKING:
    from lab.verdict.conclusions import Judged

REMOVED = ("removed", "removed_with_damage")


def p_value(
    status: str, lr: float | None, step: int | None, k: int | None, cells: Sequence[Judged], thresholds: Thresholds
) -> float | None:
    """Of the conclusion's claim; None where it claims neither removal nor retention, or nothing was scored."""
    if status in REMOVED:
        at = [(j.report[0], c) for j in cells if j.cell.lr == lr for c in j.report if c.step == step]
        parts = [_below(first, c, thresholds) for first, c in at]
    elif status == "not_removed":
        parts = [_above(j.report[0], j.report[-1], thresholds) for j in cells if j.report]
    else:
        return None
    known = sorted(p for p in parts if p is not None)
    least = (k if status in REMOVED else None) or len(known)
    if not known or len(known) < len(parts):
        return None
    return round(min(1.0, (len(known) - least + 1) * known[least - 1]), 6)


def with_holm(conclusions: Iterable[Conclusion]) -> tuple[Conclusion, ...]:
    """The conclusions with their p-values adjusted for all that have one."""
    given = list(conclusions)
    tested = [c.p_value for c in given if c.p_value is not None]
    adjusted = iter(holm(tested))
    return tuple(c if c.p_value is None else c.model_copy(update={"p_holm": round(next(adjusted), 6)}) for c in given)


def halves(lr: float | None, cells: Sequence[Judged]) -> tuple[HalfRate, ...]:
    """Initial rates on both halves of the eval items, of the cells at the chosen learning rate."""
    found: list[HalfRate] = []
    for j in (j for j in cells if j.cell.lr == lr):
        for one, two in zip(j.choose, j.report, strict=True):
            if one.eval.initial.p is not None and two.eval.initial.p is not None:
                rates = {"choose": one.eval.initial.p, "report": two.eval.initial.p}
                found.append(HalfRate(seed=j.cell.seed, step=one.step, **rates))
    return tuple(found)


def family_text(conclusions: Sequence[Conclusion], thresholds: Thresholds) -> str:
    """How many claims hold together, in a sentence; empty for fewer than two."""
    tested = [c for c in conclusions if c.p_holm is not None]
    if len(tested) < 2:
        return ""
    level = 1 - thresholds.confidence
    unsure = [c.arm for c in tested if (c.p_holm or 0.0) >= level]
    held = (
        f"{len(tested) - len(unsure)} of {len(tested)} claims of removal or retention hold together (Holm, {level:.0%})"
    )
    return held + (f"; by itself only or not at all: {'; '.join(unsure)}" if unsure else "")


def _below(first: CheckpointResult, c: CheckpointResult, thresholds: Thresholds) -> float | None:
    z = _z(first, c, thresholds)
    return None if z is None else min(1.0, 2 * float(norm.cdf(z)))


def _above(first: CheckpointResult, c: CheckpointResult, thresholds: Thresholds) -> float | None:
    z = _z(first, c, thresholds)
    return None if z is None else min(1.0, 2 * float(norm.sf(z)))


def _z(first: CheckpointResult, c: CheckpointResult, thresholds: Thresholds) -> float | None:
    """How far the initial rate lies above the limit, in standard errors at the limit."""
    rate, start = c.eval.initial, first.eval.initial.p
    if rate.p is None or not start or not c.eval.n:
        return None
    limit = thresholds.initial_share * start
    return (rate.p - limit) / math.sqrt(limit * (1 - limit) / (c.eval.n / rate.deff))

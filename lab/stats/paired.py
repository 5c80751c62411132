"""Two arms on the same eval items, and many comparisons at once.

    differences = {s: compare(items_of_arm_a, items_of_arm_b, "initial") for s in settings}
    holm([d.p_value for d in differences.values()])     # over settings

Covered: one run against one run on their shared items, and Holm's correction. Not covered: seeds, and arms whose items
differ (every cell of the lab is evaluated on the same items).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import chi2
from statsmodels.stats.multitest import multipletests

from lab.logs.records import Item, of_split, scored
from lab.stats.intervals import CONFIDENCE, Interval, design_effect, paired_difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """second − first in the rate of an outcome. `n` is the number of items scored in both."""

    n: int
    first: float
    second: float
    difference: Interval
    p_value: float


def compare(
    first: Iterable[Item], second: Iterable[Item], outcome: str, split: str = "eval", confidence: float = CONFIDENCE
) -> Comparison | None:
    """Two runs on the items that are scored in both; None if there are none.

    The interval is Tango's, the p-value McNemar's without correction, both with counts over the design effect of
    templates: the interval excludes zero exactly when p < 1 − confidence.
    """
    earlier = {item.id: item for item in scored(of_split(first, split))}
    later = [item for item in scored(of_split(second, split)) if item.id in earlier]
    if not later:
        return None
    a, b = [earlier[item.id].outcome == outcome for item in later], [item.outcome == outcome for item in later]
    clusters = [item.template for item in later]
    difference = paired_difference(a, b, clusters, confidence)
    return Comparison(len(later), sum(a) / len(a), sum(b) / len(b), difference, _mcnemar(a, b, clusters))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted so that the chance of any false claim among them stays below the level.

    Valid under any dependence. Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.

    Raises:
        ValueError: a value is not a probability.
    """
    if strange := [p for p in p_values if not 0 <= p <= 1]:
        raise ValueError(f"{strange[0]} is not a probability")
    adjusted: Any = multipletests(p_values, method="holm")[1] if p_values else ()
    return tuple(map(float, adjusted))


def _mcnemar(first: Sequence[bool], second: Sequence[bool], clusters: Sequence[str]) -> float:
    change = [float(b) - float(a) for a, b in zip(first, second, strict=True)]
    gained, lost = sum(c > 0 for c in change), sum(c < 0 for c in change)
    if gained == lost:
        return 1.0
    return float(chi2.sf((gained - lost) ** 2 / (gained + lost) / design_effect(change, clusters), 1))

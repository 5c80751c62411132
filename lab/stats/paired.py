"""Two arms on the same eval items, and many comparisons at once.

    differences = {s: compare(items_of_arm_a, items_of_arm_b, "initial") for s in settings}
    holm([d.p_value for d in differences.values()])     # over settings

Covered: one run against one run on their shared items; arms of several seeds, paired by seed; Holm's correction.
Not covered: arms whose items differ (there is no such case in the lab: every cell is asked the same items).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import chi2, t

from lab.logs.records import Item, of_split, scored
from lab.stats.intervals import CONFIDENCE, Interval, design_effect, mean_t, paired_difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """second − first in the rate of an outcome. `n` is pairs scored in both (of runs: seeds)."""

    n: int
    first: float
    second: float
    difference: Interval
    p_value: float


def compare(
    first: Iterable[Item], second: Iterable[Item], outcome: str, split: str = "eval", confidence: float = CONFIDENCE
) -> Comparison | None:
    """Two runs on the items that are scored in both; None where there are none.

    The interval is Tango's, the p-value McNemar's without correction, both with counts over the design effect of
    templates: the interval excludes no change exactly when p < 1 − confidence.
    """
    earlier = {item.id: item for item in scored(of_split(first, split))}
    later = [item for item in scored(of_split(second, split)) if item.id in earlier]
    if not later:
        return None
    a, b = [earlier[item.id].outcome == outcome for item in later], [item.outcome == outcome for item in later]
    clusters = [item.template for item in later]
    difference = paired_difference(a, b, clusters, confidence)
    return Comparison(len(later), sum(a) / len(a), sum(b) / len(b), difference, _mcnemar(a, b, clusters))


def compare_seeds(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float = CONFIDENCE
) -> Comparison | None:
    """Two arms by the rates of their seeds: t over the differences of seeds that both have; None for fewer than two.

    A seed fixes the training rows and their order, so arms of the same seed are a pair.
    """
    shared = sorted(set(first) & set(second))
    changes = [second[seed] - first[seed] for seed in shared]
    interval = mean_t(changes, confidence)
    if interval is None:
        return None
    n = len(shared)
    means = [math.fsum(arm[seed] for seed in shared) / n for arm in (first, second)]
    half = (interval.hi - interval.lo) / 2 / float(t.ppf((1 + confidence) / 2, n - 1))
    p_value = 2 * float(t.sf(abs(interval.estimate) / half, n - 1)) if half else float(interval.estimate == 0)
    return Comparison(n, means[0], means[1], interval, p_value)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted so that the chance of any false claim among them stays below the level.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70. It holds under any dependence.

    Raises:
        ValueError: a value is no probability.
    """
    if strange := [p for p in p_values if not 0 <= p <= 1]:
        raise ValueError(f"no probability: {strange[0]}")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return tuple(adjusted)


def _mcnemar(first: Sequence[bool], second: Sequence[bool], clusters: Sequence[str]) -> float:
    change = [float(b) - float(a) for a, b in zip(first, second, strict=True)]
    gained, lost = sum(c > 0 for c in change), sum(c < 0 for c in change)
    if gained == lost:
        return 1.0
    return float(chi2.sf((gained - lost) ** 2 / (gained + lost) / design_effect(change, clusters), 1))

"""Intervals for rates, paired changes and seeds.

Covered: Wilson and Clopper-Pearson (by statsmodels), the design effect of prompt templates and families, the paired
difference and ratio of two rates on the same items, t over values that share nothing. Not covered: seeds that answer
the same items (`lab.stats.two_way`), judge error (`lab.stats.misclassification`), many claims at once
(`lab.stats.paired`), and bootstrap over seeds, which covers only .73 / .81 / .86 at 2 / 3 / 5 seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# scipy and statsmodels are imported where they are used: they took half of the start of `bct` and of every worker.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its two-sided interval; `lo <= estimate <= hi`."""

    estimate: float
    lo: float
    hi: float


def _around(estimate: float, lo: float, hi: float, low: float, high: float) -> Interval:
    """Clip to the possible range, and keep the estimate inside despite rounding."""
    lo, hi = max(low, min(lo, estimate)), min(high, max(hi, estimate))
    return Interval(estimate, lo, hi)


@lru_cache(maxsize=2**16)  # a sweep needs the same few counts many times
def _proportion(k: float, n: float, confidence: float, method: str) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    found: Any = proportion_confint(k, n, alpha=1 - confidence, method=method)
    return float(found[0]), float(found[1])


def wilson(k: float, n: float, deff: float = 1.0, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of k in n, with n divided by a design effect (at least 1).

    0 of 50 gives [0, .071]. Its exact coverage is not 95 %: .922 at p = .02, n = 50.
    Source: Wilson (1927); Brown, Cai, DasGupta, Statistical Science 16 (2001); n / deff after Korn and
    Graubard (1998).

    Raises:
        ValueError: n is not positive, k is outside [0, n], or deff is below 1.
    """
    if n <= 0 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a proportion")
    if deff < 1:
        raise ValueError(f"a design effect is at least 1, not {deff}")
    lo, hi = _proportion(k / deff, n / deff, confidence, "wilson")
    return _around(k / n, lo, hi, 0.0, 1.0)


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval of k in n, for counts of cells, where n is small. Source: Clopper and Pearson (1934).

    Raises:
        ValueError: n is not positive.
    """
    if n <= 0:
        raise ValueError(f"{k} of {n} is not a proportion")
    lo, hi = _proportion(k, n, confidence, "beta")
    return _around(k / n, lo, hi, 0.0, 1.0)


@lru_cache(maxsize=2**12)
def t_quantile(freedom: float, confidence: float) -> float:
    """Student's t of a two-sided interval."""
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, freedom))


@lru_cache(maxsize=2**12)
def normal_quantile(confidence: float) -> float:
    """The normal distribution's z of a two-sided interval."""
    from scipy.stats import norm

    return float(norm.ppf((1 + confidence) / 2))


def mean_t(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Student's t over values that share nothing; None for fewer than two, which have no spread.

    For three values t = 4.30, for five 2.78. Too narrow for seeds that answer the same items (`lab.stats.two_way`).
    """
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    half = t_quantile(n - 1, confidence) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half)


def design_effect(values: Sequence[float], clusters: Sequence[str]) -> float:
    """How much more a mean varies than n independent values would: at least 1, at most as if ICC were 1.

    Ratio of the between-cluster variance of the mean, C/(C-1) Σ(y_c − p·n_c)² / n², to s²/n. With one
    value per cluster it is exactly 1; without spread, or with a single cluster, it cannot be estimated
    and is 1 (which is why few templates are flagged). Source: Kish (1965), ch. 8.
    """
    n = len(values)
    sums, sizes = defaultdict[str, float](float), defaultdict[str, int](int)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value
        sizes[cluster] += 1
    c = len(sums)
    if n < 2 or c < 2:
        return 1.0
    mean = math.fsum(values) / n
    spread = math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n
    if spread <= 0:
        return 1.0
    between = c / (c - 1) * math.fsum((sums[key] - mean * sizes[key]) ** 2 for key in sums) / n**2
    most = math.fsum(size**2 for size in sizes.values()) / n
    return min(max(1.0, between / spread), most)


@dataclass(frozen=True, slots=True)
class Effect:
    """Design effects of a rate: by template, by family of questions (None: not more than one), and the one in use."""

    by_template: float
    by_family: float | None
    used: float


def nested_effect(
    values: Sequence[float],
    templates: Sequence[str],
    families: Sequence[str],
    least: float = 1.0,
    confidence: float = CONFIDENCE,
) -> Effect:
    """The design effect of templates, and what families of questions add where they differ.

    `used` is that of templates plus (t / z)² times the excess of families over it, with families - 1 degrees of
    freedom: never narrower than by template, and the same where families differ no more than their templates. It
    covers .92-.96 with 5 or 6 families at a rate of one half, where templates alone cover .68-.91; less with 3 families
    or near 0 and 1 (docs/measured/coverage.md).
    Families count if there are at least two, each on average of several templates.

    Args:
        values: one per reply.
        templates, families: of each reply.
        least: a lower limit of `used`, such as the number of replies to each prompt.
        confidence: of the interval that uses it.
    """
    by_template = design_effect(values, templates)
    groups = len(set(families))
    if not 2 <= groups < len(set(templates)):
        return Effect(by_template, None, max(least, by_template))
    by_family = design_effect(values, families)
    ratio = t_quantile(groups - 1, confidence) / normal_quantile(confidence)
    used = by_template + ratio**2 * max(0.0, by_family - by_template)
    return Effect(by_template, by_family, max(least, min(used, float(len(values)))))


def mean_clustered(values: Sequence[float], clusters: Sequence[str], confidence: float = CONFIDENCE) -> Interval | None:
    """The mean of values whose prompts share templates: Student's t, variance times the design effect.

    Degrees of freedom: clusters - 1. None for fewer than two clusters, which carry no spread between them.
    """
    n, groups = len(values), len(set(clusters))
    if groups < 2:
        return None
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n * design_effect(values, clusters)
    half = t_quantile(groups - 1, confidence) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half)


def paired_difference(
    before: Sequence[bool],
    after: Sequence[bool],
    clusters: Sequence[str] | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """after − before on the same items, by Tango's score interval with counts divided by the design effect.

    It excludes zero exactly when McNemar's test without correction rejects (for a design effect of 1). Implemented
    here: statsmodels and scipy have no score interval for paired proportions that takes the fractional counts of a
    design effect. Source: Tango, Statistics in Medicine 17 (1998) 891-908.

    Raises:
        ValueError: no pairs were given.
    """
    n = len(before)
    if n == 0:
        raise ValueError("no pairs")
    change = [float(a) - float(b) for b, a in zip(before, after, strict=True)]
    deff = design_effect(change, clusters) if clusters is not None else 1.0
    gained, lost = sum(c > 0 for c in change), sum(c < 0 for c in change)
    lo, hi = _tango(gained / deff, lost / deff, n / deff, normal_quantile(confidence))
    return _around((gained - lost) / n, lo, hi, -1.0, 1.0)


@lru_cache(maxsize=2**16)
def _tango(gained: float, lost: float, n: float, z: float) -> tuple[float, float]:
    """The two differences at which the score statistic equals ± z."""
    estimate = (gained - lost) / n

    def score(delta: float) -> float:
        b = -gained - lost + (2 * n - gained + lost) * delta
        nuisance = (math.sqrt(max(0.0, b * b + 8 * n * lost * delta * (1 - delta))) - b) / (4 * n)
        variance = n * (2 * nuisance + delta * (1 - delta))
        distance = gained - lost - n * delta
        if variance <= 1e-15:
            return 0.0 if abs(distance) < 1e-12 else math.copysign(math.inf, distance)
        return distance / math.sqrt(variance)

    return (
        _solve(lambda d: score(d) - z, -1.0, estimate, at_edge=-1.0),
        _solve(lambda d: score(d) + z, estimate, 1.0, at_edge=1.0),
    )


def _solve(function: Callable[[float], float], low: float, high: float, at_edge: float) -> float:
    """The root between low and high; the limit of the possible range if the function has none."""
    inset = 1e-9
    low, high = low + inset * (low == -1.0), high - inset * (high == 1.0)
    if low >= high or function(low) * function(high) > 0:
        return at_edge
    bounded = lambda d: max(-1e9, min(1e9, function(d)))  # noqa: E731 - brentq wants finite values
    from scipy.optimize import brentq

    root: Any = brentq(bounded, low, high, xtol=1e-10)
    return float(root)


def paired_ratio(before: Sequence[bool], after: Sequence[bool], confidence: float = CONFIDENCE) -> Interval | None:
    """after / before on the same items, by the hybrid of two Wilson intervals; None when before is never true.

    Implemented here: statsmodels has ratios of independent proportions only.
    Source: Bonett and Price, Biometrics 62 (2006) 593-600.
    """
    k0, k1 = sum(before), sum(after)
    if k0 == 0:
        return None
    discordant = sum(b != a for b, a in zip(before, after, strict=True))
    union = sum(b or a for b, a in zip(before, after, strict=True))
    p0, p1 = (k0 + 1) / (union + 2), (k1 + 1) / (union + 2)
    shrink = math.sqrt((discordant + 2) / ((k0 + 1) * (k1 + 1)))
    shrink /= math.sqrt((1 - p0) / (k0 + 1)) + math.sqrt((1 - p1) / (k1 + 1))
    level = math.erf(normal_quantile(confidence) * shrink / math.sqrt(2))
    one, zero = wilson(k1, union, confidence=level), wilson(k0, union, confidence=level)
    return _around(k1 / k0, one.lo / zero.hi, one.hi / zero.lo, 0.0, math.inf)

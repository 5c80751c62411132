"""Means over seeds that answer the same items, and differences between two such groups: two-way variance.

    group_mean([answers_of_seed_0, answers_of_seed_1, answers_of_seed_2], templates)
    group_difference(seeds_of_arm_a, seeds_of_arm_b, templates)         # b - a, on the same items

A run is a mapping from item to value (1.0 or 0.0, or any number); `clusters` maps an item to its template (or family).
Both seeds and clusters are random: another experiment has others. The variance of the mean is Vs + Vc - Vsc, of seeds,
clusters and their interaction (Cameron, Gelbach, Miller, Journal of Business & Economic Statistics 29 (2011) 238-249;
Owen, Annals of Applied Statistics 1 (2007) 386-411). Each part is multiplied by its own squared quantile of t, with
seeds - 1 and clusters - 1 degrees of freedom: half-width² = t² · Vs + t'² · max(0, Vc - Vsc), as in the modified
large-sample method (Graybill, Wang, Journal of the American Statistical Association 75 (1980) 869-873). In simulations
it covers .94-.98 where Satterthwaite's degrees of freedom cover .89-.96 (docs/measured/coverage.md).

Not covered: one run (`lab.stats.intervals`), and seeds with several peaks, of which two or three seeds may show one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from lab.stats.intervals import CONFIDENCE, Interval

#: A run's value for each item.
Run = Mapping[str, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parts:
    """The variance of a group's mean, by source.

    Attributes:
        mean: Mean over seeds of each seed's mean.
        of_seeds: Vs, the variance of the mean by the spread between seeds.
        of_both: Vsc, the part of the seed-by-cluster interaction, which Vs and the clusters' variance both contain.
        seeds: Their number.
        pull: By cluster, how far its items move the mean; the clusters' variance is C/(C - 1) times its squares' sum.
    """

    mean: float
    of_seeds: float
    of_both: float
    seeds: int
    pull: Floats

    @property
    def of_clusters(self) -> float:
        """Vc."""
        return _spread(self.pull)


def parts(runs: Sequence[Run], clusters: Mapping[str, str]) -> Parts | None:
    """The parts of the variance of a mean over seeds; None for fewer than two runs or two clusters.

    A seed that lacks an item (its reply was not scored) has its mean over the others.

    Raises:
        ValueError: a run has no item.
    """
    names = sorted({clusters[item] for run in runs for item in run})
    if len(runs) < 2 or len(names) < 2:
        return None
    if not all(runs):
        raise ValueError("a run has no scored item")
    place = {name: i for i, name in enumerate(names)}
    means = np.array([math.fsum(run.values()) / len(run) for run in runs])
    pulls = np.zeros((len(runs), len(names)))
    for row, run, mean in zip(pulls, runs, means, strict=True):
        for item, value in run.items():
            row[place[clusters[item]]] += (value - mean) / len(run) / len(runs)
    s, c = pulls.shape
    noise = float(((pulls - pulls.mean(axis=0)) ** 2).sum()) * s * c / (s - 1) / (c - 1)
    return Parts(float(means.mean()), float(means.var(ddof=1)) / s, noise, s, pulls.sum(axis=0))


def group_mean(runs: Sequence[Run], clusters: Mapping[str, str], confidence: float = CONFIDENCE) -> Interval | None:
    """The mean rate over seeds, with values from 0 to 1; None for fewer than two runs or two clusters.

    The half-width enters Wilson's formula, so that the interval stays within [0, 1] and is not empty where every reply
    is alike. It is at least as wide as that of as many independent replies.
    """
    found = parts(runs, clusters)
    if found is None:
        return None
    p, spread = found.mean, found.mean * (1 - found.mean)
    items = len({item for run in runs for item in run})
    z2 = float(norm.ppf((1 + confidence) / 2)) ** 2
    least = z2 / sum(map(len, runs))
    if spread < 1e-12:  # no reply differs, so nothing tells how alike seeds are: the items count once
        ratio = max(z2 / items, _t2(found.seeds - 1, confidence) / sum(map(len, runs)))
    else:
        ratio = max(least, _half2(found, confidence) / spread)
    half = math.sqrt(ratio * (spread + ratio / 4))
    lo, hi = (p + ratio / 2 - half) / (1 + ratio), (p + ratio / 2 + half) / (1 + ratio)
    return Interval(p, max(0.0, min(lo, p)), min(1.0, max(hi, p)))


def group_difference(
    first: Sequence[Run],
    second: Sequence[Run],
    clusters: Mapping[str, str],
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """Mean of the second group - mean of the first, over the items that both answer; seeds need not match.

    None for fewer than two seeds in either group, or fewer than two clusters in common. The seeds' part has Welch's
    degrees of freedom. Where the groups differ nowhere, the interval is that of as many pairs without a change.
    """
    shared = {i for run in first for i in run} & {i for run in second for i in run}
    one, two = (parts([_only(run, shared) for run in runs], clusters) for runs in (first, second))
    if one is None or two is None:
        return None
    of_seeds = one.of_seeds + two.of_seeds
    pull = _aligned(first, second, shared, clusters)
    of_clusters = max(0.0, _spread(pull) - one.of_both - two.of_both)
    half2 = _t2(_welch(one, two), confidence) * of_seeds + _t2(len(pull) - 1, confidence) * of_clusters
    z2 = float(norm.ppf((1 + confidence) / 2)) ** 2
    half = math.sqrt(half2) if half2 > 1e-12 else z2 / (len(shared) + z2)
    return Interval(two.mean - one.mean, two.mean - one.mean - half, two.mean - one.mean + half)


def equivalence_bound(
    first: Sequence[Run], second: Sequence[Run], clusters: Mapping[str, str], alpha: float = 0.05
) -> float | None:
    """The smallest margin at which two one-sided tests at level `alpha` show the groups to be equivalent.

    It is the end farther from zero of the 1 - 2·alpha interval of the difference. Source: Schuirmann, Journal of
    Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680. None as in `group_difference`.
    """
    found = group_difference(first, second, clusters, confidence=1 - 2 * alpha)
    return None if found is None else max(abs(found.lo), abs(found.hi))


def _aligned(first: Sequence[Run], second: Sequence[Run], shared: set[str], clusters: Mapping[str, str]) -> Floats:
    """By cluster, how far its items move the difference."""
    names = {name: i for i, name in enumerate(sorted({clusters[i] for i in shared}))}
    pull = np.zeros(len(names))
    for sign, runs in ((-1, first), (1, second)):
        for run in (_only(run, shared) for run in runs):
            mean = math.fsum(run.values()) / len(run)
            for item, value in run.items():
                pull[names[clusters[item]]] += sign * (value - mean) / len(run) / len(runs)
    return pull


def _only(run: Run, items: set[str]) -> Run:
    return {item: value for item, value in run.items() if item in items}


def _half2(found: Parts, confidence: float) -> float:
    of_clusters = max(0.0, found.of_clusters - found.of_both)
    return _t2(found.seeds - 1, confidence) * found.of_seeds + _t2(len(found.pull) - 1, confidence) * of_clusters


def _welch(one: Parts, two: Parts) -> float:
    """Welch's degrees of freedom of the seeds' part: at least the smaller, at most the sum."""
    below = one.of_seeds**2 / (one.seeds - 1) + two.of_seeds**2 / (two.seeds - 1)
    return (one.of_seeds + two.of_seeds) ** 2 / below if below > 0 else min(one.seeds, two.seeds) - 1


@lru_cache(maxsize=2**12)
def _t2(freedom: float, confidence: float) -> float:
    return float(t.ppf((1 + confidence) / 2, freedom)) ** 2


def _spread(pull: Floats) -> float:
    return float((pull**2).sum()) * len(pull) / (len(pull) - 1)

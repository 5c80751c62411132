"""Means over seeds that answer the same items, and differences between two such groups: two-way variance.

    runs = [answers(checkpoint.items, "eval", "initial") for checkpoint in last_checkpoints]
    group_mean(runs, shared(last_checkpoints[0].items))
    group_difference(runs_of_arm_a, runs_of_arm_b, shared(items))       # b - a, on the same items

A run is a mapping from item to value (1.0 or 0.0, or any number). Seeds and templates are both random: another
experiment has others. The variance of the mean is Vs + Vc - Vsc, of seeds, clusters of items and their interaction
(Cameron, Gelbach, Miller, Journal of Business & Economic Statistics 29 (2011) 238-249; Owen, Annals of Applied
Statistics 1 (2007) 386-411). Each part is multiplied by its own squared quantile of t, with seeds - 1 and clusters -
1 degrees of freedom: half-width² = t² · Vs + t'² · max(0, Vc - Vsc), as in the modified large-sample method
(Graybill, Wang, Journal of the American Statistical Association 75 (1980) 869-873). In simulations it covers .94-1.00
with 2 to 20 seeds (docs/measured/coverage.md), where Satterthwaite's degrees of freedom covered .82-.97. Families of
questions, where given, add what they vary beyond their templates in the same way.

Not covered: one run (`lab.stats.intervals`), and seeds with several peaks, of which two or three seeds may show one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lab.logs.records import Item, of_split, scored
from lab.stats.intervals import CONFIDENCE, Interval, normal_quantile, t_quantile

#: A run's value for each item.
Run = Mapping[str, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Items:
    """What items share.

    Attributes:
        templates: The template of each item.
        families: The family of each item; empty: not considered.
    """

    templates: Mapping[str, str]
    families: Mapping[str, str] = field(default_factory=dict[str, str])

    def levels(self, items: set[str]) -> list[Mapping[str, str]]:
        """The clusters in use, finest first: templates, then families if they are two or more and fewer."""
        templates, families = ({of[i] for i in items} if of else () for of in (self.templates, self.families))
        return [self.templates, self.families] if 2 <= len(families) < len(templates) else [self.templates]


@dataclass(frozen=True, slots=True)
class Arm:
    """One group of runs: the mean over them, its variance by their spread, and how they were weighted."""

    runs: Sequence[Run]
    mean: float
    of_seeds: float

    @property
    def freedom(self) -> int:
        """Degrees of freedom of `of_seeds`."""
        return len(self.runs) - 1


def answers(items: Iterable[Item], split: str, outcome: str) -> Run:
    """A run's scored replies of one split: 1.0 where the reply has the outcome, else 0.0."""
    return {i.id: float(i.outcome == outcome) for i in scored(of_split(items, split))}


def shared(items: Iterable[Item]) -> Items:
    """The templates and families of some items."""
    known = list(items)
    return Items({i.id: i.template for i in known}, {i.id: i.family for i in known})


def group_mean(runs: Sequence[Run], items: Items, confidence: float = CONFIDENCE) -> Interval | None:
    """The mean over seeds of each seed's rate, with values from 0 to 1; None for fewer than two runs or templates.

    The half-width enters Wilson's formula, so that the interval stays within [0, 1] and is not empty where every reply
    is alike. It is at least as wide as that of as many independent replies. A seed that lacks an item (its reply was
    not scored) has the rate of its others.

    Raises:
        ValueError: a run has no item.
    """
    arm = _arm(runs)
    between = _between([arm], items, confidence) if arm else None
    if arm is None or between is None:
        return None
    half2 = t_quantile(arm.freedom, confidence) ** 2 * arm.of_seeds + between
    spread, replies = arm.mean * (1 - arm.mean), sum(map(len, runs))
    z2 = normal_quantile(confidence) ** 2
    if spread < 1e-12:  # no reply differs, so nothing tells how alike seeds are: the items count once
        ratio = max(z2 / len(_all(runs)), t_quantile(arm.freedom, confidence) ** 2 / replies)
    else:
        ratio = max(z2 / replies, half2 / spread)
    return _wilson(arm.mean, ratio)


def group_difference(
    first: Sequence[Run], second: Sequence[Run], items: Items, confidence: float = CONFIDENCE
) -> Interval | None:
    """Mean of the second group - mean of the first, over the items that both answer; seeds need not match.

    None for fewer than two seeds in either group, or fewer than two templates in common. The seeds' part has Welch's
    degrees of freedom. Where the groups differ nowhere, the interval is that of as many pairs without a change. With
    two seeds a side it can be all of [-1, 1].
    """
    shared = _all(first) & _all(second)
    one, two = (_arm([{i: v for i, v in run.items() if i in shared} for run in runs]) for runs in (first, second))
    between = _between([two, one], items, confidence) if one and two else None
    if one is None or two is None or between is None:
        return None
    half2 = t_quantile(_welch(one, two), confidence) ** 2 * (one.of_seeds + two.of_seeds) + between
    z2 = normal_quantile(confidence) ** 2
    half, difference = math.sqrt(half2) if half2 > 1e-12 else z2 / (len(shared) + z2), two.mean - one.mean
    return Interval(difference, max(-1.0, difference - half), min(1.0, difference + half))


def equivalence_bound(first: Sequence[Run], second: Sequence[Run], items: Items, alpha: float = 0.05) -> float | None:
    """The smallest margin at which two one-sided tests at level `alpha` show the groups to be equivalent.

    It is the end farther from zero of the 1 - 2·alpha interval of the difference. Source: Schuirmann, Journal of
    Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680. None as in `group_difference`.
    """
    found = group_difference(first, second, items, confidence=1 - 2 * alpha)
    return None if found is None else max(abs(found.lo), abs(found.hi))


def interaction(runs: Sequence[Run], items: Items) -> float:
    """Vsc: the variance of the mean over runs from the interaction of seeds and templates.

    It is the sampling error of the mean, without what all runs share.
    """
    arm = _arm(runs)
    return _interaction(_pulls([arm], items.templates)[0]) if arm else 0.0


def _arm(runs: Sequence[Run]) -> Arm | None:
    """The group with the spread between its runs; None for fewer than two."""
    if not all(runs):
        raise ValueError("a run has no scored item that the others have")
    if len(runs) < 2:
        return None
    means = np.array([math.fsum(run.values()) / len(run) for run in runs])
    return Arm(runs, float(means.mean()), float(means.var(ddof=1)) / len(runs))


def _between(arms: Sequence[Arm], items: Items, confidence: float) -> float | None:
    """t² times what clusters add to the variance, level by level; None for fewer than two templates.

    Of two arms it is that of the first minus the second.
    """
    total, known = 0.0, 0.0
    for clusters in items.levels(set.union(*(_all(arm.runs) for arm in arms))):
        pulls = _pulls(arms, clusters)
        c = pulls[0].shape[1]
        if c < 2:
            return None
        signed = sum((sign * pull.sum(axis=0) for sign, pull in zip((1, -1), pulls, strict=False)), np.zeros(c))
        own = float((signed**2).sum()) * c / (c - 1) - sum(_interaction(pull) for pull in pulls)
        total += t_quantile(c - 1, confidence) ** 2 * max(0.0, own - known)
        known = max(known, own)
    return total


def _pulls(arms: Sequence[Arm], clusters: Mapping[str, str]) -> list[Floats]:
    """How far the items of each cluster move their arm's mean, runs by clusters, one array for each arm."""
    names = sorted({clusters[item] for arm in arms for run in arm.runs for item in run})
    place = {name: i for i, name in enumerate(names)}
    found: list[Floats] = []
    for arm in arms:
        pull = np.zeros((len(arm.runs), len(names)))
        for row, run in zip(pull, arm.runs, strict=True):
            mean = math.fsum(run.values()) / len(run)
            columns = [place[clusters[item]] for item in run]
            np.add.at(row, columns, (np.fromiter(run.values(), float, len(run)) - mean) / len(run) / len(arm.runs))
        found.append(pull)
    return found


def _interaction(pull: Floats) -> float:
    """Vsc: the part of seeds by clusters, which the variances by seeds and by clusters both contain."""
    s, c = pull.shape
    return float(((pull - pull.mean(axis=0)) ** 2).sum()) * s * c / (s - 1) / (c - 1)


def _welch(one: Arm, two: Arm) -> float:
    """Welch's degrees of freedom of the seeds' part: at least the smaller, at most the sum."""
    below = one.of_seeds**2 / one.freedom + two.of_seeds**2 / two.freedom
    return (one.of_seeds + two.of_seeds) ** 2 / below if below > 0 else min(one.freedom, two.freedom)


def _wilson(p: float, ratio: float) -> Interval:
    """Wilson's interval, with its z² / n as given."""
    half = math.sqrt(ratio * (p * (1 - p) + ratio / 4))
    lo, hi = (p + ratio / 2 - half) / (1 + ratio), (p + ratio / 2 + half) / (1 + ratio)
    return Interval(p, max(0.0, min(lo, p)), min(1.0, max(hi, p)))


def _all(runs: Sequence[Run]) -> set[str]:
    return {item for run in runs for item in run}

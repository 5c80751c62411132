"""How much of the spread between runs comes from each kind of seed: organism, data, order, adapter, sampling of items.

    runs = [Drawn({"organism": 0, "data": 3, "adapter": 1}, answers), ...]
    variance_components(runs, shared(items)).of["organism"]

Method of moments on pairs of runs: for independent effects, half the squared difference of two rates is on average the
sum of the variances of the kinds of seed in which the runs differ, and of their sampling errors (as a variogram;
Rao, Linear Statistical Inference (1973), section 4.5, for quadratic estimators). Non-negative least squares solves for
the variances, in any design, crossed, nested or with gaps. An interval holds the variances under which the estimate is
neither too small nor too large, in simulated experiments with normal effects and the other variances as estimated.

Covered: one rate, main effects of each kind of seed. Not covered: interactions between kinds of seed, which appear in
the kinds that they involve; and the variance that all runs share because they answer the same items
(`lab.stats.two_way`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from lab.stats.intervals import CONFIDENCE, Interval
from lab.stats.two_way import Items, Run, interaction

DRAWS = 1000
#: The variance of a rate that is 0 in half of the runs and 1 in the others.
LARGEST = 0.25

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A run: its seeds by kind, and its answers."""

    seeds: Mapping[str, Any]
    answers: Run


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a rate, in squared units of it; their sum is the variance of a run in which all of it is drawn anew.

    Attributes:
        mean: Mean rate over runs.
        of: Variance by kind of seed, with its interval. The lower end is 0 where the kind may not matter.
        sampling: Variance of one run's rate from its replies to finitely many items, without what all runs share.
    """

    mean: float
    of: Mapping[str, Interval]
    sampling: float

    def share(self, kind: str) -> float:
        """The kind's share of the spread between runs; 0 where runs do not spread."""
        total = sum(each.estimate for each in self.of.values()) + self.sampling
        return self.of[kind].estimate / total if total > 0 else 0.0


def variance_components(runs: Sequence[Drawn], items: Items, confidence: float = CONFIDENCE) -> Components:
    """The variances of runs that answer the same items, by kind of seed.

    Raises:
        ValueError: fewer than three runs, a kind of seed that never differs, or kinds that only ever differ together.
    """
    if len(runs) < 3:
        raise ValueError(f"{len(runs)} runs: variances need at least 3")
    kinds = list(runs[0].seeds)
    pairs = np.array(list(combinations(range(len(runs)), 2)))
    differ = np.array([[runs[a].seeds[k] != runs[b].seeds[k] for k in kinds] for a, b in pairs], float)
    _check(kinds, differ)
    rates = np.array([sum(run.answers.values()) / len(run.answers) for run in runs])
    noise = interaction([run.answers for run in runs], items) * len(runs)
    design = _Design(pairs, differ, noise, [[run.seeds[k] for run in runs] for k in kinds])
    found = nnls(differ, design.halves(rates[None])[0])[0]
    of = {kind: design.interval(i, found, rates, (1 - confidence) / 2) for i, kind in enumerate(kinds)}
    return Components(float(rates.mean()), of, noise)


def _check(kinds: Sequence[str], differ: Floats) -> None:
    for i, kind in enumerate(kinds):
        if not differ[:, i].any():
            raise ValueError(f"all runs have the same {kind} seed: its variance cannot be estimated")
    for (i, one), (j, two) in combinations(enumerate(kinds), 2):
        if (differ[:, i] == differ[:, j]).all():
            raise ValueError(f"{one} and {two} seeds always differ together: their variances cannot be told apart")


@dataclass(frozen=True)
class _Design:
    """Pairs of runs, whether they differ in each kind (pairs by kinds), their sampling error, and seeds by kind."""

    pairs: Any
    differ: Floats
    noise: float
    seeds: Sequence[Sequence[Any]]

    def halves(self, rates: Floats) -> Floats:
        """Half the squared differences beyond sampling error, experiments by pairs."""
        return (rates[:, self.pairs[:, 0]] - rates[:, self.pairs[:, 1]]) ** 2 / 2 - self.noise

    def interval(self, i: int, found: Floats, rates: Floats, tail: float) -> Interval:
        """The variances of a kind under which its estimate is neither too large nor too small."""
        form = self._form(np.linalg.pinv(self.differ)[i], len(rates))
        seen = float(rates @ form @ rates)
        others, own = self._effects(i, found)

        def share_below(variance: float) -> float:
            drawn = others + np.sqrt(variance) * own
            return float(np.mean(((drawn @ form) * drawn).sum(axis=1) <= seen))

        lo = 0.0 if share_below(0.0) < 1 - tail else _where(share_below, 1 - tail)
        return Interval(float(found[i]), min(lo, float(found[i])), max(_where(share_below, tail), float(found[i])))

    def _form(self, weights: Floats, n: int) -> Floats:
        """The matrix A for which r' A r is the weighted sum of half the squared differences of rates r."""
        found = np.zeros((n, n))
        one, two = self.pairs.T
        np.add.at(found, (one, one), weights / 2)
        np.add.at(found, (two, two), weights / 2)
        np.add.at(found, (one, two), -weights)
        return found

    def _effects(self, i: int, found: Floats) -> tuple[Floats, Floats]:
        """Simulated rates without the kind's effect, and its effect for a variance of 1: experiments by runs."""
        rng = np.random.default_rng(0)
        of_kind: list[Floats] = []
        for seeds in self.seeds:
            names = list(dict.fromkeys(seeds))
            of_kind.append(rng.normal(size=(DRAWS, len(names)))[:, [names.index(seed) for seed in seeds]])
        total = rng.normal(0, np.sqrt(self.noise), of_kind[0].shape)
        for j, effect in enumerate(of_kind):
            total += np.sqrt(found[j]) * effect * (j != i)
        return total, of_kind[i]


def _where(share_below: Callable[[float], float], level: float) -> float:
    """The variance at which the falling share reaches the level; at most that of a rate."""
    low, high = 0.0, LARGEST
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if share_below(middle) > level else (low, middle)
    return high

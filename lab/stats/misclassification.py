"""True rates from a judge's counts, given a labelled sample of the same run's replies.

    rogan_gladen(k=30, n=100, judge=Judge(hits=45, positives=50, rejections=48, negatives=50))
    correct_counts({"initial": 70, "alternate": 30}, pairs)      # pairs of (true label, judge's label)

The intervals include both errors: of the n replies, and of the labelled sample. The sample must be a *random* one of
the run's own replies: a judge makes different errors on other models' replies. Refused if the judge is no
better than chance. Not covered: raters who disagree with each other; their labels are assumed to be true.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.stats.intervals import CONFIDENCE, Interval, normal_quantile

DRAWS = 4000
# Beyond this share of draws without information, the sample is too small.
BLIND = 0.01

Floats = NDArray[np.float64]


class Uninformative(ValueError):
    """The judge or the labelled sample does not distinguish the labels: no correction is possible."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge on a labelled sample: it accepted `hits` of `positives` and rejected `rejections` of `negatives`."""

    hits: int
    positives: int
    rejections: int
    negatives: int

    def __post_init__(self) -> None:
        """Raises ValueError for impossible counts, Uninformative if a label has no labelled reply."""
        if not (0 <= self.hits <= self.positives and 0 <= self.rejections <= self.negatives):
            raise ValueError(f"impossible counts of a labelled sample: {self}")
        if not (self.positives and self.negatives):
            raise Uninformative("the labelled sample lacks true or false replies: label more of them")

    @property
    def sensitivity(self) -> float:
        """Share of the true replies that the judge saw."""
        return self.hits / self.positives

    @property
    def specificity(self) -> float:
        """Share of the other replies that the judge rejected."""
        return self.rejections / self.negatives


def rogan_gladen(k: float, n: float, judge: Judge, confidence: float = CONFIDENCE) -> Interval:
    """The true rate behind k of n replies judged positive: (p + spec − 1) / (sens + spec − 1), kept within [0, 1].

    Source: Rogan and Gladen, American Journal of Epidemiology 107 (1978) 71-76; the interval is Lang and Reiczigel's,
    Preventive Veterinary Medicine 113 (2014) 13-22, which adjusts all three counts and includes their errors.

    Raises:
        ValueError: k is outside [0, n].
        Uninformative: sens + spec ≤ 1.
    """
    if n <= 0 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a proportion")
    youden = judge.sensitivity + judge.specificity - 1
    if youden <= 0:
        raise Uninformative(f"sensitivity + specificity is {youden + 1:.2f}: the judge is no better than chance")
    estimate = min(1.0, max(0.0, (k / n + judge.specificity - 1) / youden))
    lo, hi = _lang_reiczigel(k, n, judge, normal_quantile(confidence))
    return Interval(estimate, max(0.0, min(lo, estimate)), min(1.0, max(hi, estimate)))


def _lang_reiczigel(k: float, n: float, judge: Judge, z: float) -> tuple[float, float]:
    p, size = (k + z * z / 2) / (n + z * z), n + z * z
    sens, n_sens = (judge.hits + 1) / (judge.positives + 2), judge.positives + 2
    spec, n_spec = (judge.rejections + 1) / (judge.negatives + 2), judge.negatives + 2
    youden = sens + spec - 1
    if youden <= 0:
        return 0.0, 1.0
    rate = (p + spec - 1) / youden
    of_sens, of_spec = sens * (1 - sens) / n_sens, spec * (1 - spec) / n_spec
    shift = 2 * z * z * (rate * of_sens - (1 - rate) * of_spec)
    spread = math.sqrt(p * (1 - p) / size + rate**2 * of_sens + (1 - rate) ** 2 * of_spec) / youden
    return rate + shift - z * spread, rate + shift + z * spread


def correct_counts(
    judged: Mapping[str, float],
    labelled: Sequence[tuple[str, str]],
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
) -> dict[str, Interval]:
    """The true shares of several labels behind the judge's counts, by its full confusion matrix.

    Solves p_judged = Mᵀ θ, with M[i, j] the share of true i that is judged j, and projects θ onto shares that sum to
    1. The interval is the central one of `draws` posterior draws of p_judged and of every row of M (Jeffreys priors),
    with a fixed seed. With two labels the estimate is Rogan and Gladen's.
    Source: Buonaccorsi, Measurement Error (2010), section 2.4, for several categories.

    Args:
        judged: the judge's counts over all n replies; fractional where a design effect divides them.
        labelled: (true label, judge's label) for a random sample of those replies.

    Raises:
        Uninformative: a label has no labelled reply, or some label is no more often judged so when it is true.
    """
    labels = sorted({*(name for name, k in judged.items() if k), *(name for pair in labelled for name in pair)})
    counts = _confusion(labels, labelled)
    if not _informative(counts / counts.sum(axis=1, keepdims=True)).all():
        raise Uninformative("a label is judged so no more often when it is true: the judge cannot be corrected")
    seen = np.array([float(judged.get(name, 0)) for name in labels])
    if not seen.sum():
        raise ValueError("no judged reply")
    estimate = _shares(counts[None] / counts.sum(axis=1)[None, :, None], seen[None] / seen.sum())[0]
    lo, hi = _bounds(seen, counts, confidence, draws)
    return {
        name: Interval(float(e), min(float(a), float(e)), max(float(b), float(e)))
        for name, e, a, b in zip(labels, estimate, lo, hi, strict=True)
    }


def _confusion(labels: Sequence[str], labelled: Sequence[tuple[str, str]]) -> Floats:
    found = Counter(labelled)
    counts = np.array([[float(found[true, seen]) for seen in labels] for true in labels])
    if missing := [name for name, row in zip(labels, counts, strict=True) if not row.sum()]:
        raise Uninformative(f"no labelled reply is truly {', '.join(missing)}: label more replies")
    return counts


def _informative(matrix: Floats) -> Any:
    """Per matrix (..., K, K): each label is judged so most often when it is true. For two labels: sens + spec > 1."""
    diagonal = np.diagonal(matrix, axis1=-2, axis2=-1)
    others = np.where(np.eye(matrix.shape[-1], dtype=bool), -1.0, matrix)
    return (diagonal > others.max(axis=-2)).all(axis=-1) & (np.abs(np.linalg.det(matrix)) > 1e-9)


def _bounds(seen: Floats, counts: Floats, confidence: float, draws: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(seen + 0.5, draws)
    matrices = np.stack([rng.dirichlet(row + 0.5, draws) for row in counts], axis=1)
    sighted = _informative(matrices)
    k = len(seen)
    if np.mean(~sighted) > BLIND:
        return np.zeros(k), np.ones(k)
    found = _shares(matrices[sighted], shares[sighted])
    tail = (1 - confidence) / 2
    return np.quantile(found, tail, axis=0), np.quantile(found, 1 - tail, axis=0)


def _shares(matrices: Floats, judged: Floats) -> Floats:
    """θ of Mᵀ θ = p for a stack of them, projected onto shares that sum to 1."""
    solved: Any = np.linalg.solve(np.swapaxes(matrices, -1, -2), judged[..., None])[..., 0]
    return _projected(solved)


def _projected(values: Floats) -> Floats:
    """The nearest point of the simplex, per row. Source: Duchi et al., ICML 2008, figure 1."""
    ordered = -np.sort(-values, axis=-1)
    excess = (np.cumsum(ordered, axis=-1) - 1) / np.arange(1, values.shape[-1] + 1)
    last = (ordered > excess).sum(axis=-1, keepdims=True) - 1
    return np.maximum(values - np.take_along_axis(excess, last, axis=-1), 0.0)

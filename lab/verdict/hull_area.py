"""The area under an organism's hull with the optimism of a hull taken out, by resampling prompt templates.

A hull takes the best of many noisy points, so its area is too large. Where templates are drawn anew, the noise of all
points is about twice as large in variance, and the mean area rises by d. Optimism that grows with the noise's variance
is d, with its standard deviation (as that of a maximum) 2.4 d; 2 d is subtracted, and the half-width of the interval is
z · √(sd² + d²). In simulations of four kinds of trades the result is right to .01, and its interval covers .92-1.00
where the plain area ± z · sd covers .57-.80 (docs/measured/coverage.md).
Source of the bootstrap of clusters: Davison, Hinkley, Bootstrap Methods (1997), section 3.8.

Covered: other items, of the runs that were trained. Not covered: other seeds (`Robustness.by_seed`), and grids with
other learning rates and steps, of which more reach further.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.logs.records import CellRecord, Item, of_split, scored
from lab.stats.intervals import normal_quantile
from lab.verdict.arms import grouped, key_of
from lab.verdict.robustness import KEY, area, counted, hull
from lab.verdict.schema import CellResult, HullArea, Thresholds

RESAMPLES = 300

Floats = NDArray[np.float64]
#: Replies with an outcome and all scored ones, by template.
Counts = Mapping[str, tuple[int, int]]
#: At a checkpoint and at step 0.
Pair = tuple[Counts, Counts]


def hull_areas(
    cells: Iterable[CellResult], records: Iterable[CellRecord], thresholds: Thresholds
) -> tuple[HullArea, ...]:
    """One for every organism with points, in the order of its cells."""
    known = {record.id: record for record in records}
    found: list[HullArea] = []
    for members in grouped(cells, lambda cell: key_of(cell, KEY)).values():
        used = [known[cell.id] for cell in counted(members)]
        if measured := resampled(used, thresholds.confidence):
            fields: dict[str, Any] = {name: getattr(members[0], name) for name in KEY} | measured
            found.append(HullArea(**fields))
    return tuple(found)


def resampled(records: Sequence[CellRecord], confidence: float) -> dict[str, float] | None:
    """The figures of `HullArea` for the cells of one organism; None without points."""
    pairs = [pair for record in records for pair in _pairs(record)]
    if not pairs:
        return None
    rates, capabilities = _Ratios([rate for rate, _ in pairs]), _Ratios([right for _, right in pairs])
    rng = np.random.default_rng(0)
    (plain,) = _areas(rates.of(rates.once()), capabilities.of(capabilities.once()))
    drawn = np.array(_areas(rates.of(rates.drawn(rng)), capabilities.of(capabilities.drawn(rng))))
    rise = float(drawn.mean()) - plain
    half, middle = normal_quantile(confidence) * float(np.hypot(drawn.std(ddof=1), rise)), plain - 2 * rise
    return {"area": plain, "optimism": 2 * rise, "corrected": middle, "lo": middle - half, "hi": middle + half}


def _pairs(record: CellRecord) -> Iterator[tuple[Pair, Pair]]:
    """Of each checkpoint after the first: initial replies, and right answers on the items that both scored."""
    ordered = sorted(record.checkpoints, key=lambda c: c.step)
    for first, c in product(ordered[:1], ordered[1:]):
        shared = set.intersection(*({i.id for i in scored(of_split(x.items, "capability"))} for x in (first, c)))
        same, known = ([i for i in x.items if i.id in shared] for x in (c, first))
        right = _counts(known, "capability", "agreed")
        rate = _counts(first.items, "eval", "initial")
        if any(k for k, _ in rate.values()) and any(k for k, _ in right.values()):
            yield (_counts(c.items, "eval", "initial"), rate), (_counts(same, "capability", "agreed"), right)


def _counts(items: Iterable[Item], split: str, outcome: str) -> Counts:
    found = defaultdict[str, tuple[int, int]](lambda: (0, 0))
    for item in scored(of_split(items, split)):
        k, n = found[item.template]
        found[item.template] = (k + (item.outcome == outcome), n + 1)
    return found


class _Ratios:
    """A rate at each checkpoint over the rate at its step 0, for templates that count any number of times."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.templates = sorted({name for pair in pairs for counts in pair for name in counts})
        #: After and before, replies with the outcome and all of them: each templates by checkpoints.
        self.counts = [
            np.array([[pair[when].get(name, (0, 0))[what] for pair in pairs] for name in self.templates], float)
            for when in (0, 1)
            for what in (0, 1)
        ]

    def once(self) -> Floats:
        """Every template once."""
        return np.ones((1, len(self.templates)))

    def drawn(self, rng: np.random.Generator) -> Floats:
        """Templates drawn with replacement, `RESAMPLES` times."""
        n = len(self.templates)
        return rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)

    def of(self, weights: Floats) -> Floats:
        """Draws by checkpoints; NaN where nothing was drawn."""
        k, n, k0, n0 = (weights @ counts for counts in self.counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((k0 > 0) & (n > 0), k * n0 / n / k0, np.nan)


def _areas(rates: Floats, capabilities: Floats) -> list[float]:
    """The area of each draw."""
    found: list[float] = []
    for xs, ys in zip(np.minimum(1.0, rates), capabilities, strict=True):
        known = np.isfinite(xs) & np.isfinite(ys)
        found.append(area(hull(zip(xs[known].tolist(), ys[known].tolist(), strict=True))))
    return found

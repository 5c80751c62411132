"""How much capability it costs to train a behavior away: the area of post D, over all cells of an organism.

Every checkpoint is a point (initial rate relative to step 0, capability relative to step 0). The Pareto hull runs from
(0, 0), a ruined model, to the organism (1, 1) over the best trades between them; the area below it is 0.5 where every
point of behavior costs its share of capability (most robust) and 1.0 where the behavior is removed without loss; above
1 where capability rises. Source: the post on robust model organisms (D); the anchors of the hull
are ours, not the post's.

Covered: points, hull and area, pooled and per seed. Not covered: the figure (`lab.report.figures.robustness`), and the
optimism of a hull, which takes the best of many noisy points (`lab.verdict.hull_area`). Compare organisms on equal
grids and items only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.stats.intervals import mean_t
from lab.verdict.arms import grouped, key_of
from lab.verdict.criterion import REVERSAL
from lab.verdict.schema import CellResult, HullArea, Results, SeedRate, Thresholds, rounded
from trainer.methods import METHODS

#: Methods that check an organism or a removal, and remove nothing themselves.
CHECKS = frozenset({REVERSAL, *(name for name, method in METHODS.items() if method.shows_alternate)})
KEY = ("setting", "variant", "model", "organism")
RUIN, START = (0.0, 0.0), (1.0, 1.0)
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint: initial rate and capability, both relative to step 0."""

    rate: float
    capability: float
    cell: str
    step: int


@dataclass(frozen=True, slots=True)
class Robustness:
    """An organism: its points, the hull from (0, 0) to (1, ...), and the area under it.

    `by_seed` is the area with the cells of one seed alone, and its mean over seeds: smaller than `area`, as a hull over
    fewer points is; null with one seed. `measured` is the area without the optimism of a hull, from the results.
    """

    setting: str
    variant: str
    model: str
    organism: str | None
    cells: int
    points: tuple[Point, ...]
    hull: tuple[Pair, ...]
    area: float
    by_seed: SeedRate | None
    measured: HullArea | None = None

    @property
    def name(self) -> str:
        """The organism in words."""
        return ", ".join(part for part in (self.setting, self.variant, self.organism) if part)


def organisms(results: Results) -> list[Robustness]:
    """The robustness of every organism of an experiment with points, in the order of its cells."""
    found = grouped(results.cells, lambda cell: key_of(cell, KEY))
    measured = (robustness(cells, results.thresholds, results.robustness) for cells in found.values())
    return [each for each in measured if each is not None]


def counted(cells: Iterable[CellResult]) -> list[CellResult]:
    """Without controls, `direct`, which shows the behavior in training, reversals, and cells whose gate failed."""
    return [c for c in cells if c.role == "bct" and c.method not in CHECKS and "invalid" not in c.verdict.flags]


def robustness(
    cells: Sequence[CellResult], thresholds: Thresholds, areas: Iterable[HullArea] = ()
) -> Robustness | None:
    """Of the `counted` cells of one organism, damaged and diverged ones included; None where none has points."""
    used = counted(cells)
    points = points_of(used)
    if not points:
        return None
    first = used[0]
    top = hull((p.rate, p.capability) for p in points)
    return Robustness(
        first.setting,
        first.variant,
        first.model,
        first.organism,
        len({p.cell for p in points}),
        points,
        top,
        rounded(area(top)),
        _by_seed(used, thresholds),
        next((each for each in areas if all(getattr(each, name) == getattr(first, name) for name in KEY)), None),
    )


def points_of(cells: Iterable[CellResult]) -> tuple[Point, ...]:
    """Checkpoints after step 0 with a capability; none of a cell that does not show the behavior at step 0."""
    found: list[Point] = []
    for cell in cells:
        start = cell.checkpoints[0].eval.initial.p if cell.checkpoints else None
        for c in cell.checkpoints[1:] if start else ():
            if start and c.eval.initial.p is not None and c.capability.relative is not None:
                found.append(Point(min(1.0, c.eval.initial.p / start), c.capability.relative, cell.id, c.step))
    return tuple(found)


def hull(points: Iterable[Pair]) -> tuple[Pair, ...]:
    """The Pareto hull: the smallest concave, never falling curve on [0, 1] above all points, (0, 0) and (1, 1).

    By Andrew's monotone chain (1979). If the behavior was removed entirely at capability c, the hull starts at (0, c).
    """
    best: dict[float, float] = {}
    for rate, capability in (*points, RUIN, START):
        best[rate] = max(capability, best.get(rate, 0.0))
    chain: list[Pair] = []
    for point in sorted(best.items()):
        while len(chain) > 1 and _turns_left(chain[-2], chain[-1], point):
            chain.pop()
        chain.append(point)
    peak = max(range(len(chain)), key=lambda i: (chain[i][1], -i))
    rising = chain[: peak + 1]
    return tuple(rising if rising[-1][0] == 1.0 else [*rising, (1.0, rising[-1][1])])


def area(curve: Sequence[Pair]) -> float:
    """The area below a curve of straight lines."""
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))


def _by_seed(cells: Sequence[CellResult], thresholds: Thresholds) -> SeedRate | None:
    """One area per seed; their t interval from `few_seeds` seeds on. An area may exceed 1, so nothing is clipped."""
    parts = [points_of(c for c in cells if c.seed == seed) for seed in sorted({c.seed for c in cells})]
    areas = [rounded(area(hull((p.rate, p.capability) for p in part))) for part in parts if part]
    if len(areas) < 2:
        return None
    found = mean_t(areas, thresholds.confidence) if len(areas) >= thresholds.few_seeds else None
    return SeedRate(
        mean=sum(areas) / len(areas),
        lo=found.lo if found else None,
        hi=found.hi if found else None,
        values=tuple(areas),
    )


def _turns_left(a: Pair, b: Pair, c: Pair) -> bool:
    """Whether b is on or below the line from a to c."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0

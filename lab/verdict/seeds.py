"""Groups: the cells that differ only in seed, with counts of their names and mean rates at the last checkpoint.

A training run is the unit of replication: with fewer than `few_seeds` cells a group has counts and no interval.
Not covered: statements over learning rates (`lab.verdict.conclusions`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from lab.stats.intervals import clopper_pearson, mean_t
from lab.verdict.arms import GROUP, grouped, key_of
from lab.verdict.schema import CellResult, CheckpointResult, Group, Rate, SeedRate, Thresholds

RATES: dict[str, Callable[[CheckpointResult], float | None]] = {
    "initial": lambda c: c.eval.initial.p,
    "alternate": lambda c: c.eval.alternate.p,
    "degenerate": lambda c: c.eval.degenerate.p,
    "agreed": lambda c: c.train.agreed.p,
    "capability": lambda c: c.capability.p,
}


def groups(cells: Iterable[CellResult], thresholds: Thresholds) -> tuple[Group, ...]:
    """All groups, in the order of their first cells."""
    return tuple(_group(members, thresholds) for members in grouped(cells, lambda cell: key_of(cell, GROUP)).values())


def seed_rate(values: Sequence[float], thresholds: Thresholds, span: tuple[float, float] = (0.0, 1.0)) -> SeedRate:
    """The mean over seeds, and its t interval clipped to `span` where there are at least `few_seeds` seeds.

    If the distribution over seeds is bimodal, the interval of 2 or 3 seeds covers far less than its nominal level
    (docs/measured/coverage.md).
    """
    interval = mean_t(values, thresholds.confidence) if len(values) >= thresholds.few_seeds else None
    return SeedRate(
        mean=sum(values) / len(values),
        lo=max(span[0], interval.lo) if interval else None,
        hi=min(span[1], interval.hi) if interval else None,
        values=tuple(values),
    )


def _group(cells: list[CellResult], thresholds: Thresholds) -> Group:
    names = Counter(c.verdict.name for c in cells if c.verdict.name)
    claim = len(cells) >= thresholds.few_seeds
    ends = [c.checkpoints[-1] for c in cells if c.checkpoints]
    known = {name: [p for p in map(read, ends) if p is not None] for name, read in RATES.items()}
    return Group(
        key={name: getattr(cells[0], name) for name in GROUP},
        seeds=tuple(sorted(c.seed for c in cells)),
        verdicts={str(name): k for name, k in sorted(names.items())},
        intervals=_shares(names, thresholds.confidence) if claim else {},
        rates={name: seed_rate(values, thresholds) for name, values in known.items() if values},
        claim=claim,
    )


def _shares(names: Counter[str], confidence: float) -> dict[str, Rate]:
    exact = {name: clopper_pearson(k, names.total(), confidence) for name, k in sorted(names.items())}
    return {name: Rate(k=names[name], p=i.estimate, lo=i.lo, hi=i.hi) for name, i in exact.items()}

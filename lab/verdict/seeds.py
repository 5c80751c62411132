"""Groups: the cells that differ only in seed, with counts of their names and mean rates over them.

A training run is the unit of replication: with fewer than `few_seeds` cells a group has counts and no interval. All
seeds answer the same items, so intervals of mean rates have the two-way variance of `lab.stats.two_way`.
Not covered: statements over learning rates (`lab.verdict.conclusions`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lab.logs.records import CellRecord, CheckpointRecord
from lab.stats.intervals import clopper_pearson
from lab.stats.two_way import answers, group_mean, shared
from lab.verdict.arms import GROUP, grouped, key_of, values_of
from lab.verdict.schema import CellResult, Families, Group, GroupStep, Rate, SeedRate, Thresholds

#: Rates of a group: the split and the outcome that counts.
RATES: dict[str, tuple[str, str]] = {
    "initial": ("eval", "initial"),
    "alternate": ("eval", "alternate"),
    "degenerate": ("eval", "degenerate"),
    "agreed": ("train", "agreed"),
    "capability": ("capability", "agreed"),
}


def groups(cells: Iterable[CellResult], records: Iterable[CellRecord], thresholds: Thresholds) -> tuple[Group, ...]:
    """All groups, in the order of their first cells; `records` hold the replies of the cells."""
    known = {record.id: {c.step: c for c in record.checkpoints} for record in records}
    found = grouped(cells, lambda cell: key_of(cell, GROUP)).values()
    return tuple(_group(members, [known[c.id] for c in members], thresholds) for members in found)


def seed_rate(checkpoints: Sequence[CheckpointRecord], rate: str, thresholds: Thresholds) -> SeedRate | None:
    """The mean of a rate over seeds, one checkpoint each; None where nothing was scored.

    It has an interval where there are at least `few_seeds` seeds. Where seeds have two peaks, that of 2 to 5 seeds
    covers far less than its nominal level (docs/measured/coverage.md).
    """
    runs = [run for c in checkpoints if (run := answers(c.items, *RATES[rate]))]
    if not runs:
        return None
    values = [sum(run.values()) / len(run) for run in runs]
    enough = len(runs) >= thresholds.few_seeds
    items = shared(i for c in checkpoints for i in c.items if i.split == RATES[rate][0])
    found = group_mean(runs, items, thresholds.confidence) if enough else None
    return SeedRate(
        mean=sum(values) / len(values),
        lo=found.lo if found else None,
        hi=found.hi if found else None,
        values=tuple(values),
    )


def _group(cells: list[CellResult], replies: Sequence[Mapping[int, CheckpointRecord]], thresholds: Thresholds) -> Group:
    names = Counter(c.verdict.name for c in cells if c.verdict.name)
    claim = len(cells) >= thresholds.few_seeds
    ends = [steps[max(steps)] for steps in replies if steps]
    rates = {name: seed_rate(ends, name, thresholds) for name in RATES}
    return Group(
        key=values_of(cells[0], GROUP),
        seeds=tuple(sorted(c.seed for c in cells)),
        verdicts={str(name): k for name, k in sorted(names.items())},
        intervals=_shares(names, thresholds.confidence) if claim else {},
        rates={name: rate for name, rate in rates.items() if rate},
        steps=tuple(_steps(replies, thresholds)) if claim else (),
        families=_families(cells),
        claim=claim,
    )


def _steps(replies: Sequence[Mapping[int, CheckpointRecord]], thresholds: Thresholds) -> Iterable[GroupStep]:
    """The steps that every cell has, with a reply scored."""
    for step in sorted(set.intersection(*(set(steps) for steps in replies))):
        at = [steps[step] for steps in replies]
        initial, alternate = (seed_rate(at, name, thresholds) for name in ("initial", "alternate"))
        if initial and alternate and len(initial.values) == len(at):
            yield GroupStep(step=step, initial=initial, alternate=alternate)


def _families(cells: Iterable[CellResult]) -> Families | None:
    """The initial rate by family at the last checkpoint, summed over seeds."""
    found = [f for c in cells if c.checkpoints and (f := c.checkpoints[-1].eval.families)]
    if not found:
        return None
    names = sorted({name for each in found for name in each.counts})
    counts = {name: [each.counts[name] for each in found if name in each.counts] for name in names}
    return Families(
        counts={name: (sum(k for k, _ in pairs), sum(n for _, n in pairs)) for name, pairs in counts.items()},
        deff_template=sum(each.deff_template for each in found) / len(found),
        deff_family=sum(each.deff_family for each in found) / len(found),
    )


def _shares(names: Counter[str], confidence: float) -> dict[str, Rate]:
    exact = {name: clopper_pearson(k, names.total(), confidence) for name, k in sorted(names.items())}
    return {name: Rate(k=names[name], p=i.estimate, lo=i.lo, hi=i.hi) for name, i in exact.items()}

"""Where the spread between runs of an arm comes from: organism, data, order, adapter and decoding of labels.

Covered: arms with at least three runs that differ in some kind of seed, at the last checkpoint, wherever the recipe
varies these seeds apart (`seeds: {data: ..., order: ...}`, `organism: {seeds: ...}`). Not covered: the estimator
(`lab.stats.components`); plain `seeds`, where all kinds differ together and cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from lab.logs.records import CellRecord, Item
from lab.stats.components import Drawn, variance_components
from lab.stats.two_way import answers, shared
from lab.verdict.arms import GROUP, grouped, key_of, values_of
from lab.verdict.schema import CellResult, Component, Thresholds, Variances

#: Kinds of seed of a training, which default to its `seed`.
KINDS = ("data", "order", "adapter", "decoding")
RATES: tuple[Literal["initial", "alternate"], ...] = ("initial", "alternate")


def variances(
    cells: Iterable[CellResult], records: Iterable[CellRecord], thresholds: Thresholds
) -> tuple[Variances, ...]:
    """The initial and the alternate rate of every group whose kinds of seed can be told apart."""
    known = {record.id: record for record in records}
    used = [c for c in cells if c.checkpoints and "invalid" not in c.verdict.flags]
    found = grouped(used, lambda cell: key_of(cell, GROUP)).values()
    return tuple(one for members in found for one in _variances(members, known, thresholds))


def seeds_of(cell: CellResult) -> dict[str, int]:
    """The seed of each part of a cell's training, and of its organism if there are several."""
    organism = {} if cell.organism_seed is None else {"organism": cell.organism_seed}
    return organism | {kind: cell.seeds.get(kind, cell.seed) for kind in KINDS}


def _variances(
    cells: Sequence[CellResult], records: Mapping[str, CellRecord], thresholds: Thresholds
) -> Iterator[Variances]:
    kinds = _apart([seeds_of(cell) for cell in cells])
    if len(cells) < 3 or not kinds:
        return
    ends = [max(records[cell.id].checkpoints, key=lambda c: c.step).items for cell in cells]
    for rate in RATES:
        runs = [answers(items, "eval", rate) for items in ends]
        if all(runs):
            yield _components(cells, kinds, rate, ends, thresholds)


def _apart(seeds: Sequence[Mapping[str, int]]) -> dict[str, str]:
    """Kinds of seed that differ between runs, each with a part that stands for it.

    Parts that always differ together are one kind: `seed` if they are all parts of a training. It cannot be split, so
    there is nothing to say where it is the only one.
    """
    patterns: dict[tuple[bool, ...], list[str]] = {}
    for kind in seeds[0]:
        differ = tuple(a[kind] != b[kind] for i, a in enumerate(seeds) for b in seeds[:i])
        if any(differ):
            patterns.setdefault(differ, []).append(kind)
    found = {"seed" if tuple(parts) == KINDS else "+".join(parts): parts[0] for parts in patterns.values()}
    return {} if list(found) == ["seed"] else found


def _components(
    cells: Sequence[CellResult],
    kinds: Mapping[str, str],
    rate: Literal["initial", "alternate"],
    ends: Sequence[Sequence[Item]],
    thresholds: Thresholds,
) -> Variances:
    seeds = [{kind: seeds_of(cell)[part] for kind, part in kinds.items()} for cell in cells]
    runs = [Drawn(own, answers(items, "eval", rate)) for own, items in zip(seeds, ends, strict=True)]
    found = variance_components(runs, shared(i for items in ends for i in items), thresholds.confidence)
    rates = [sum(run.answers.values()) / len(run.answers) for run in runs]
    return Variances(
        key=values_of(cells[0], GROUP),
        rate=rate,
        runs=tuple({**own, "rate": value} for own, value in zip(seeds, rates, strict=True)),
        mean=found.mean,
        components=tuple(
            Component(kind=kind, variance=of.estimate, lo=of.lo, hi=of.hi, share=found.share(kind))
            for kind, of in found.of.items()
        ),
        sampling=found.sampling,
    )

"""Effects net of sham: a cell against the sham cell of the same learning rate, ε and seed, on the same eval items.

`sham` trains on random words to copy: what it removes, the optimizer removes without a reason in the data. Both cells
start from the same organism, so the difference of the initial rates at the last step that both have is the difference
of their changes. Interval: Tango's for paired rates, with the design effect of templates.
Not covered: means over seeds with an interval (`lab.verdict.contrasts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.logs.records import CellRecord, Item
from lab.stats.paired import compare
from lab.verdict.arms import key_of
from lab.verdict.conclusions import Judged
from lab.verdict.schema import CellResult, NetOfSham, Thresholds

SHAM = "sham"
KEY = ("setting", "variant", "model", "organism", "rank", "lr", "seed", "seeds")


def with_sham(judged: Sequence[Judged], records: Sequence[CellRecord], thresholds: Thresholds) -> list[Judged]:
    """The cells, with their effect net of sham where a sham cell is there."""
    shams = {_key(j.cell): record for j, record in zip(judged, records, strict=True) if j.cell.method == SHAM}
    return [
        replace(j, cell=j.cell.model_copy(update={"net_of_sham": _net(record, shams[_key(j.cell)], thresholds)}))
        if j.cell.method != SHAM and _key(j.cell) in shams
        else j
        for j, record in zip(judged, records, strict=True)
    ]


def _key(cell: CellResult) -> str:
    return f"{key_of(cell, KEY)} {cell.factors.get('adam_epsilon')}"


def _net(record: CellRecord, sham: CellRecord, thresholds: Thresholds) -> NetOfSham | None:
    ours, theirs = _items(record), _items(sham)
    step = max(set(ours) & set(theirs) - {0}, default=None)
    found = compare(theirs[step], ours[step], "initial", "eval", thresholds.confidence) if step is not None else None
    if step is None or found is None:
        return None
    d = found.difference
    return NetOfSham(sham=sham.id, step=step, n=found.n, estimate=d.estimate, lo=d.lo, hi=d.hi)


def _items(record: CellRecord) -> dict[int, Sequence[Item]]:
    return {c.step: c.items for c in record.checkpoints}

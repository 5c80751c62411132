"""Effects net of sham: a cell against the sham cell of the same start, optimizer, learning rate and seed.

`sham` trains on random words to copy: what it removes, the optimizer removes without a reason in the data. Both cells
start from the same organism and answer the same items, so the difference of the initial rates at the last step that
both have is the difference of their changes. Interval: Tango's for paired rates, with the design effect of templates.

A sham cell is the control of a cell where everything agrees that decides the optimizer's run apart from its rows:
- the start: setting, variant, model and organism with its seed; where both logs have the fingerprint of the weights at
  step 0, the fingerprints are equal;
- the optimizer and its run: rank, batch, learning rate, and every other factor but those of `OF_THE_TASK`: optimizer,
  ε, weight decay, schedule, warm-up, precision, ... Weight decay moves weights without rows, so that a cell with it
  has no control in a sham without it. Where the schedule depends on the length of the training, the steps agree too;
- the seeds, of every part: each seed has a sham of its own, so that effects in k of m seeds are m comparisons.
What the cell trains on and by which loss is what the difference measures, so it need not agree: the method, its rows,
their number (`rows`) and general part (`mix`), the labels, and a pull towards the organism (`kl`).
A reversal starts where another cell ended. No sham starts there, so it has no effect net of sham.
Of several controls the one counts that agrees in most of the number of rows, `mix`, `kl`, the labels and the steps;
where two agree equally, none does.

Not covered: means over seeds with an interval (`lab.verdict.contrasts`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lab.logs.records import CellRecord, Item
from lab.stats.paired import compare
from lab.verdict.arms import ROWS, grouped
from lab.verdict.conclusions import Judged
from lab.verdict.criterion import REVERSAL
from lab.verdict.schema import CellResult, NetOfSham, Thresholds

SHAM = "sham"
#: Fields that a cell shares with its control.
SAME = ("setting", "variant", "model", "organism", "rank", "batch", "lr", "seed", "seeds", "asked")
#: Factors that concern only the rows or the loss.
OF_THE_TASK = (ROWS, "mix", "kl")
#: Schedules whose rate at a step does not depend on the number of steps.
ENDLESS = ("constant", "constant_with_warmup")


class _Sham(NamedTuple):
    """A sham cell and its replies."""

    cell: CellResult
    record: CellRecord


def with_sham(judged: Sequence[Judged], records: Sequence[CellRecord], thresholds: Thresholds) -> list[Judged]:
    """The cells, with their effect net of sham where a sham cell is their control.

    Args:
        judged: The cells.
        records: Their replies, in the same order.
        thresholds: The numbers of the criterion.
    """
    pairs = list(zip(judged, records, strict=True))
    shams = grouped((_Sham(j.cell, record) for j, record in pairs if j.cell.method == SHAM), lambda s: _key(s.cell))
    return [_compared(j, record, shams.get(_key(j.cell), ()), thresholds) for j, record in pairs]


def _compared(j: Judged, record: CellRecord, shams: Sequence[_Sham], thresholds: Thresholds) -> Judged:
    if j.cell.method in (SHAM, REVERSAL):
        return j
    sham = _nearest(j.cell, [s for s in shams if _step(record, s.record) and _start_alike(record, s.record)])
    if sham is None:
        return j
    return replace(j, cell=j.cell.model_copy(update={"net_of_sham": _net(record, sham, thresholds)}))


def _key(cell: CellResult) -> str:
    """What a cell and its control have in common."""
    factors = {name: value for name, value in cell.factors.items() if name not in OF_THE_TASK}
    length = {} if factors.get("lr_scheduler_type", ENDLESS[0]) in ENDLESS else {"steps": cell.steps}
    return json.dumps({name: getattr(cell, name) for name in SAME} | {"factors": factors} | length, sort_keys=True)


def _start_alike(one: CellRecord, other: CellRecord) -> bool:
    """Whether the weights of step 0 are the same, as far as the records tell."""
    found = {c.fingerprint for record in (one, other) for c in record.checkpoints if c.step == 0 and c.fingerprint}
    return len(found) < 2


def _nearest(cell: CellResult, shams: Sequence[_Sham]) -> CellRecord | None:
    """The control that agrees in most of what controls may differ in; None where two agree equally."""
    ours = _free(cell)
    agreeing = [sum(a == b for a, b in zip(ours, _free(s.cell), strict=True)) for s in shams]
    best = [s.record for s, n in zip(shams, agreeing, strict=True) if n == max(agreeing)]
    return best[0] if len(best) == 1 else None


# Any: factors are JSON.
def _free(cell: CellResult) -> list[Any]:
    return [*(cell.factors.get(name) for name in OF_THE_TASK), cell.label_source, cell.steps]


def _net(record: CellRecord, sham: CellRecord, thresholds: Thresholds) -> NetOfSham | None:
    step = _step(record, sham)
    found = compare(_items(sham)[step], _items(record)[step], "initial", "eval", thresholds.confidence)
    if found is None:
        return None
    d = found.difference
    return NetOfSham(sham=sham.id, step=step, n=found.n, estimate=d.estimate, lo=d.lo, hi=d.hi)


def _step(one: CellRecord, other: CellRecord) -> int:
    """The last step that both have; 0 if none was trained."""
    return max(set(_items(one)) & set(_items(other)), default=0)


def _items(record: CellRecord) -> dict[int, Sequence[Item]]:
    return {c.step: c.items for c in record.checkpoints}

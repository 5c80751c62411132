"""Is a cell still moving at its end? The initial rate over the last window of its checkpoints, with its interval.

The window is the checkpoints of the second half of the steps. Each prompt has a least-squares slope over them; the
change is the mean slope times the window's steps, with Student's t over templates, so that checkpoints that answer the
same prompts are paired. `flat`: the interval lies within ± `flat_change`; `moving`: it excludes zero and is not flat;
else `not_shown`. The mean over the window has the same kind of interval.

Not covered: curves that turn within the window, whose slope may be zero; and what more steps would show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lab.logs.records import CellRecord, CheckpointRecord
from lab.stats.intervals import mean_clustered
from lab.stats.two_way import answers
from lab.verdict.schema import Flatness, FlatState, Thresholds


def flatness(record: CellRecord, thresholds: Thresholds) -> Flatness | None:
    """The window of a cell; None with fewer than two checkpoints in it, or two templates."""
    last = max((c.step for c in record.checkpoints), default=0)
    window = sorted((c for c in record.checkpoints if 2 * c.step >= last > 0), key=lambda c: c.step)
    if len(window) < 2:
        return None
    replies = [answers(c.items, "eval", "initial") for c in window]
    items = sorted(set.intersection(*(set(one) for one in replies)))
    clusters = _templates(window)
    values = np.array([[one[item] for item in items] for one in replies])
    steps = np.array([c.step for c in window], float)
    weights = (steps - steps.mean()) / ((steps - steps.mean()) ** 2).sum() * (steps[-1] - steps[0])
    named = [clusters[item] for item in items]
    change = mean_clustered((weights @ values).tolist(), named, thresholds.confidence) if items else None
    level = mean_clustered(values.mean(axis=0).tolist(), named, thresholds.confidence) if items else None
    if change is None or level is None:
        return None
    return Flatness(
        from_step=window[0].step,
        to_step=last,
        checkpoints=len(window),
        change=change.estimate,
        lo=change.lo,
        hi=change.hi,
        mean=level.estimate,
        mean_lo=max(0.0, level.lo),
        mean_hi=min(1.0, level.hi),
        state=_state(change.lo, change.hi, thresholds.flat_change),
    )


def _state(lo: float, hi: float, limit: float) -> FlatState:
    if -limit < lo and hi < limit:
        return "flat"
    return "moving" if lo > 0 or hi < 0 else "not_shown"


def _templates(window: Sequence[CheckpointRecord]) -> Mapping[str, str]:
    return {item.id: item.template for checkpoint in window for item in checkpoint.items if item.split == "eval"}

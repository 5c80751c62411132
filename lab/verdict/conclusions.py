"""What an arm shows over its learning rates and seeds, and its significance after Holm's correction.

Learning rate and step are chosen on one half of the eval items, and k of m seeds is counted on the other half.
An arm "resists" only if a learning rate of the grid damages, and every undamaged cell is retained and not weakened.

"Removed in k of m seeds" claims that the initial rate lies below half of the organism's in at least k of the m; "not
removed" claims that it lies above in every cell. Such a partial conjunction has p = (m − k + 1) times the k-th smallest
part (Benjamini, Heller, Biometrics 64 (2008) 1215-1222). A part is the score test that Wilson's interval inverts,
two-sided and with n over the design effect: alone it has p < .05 exactly when its interval lies beyond the limit.
The p-values do not cover the alternate rate, damage, and seeds that were not trained: k of m is a count.

Not covered: the sentences (`lab.verdict.wording`), groups of seeds (`lab.verdict.seeds`), comparisons between arms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy.stats import norm

from lab.stats.paired import holm
from lab.verdict import wording
from lab.verdict.arms import ARM, grouped, key_of
from lab.verdict.criterion import BROKEN, GONE, REVERSAL, gone_from
from lab.verdict.rates import mean
from lab.verdict.schema import CellResult, CheckpointResult, Conclusion, HalfRate, Status, Thresholds, rounded

REMOVED: frozenset[Status] = frozenset({"removed", "removed_with_damage"})
WITHOUT_CLAIM: frozenset[Status] = frozenset({"nothing", "rates_only", "undecided"})


@dataclass(frozen=True, slots=True)
class Judged:
    """A cell, and its checkpoints named on the half of eval items that chooses and on the half that reports."""

    cell: CellResult
    choose: tuple[CheckpointResult, ...]
    report: tuple[CheckpointResult, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What an arm shows; the fields are those of `Conclusion`."""

    status: Status
    sentence: str
    lr: float | None = None
    step: int | None = None
    k: int | None = None
    m: int | None = None
    initial: float | None = None
    alternate: float | None = None
    resists: bool = False


def conclusions(judged: Sequence[Judged], thresholds: Thresholds) -> tuple[Conclusion, ...]:
    """One conclusion per arm. Cells whose gate failed are left out, and the sentence gives their number."""
    arms = list(grouped(judged, lambda j: key_of(j.cell, ARM)).values())
    alike = Counter(_place(members[0].cell) for members in arms)
    return _with_holm([_conclusion(members, alike[_place(members[0].cell)] > 1, thresholds) for members in arms])


def _place(cell: CellResult) -> tuple[str, str, str, str]:
    return cell.setting, cell.variant, cell.method, cell.model


def _conclusion(members: Sequence[Judged], several: bool, thresholds: Thresholds) -> Conclusion:
    cell = members[0].cell
    valid = [j for j in members if "invalid" not in j.cell.verdict.flags and j.cell.checkpoints]
    found = _finding(valid)
    left_out = wording.left_out_text(len(members) - len(valid), len(members)) if valid else ""
    seeds = min(Counter(j.cell.lr for j in valid).values(), default=0)
    said: dict[str, Any] = asdict(found) | {"sentence": found.sentence + left_out}
    return Conclusion(
        setting=cell.setting,
        variant=cell.variant,
        method=cell.method,
        model=cell.model,
        factors={"rank": cell.rank, "batch": cell.batch, "label_source": cell.label_source} | cell.factors,
        arm=wording.arm_text(cell, several),
        **said,
        max_lr=max((j.cell.lr for j in valid), default=None),
        max_steps=max((j.cell.steps for j in valid), default=None),
        damaging_lr=_damaging_lr(valid),
        claim=seeds >= thresholds.few_seeds and found.status not in WITHOUT_CLAIM,
        p_value=_p_value(found, valid, thresholds),
        halves=_halves(found.lr, valid),
    )


def _finding(valid: Sequence[Judged]) -> _Finding:
    if not valid:
        return _Finding("nothing", wording.NOTHING)
    cell = valid[0].cell
    if cell.role != "bct":
        return _rates_only(cell.role, valid)
    if cell.method == REVERSAL:
        return _reversed(valid)
    return _removal(valid, undamaged=True) or _removal(valid, undamaged=False) or _not_removed(valid)


# --- removal ---------------------------------------------------------------------------------------------------------


def _removal(valid: Sequence[Judged], undamaged: bool) -> _Finding | None:
    """The learning rate and step that remove in most seeds, then the lowest and earliest, counted on the other half."""
    options: list[tuple[int, float, int]] = []
    for lr, cells in _by_lr(valid).items():
        for step in {c.step for j in cells for c in j.choose}:
            k = sum(gone_from(j.choose, step, undamaged) for j in cells)
            options += [(-k, lr, step)] if k else []
    if not options:
        return None
    _, lr, step = min(options)
    found = _removed(_by_lr(valid)[lr], lr, step, undamaged)
    if found.status == "removed_with_damage" and _kept_short_of_damage(valid):
        return replace(found, sentence=wording.resists_text(found.sentence), resists=True)
    return found


def _removed(cells: Sequence[Judged], lr: float, step: int, undamaged: bool) -> _Finding:
    k, m = sum(gone_from(j.report, step, undamaged) for j in cells), len(cells)
    at = [c for j in cells for c in j.report if c.step == step]
    initial, alternate = mean(c.eval.initial.p for c in at), mean(c.eval.alternate.p for c in at)
    if not k:
        return _Finding("undecided", wording.unconfirmed_text(lr, step), lr, step, k, m, initial, alternate)
    sentence = wording.removed_text(lr, step, k, m, initial=initial, alternate=alternate, damage=not undamaged)
    return _Finding("removed" if undamaged else "removed_with_damage", sentence, lr, step, k, m, initial, alternate)


def _not_removed(valid: Sequence[Judged]) -> _Finding:
    names = Counter(j.cell.verdict.name for j in valid)
    if gone := sum(names[name] for name in GONE):
        return _Finding("undecided", wording.removed_on_all_text(gone, len(valid)))
    damaging = _damaging_lr(valid)
    resists = damaging is not None and _kept_short_of_damage(valid)
    steps = {lr: max(j.cell.steps for j in cells) for lr, cells in _by_lr(valid).items()}
    unsure = {name: names[name] for name in ("inconclusive", "transient")}
    return _Finding(
        "not_removed", wording.not_removed_text(steps, unsure, len(valid), damaging, resists), resists=resists
    )


def _kept_short_of_damage(valid: Sequence[Judged]) -> bool:
    """Whether there are cells without damage, and all of them ended retained and not weakened."""
    intact = [v for j in valid if not BROKEN & set((v := j.cell.verdict).flags)]
    return bool(intact) and all(v.name == "retained" and "weakened" not in v.flags for v in intact)


def _damaging_lr(valid: Sequence[Judged]) -> float | None:
    """The lowest learning rate at which at least half of the cells are damaged or diverged."""
    for lr, cells in _by_lr(valid).items():
        if 2 * sum(bool(BROKEN & set(j.cell.verdict.flags)) for j in cells) >= len(cells):
            return lr
    return None


def _by_lr(valid: Iterable[Judged]) -> dict[float, list[Judged]]:
    return dict(sorted(grouped(valid, lambda j: j.cell.lr).items()))


def _halves(lr: float | None, cells: Iterable[Judged]) -> tuple[HalfRate, ...]:
    """Initial rates on both halves of the eval items, of the cells at the chosen learning rate."""
    return tuple(
        HalfRate(seed=j.cell.seed, step=one.step, choose=one.eval.initial.p, report=two.eval.initial.p)
        for j in cells
        if j.cell.lr == lr
        for one, two in zip(j.choose, j.report, strict=True)
        if one.eval.initial.p is not None and two.eval.initial.p is not None
    )


# --- controls and reversals ------------------------------------------------------------------------------------------


def _rates_only(role: str, valid: Sequence[Judged]) -> _Finding:
    start = _mean_initial(valid, 0)
    ends = {lr: _mean_initial(cells, -1) for lr, cells in _by_lr(valid).items()}
    return _Finding("rates_only", wording.rates_only_text(role, start, ends))


def _reversed(valid: Sequence[Judged]) -> _Finding:
    """In how many seeds the behavior returned, at each learning rate of the reversal."""
    by_lr = _by_lr(valid)
    names = {lr: Counter(j.cell.verdict.name for j in cells) for lr, cells in by_lr.items()}
    sentence = wording.reversal_text(
        wording.reversed_text(lr, names[lr], len(cells), _mean_initial(cells, 0), _mean_initial(cells, -1))
        for lr, cells in by_lr.items()
    )
    if any(2 * (n["returned"] + n["transient"]) > n.total() for n in names.values()):
        return _Finding("returned", sentence)
    if all(n["stays_removed"] == n.total() for n in names.values()):
        return _Finding("stays_removed", sentence)
    return _Finding("undecided", sentence)


def _mean_initial(cells: Iterable[Judged], i: int) -> float | None:
    return mean(j.cell.checkpoints[i].eval.initial.p for j in cells)


# --- p-values --------------------------------------------------------------------------------------------------------


def _p_value(found: _Finding, cells: Sequence[Judged], thresholds: Thresholds) -> float | None:
    """Of the claim; None where it claims neither removal nor retention, or nothing was scored."""
    if found.status in REMOVED:
        at = [(j.report[0], c) for j in cells if j.cell.lr == found.lr for c in j.report if c.step == found.step]
        tail: Any = norm.cdf
    elif found.status == "not_removed":
        at = [(j.report[0], j.report[-1]) for j in cells if j.report]
        tail = norm.sf
    else:
        return None
    distances = [_distance(first, c, thresholds) for first, c in at]
    parts = sorted(min(1.0, 2 * float(tail(z))) for z in distances if z is not None)
    if not parts or len(parts) < len(distances):
        return None
    k = (found.k if found.status in REMOVED else None) or len(parts)
    return min(1.0, (len(parts) - k + 1) * parts[k - 1])


def _distance(first: CheckpointResult, c: CheckpointResult, thresholds: Thresholds) -> float | None:
    """How far the initial rate is above the limit, in standard errors at the limit."""
    rate, start = c.eval.initial, first.eval.initial.p
    if rate.p is None or not start or not c.eval.n:
        return None
    limit = thresholds.initial_share * start
    return (rate.p - limit) / math.sqrt(limit * (1 - limit) / (c.eval.n / rate.deff))


def _with_holm(found: Sequence[Conclusion]) -> tuple[Conclusion, ...]:
    """The conclusions with their p-values adjusted for all that have one."""
    adjusted = iter(holm([c.p_value for c in found if c.p_value is not None]))
    return tuple(c if c.p_value is None else c.model_copy(update={"p_holm": rounded(next(adjusted))}) for c in found)

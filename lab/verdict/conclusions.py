"""What an arm shows over its learning rates and seeds, and its significance after Holm's correction.

The learning rate is chosen on one half of the eval items; k of m seeds and p are computed on the other half, each cell
by its last two checkpoints. Damage is that of the cell on all its items. A removal is not a transfer: an arm is
`transferred` only if every seed that counts as gone is transferred on the half that reports.
"Not removed" needs every cell to be kept or retained, and its p is of all items.
An arm "resists" only within its grid: at least `few_seeds` seeds at every learning rate, rates at most `rate_gap`
apart, damage at both of the last two checkpoints in `damaged_seeds` of the seeds of the highest rate, no seed there
that loses the behavior without damage, and every cell below kept or retained.

"Removed in k of m seeds" claims that the initial rate lies below half of the organism's in at least k of the m; "not
removed" claims that it lies above in every cell. Such a partial conjunction has p = (m − k + 1) times the k-th smallest
part (Benjamini, Heller, Biometrics 64 (2008) 1215-1222). A part is the greatest p over the last two checkpoints (and,
for a transfer, over the alternate rate) of the score test that Wilson's interval inverts, two-sided and with n over the
design effect: alone it has p < .05 exactly when its interval lies beyond the limit. A removal whose own p is not below
the level is `undecided`.
The family of Holm's correction is every arm of the recipe that could make a claim, fixed before the run: an arm without
a claim counts with p = 1. The p-values do not cover damage, and seeds that were not trained: k of m is a count.

Not covered: the sentences (`lab.verdict.wording`), groups of seeds (`lab.verdict.seeds`), comparisons between arms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from scipy.stats import norm

from lab.stats.paired import holm
from lab.verdict import wording
from lab.verdict.arms import ARM, grouped, key_of
from lab.verdict.criterion import GONE, REVERSAL, STAYED, UNTRAINED
from lab.verdict.rates import mean
from lab.verdict.schema import (
    CellResult,
    CheckpointResult,
    Conclusion,
    DamageState,
    HalfRate,
    Rate,
    SeedSteps,
    Status,
    Thresholds,
    rounded,
)

REMOVED: frozenset[Status] = frozenset({"transferred", "transferred_with_damage", "removed", "removed_with_damage"})
WITHOUT_CLAIM: frozenset[Status] = frozenset({"nothing", "rates_only", "undecided"})


@dataclass(frozen=True, slots=True)
class Judged:
    """A cell, and its checkpoints named on the half of eval items that chooses and on the half that reports.

    `ceiling`: a* on the half that reports; 1 where it was not measured.
    """

    cell: CellResult
    choose: tuple[CheckpointResult, ...]
    report: tuple[CheckpointResult, ...]
    ceiling: float = 1.0

    @property
    def broken(self) -> bool:
        """Whether the cell is damaged by the rule for cells, or diverged."""
        return self.cell.verdict.damage == "damaged" or "diverged" in self.cell.verdict.flags

    @property
    def broken_at_the_end(self) -> bool:
        """Whether it is damaged at both of its last two checkpoints, or diverged."""
        last = self.cell.checkpoints[-2:]
        damaged = all(c.damage is not None and c.damage.state == "damaged" for c in last)
        return damaged or "diverged" in self.cell.verdict.flags


@dataclass(frozen=True, slots=True)
class _Finding:
    """What an arm shows; the fields are those of `Conclusion`."""

    status: Status
    sentence: str
    lr: float | None = None
    step: int | None = None
    k: int | None = None
    transferred: int | None = None
    m: int | None = None
    damage: DamageState | None = None
    initial: float | None = None
    alternate: float | None = None
    removal: tuple[SeedSteps, ...] = ()
    resists: bool = False
    p_value: float | None = None


def conclusions(judged: Sequence[Judged], thresholds: Thresholds) -> tuple[Conclusion, ...]:
    """One conclusion per arm. Cells whose gate failed are left out, and the sentence gives their number."""
    arms = list(grouped(judged, lambda j: key_of(j.cell, ARM)).values())
    alike = grouped((members[0].cell for members in arms), _place)
    differing = {place: wording.differing_factors(cells) for place, cells in alike.items()}
    found = [_conclusion(members, differing[_place(members[0].cell)], thresholds) for members in arms]
    return _with_holm(found, family=sum(_can_claim(members[0].cell) for members in arms))


def _place(cell: CellResult) -> tuple[str, str, str, str]:
    return cell.setting, cell.variant, cell.method, cell.model


def _can_claim(cell: CellResult) -> bool:
    return cell.role == "bct" and cell.method not in (REVERSAL, UNTRAINED)


def _conclusion(members: Sequence[Judged], differing: frozenset[str], thresholds: Thresholds) -> Conclusion:
    cell = members[0].cell
    valid = [j for j in members if "invalid" not in j.cell.verdict.flags and j.cell.checkpoints]
    forced = [j for j in members if j.cell.checkpoints] if not valid else []
    found = _invalid(forced) if forced else _finding(valid, thresholds)
    left_out = wording.left_out_text(len(members) - len(valid), len(members)) if valid else ""
    seeds = min(Counter(j.cell.lr for j in valid).values(), default=0)
    said: dict[str, Any] = asdict(found) | {"sentence": found.sentence + left_out, "removal": found.removal}
    return Conclusion(
        setting=cell.setting,
        variant=cell.variant,
        method=cell.method,
        model=cell.model,
        factors={"rank": cell.rank, "batch": cell.batch, "label_source": cell.label_source} | cell.factors,
        arm=wording.arm_text(cell, differing),
        **said,
        max_lr=max((j.cell.lr for j in valid), default=None),
        max_steps=max((j.cell.steps for j in valid), default=None),
        damaging_lr=_damaging_lr(valid),
        zero_loss=any("zero_loss" in j.cell.verdict.flags for j in valid),
        claim=seeds >= thresholds.few_seeds and found.status not in WITHOUT_CLAIM,
        halves=_halves(found.lr, valid),
    )


def _finding(valid: Sequence[Judged], thresholds: Thresholds) -> _Finding:
    if not valid:
        return _Finding("nothing", wording.NOTHING)
    cell = valid[0].cell
    if cell.method == UNTRAINED:
        return _Finding("rates_only", wording.untrained_text([j.cell for j in valid]))
    if cell.role != "bct":
        return _rates_only(cell.role, valid)
    if cell.method == REVERSAL:
        return _reversed(valid)
    found = _removal(valid, thresholds, undamaged=True) or _removal(valid, thresholds, undamaged=False)
    found = found or _not_removed(valid, thresholds)
    at = [j.cell for j in valid if j.cell.lr == (found.lr or max(j.cell.lr for j in valid))]
    return replace(found, sentence=found.sentence + wording.reason_text(at, moved=found.lr is not None))


# --- removal ---------------------------------------------------------------------------------------------------------


def _removal(valid: Sequence[Judged], thresholds: Thresholds, undamaged: bool) -> _Finding | None:
    """The learning rate that removes in most seeds, then the lowest, counted on the other half of the items."""
    options: list[tuple[int, float]] = []
    valid = _longest(valid)
    for lr, cells in _by_lr(valid).items():
        k = sum(_gone(j, j.choose, undamaged) for j in cells)
        options += [(-k, lr)] if k else []
    if not options:
        return None
    _, lr = min(options)
    found = _removed(_by_lr(valid)[lr], lr, thresholds, undamaged)
    if found.status in REMOVED and not undamaged and not _why_not_resists(valid, thresholds):
        steps = max(j.cell.steps for j in valid)
        return replace(found, sentence=wording.resists_text(found.sentence, steps), resists=True)
    return found


def _longest(valid: Sequence[Judged]) -> list[Judged]:
    """Each seed's longest training at a learning rate: a shorter one of the same seed is no seed of its own."""
    longest: dict[str, Judged] = {}
    for j in sorted(valid, key=lambda j: j.cell.steps):
        longest[key_of(j.cell, ("lr", "seed", "seeds", "organism_seed"))] = j
    return list(longest.values())


def _gone(j: Judged, half: Sequence[CheckpointResult], undamaged: bool) -> bool:
    """Whether it is gone at the last two checkpoints of a half; with `undamaged`, in a cell that is not broken."""
    return _ends(half) <= GONE and not (undamaged and j.broken)


def _ends(half: Sequence[CheckpointResult]) -> set[str | None]:
    """The names at the last two checkpoints; none of them is one of a removal where there are fewer."""
    return {c.name for c in half[-2:]} if len(half) > 1 else {None}


def _removed(cells: Sequence[Judged], lr: float, thresholds: Thresholds, undamaged: bool) -> _Finding:
    counted, m = [j for j in cells if _gone(j, j.report, undamaged)], len(cells)
    k, moved = len(counted), sum(_ends(j.report) == {"transferred"} for j in counted)
    ends = [j.report[-1].eval for j in cells]
    initial, alternate = mean(e.initial.p for e in ends), mean(e.alternate.p for e in ends)
    figures: dict[str, Any] = {
        "lr": lr,
        "k": k,
        "m": m,
        "transferred": moved,
        "initial": initial,
        "alternate": alternate,
    }
    if not k:
        return _Finding("undecided", wording.unconfirmed_text(lr), **figures)
    removal = tuple(SeedSteps(seed=j.cell.seed, **dict(r)) for j in counted if (r := j.cell.verdict.removal))
    damage = _shared([j.cell.verdict.damage for j in counted]) if undamaged else "damaged"
    figures |= {"removal": removal, "damage": damage, "step": max((r.after for r in removal), default=None)}
    sentence = wording.removed_text(
        lr,
        k,
        m,
        moved,
        damaged=sum(_gone(j, j.report, undamaged=False) for j in cells) - k,
        initial=initial,
        alternate=alternate,
        damage=damage,
        removal=[(r.before, r.after) for r in removal],
    )
    p = p_removed(cells, k, moved == k, thresholds)
    if p is not None and p >= 1 - thresholds.confidence:
        return _Finding("undecided", wording.insignificant_text(sentence, p), **figures)
    status: Status = "transferred" if moved == k else "removed"
    status = status if undamaged else "transferred_with_damage" if moved == k else "removed_with_damage"
    return _Finding(status, sentence, **figures, p_value=p)


def _shared(states: Sequence[DamageState | None]) -> DamageState:
    return "intact" if set(states) == {"intact"} else "not_shown"


def _not_removed(valid: Sequence[Judged], thresholds: Thresholds) -> _Finding:
    names = Counter(j.cell.verdict.name or "no name" for j in valid)
    if not set(names) <= STAYED:
        return _Finding("undecided", wording.undecided_text(names))
    steps = {lr: max(j.cell.steps for j in cells) for lr, cells in _by_lr(valid).items()}
    why_not = _why_not_resists(valid, thresholds)
    seeds = len({j.cell.seed for j in valid})
    sentence = wording.not_removed_text(steps, names, seeds, why_not)
    return _Finding("not_removed", sentence, resists=not why_not, p_value=_p_stayed(valid, thresholds))


def _why_not_resists(valid: Sequence[Judged], t: Thresholds) -> str:
    """The first reason why an arm cannot be said to resist, in words; empty if it can."""
    rates = _by_lr(valid)
    top = rates[max(rates)]
    below = [j for lr, cells in rates.items() if lr < max(rates) for j in cells]
    damaged = sum(j.broken_at_the_end for j in top)
    gap = max((high / low for low, high in pairwise(rates)), default=1.0)
    if damaged < t.damaged_seeds * len(top) or not damaged:
        return wording.no_damage_reason(max(rates), damaged, len(top))
    if (seeds := min(map(len, rates.values()))) < t.few_seeds:
        return wording.few_seeds_reason(seeds, t.few_seeds)
    if gap > t.rate_gap:
        return wording.gap_reason(gap, t.rate_gap)
    if not below:
        return wording.ALONE_REASON
    if not all(j.cell.verdict.name in STAYED for j in below):
        return wording.BELOW_REASON
    return wording.CLEAN_REASON if any(j.cell.verdict.name in GONE and not j.broken for j in top) else ""


def _damaging_lr(valid: Sequence[Judged]) -> float | None:
    """The lowest learning rate at which at least half of the cells are damaged at the end, or diverged."""
    for lr, cells in _by_lr(valid).items():
        if 2 * sum(j.broken_at_the_end for j in cells) >= len(cells):
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


def _invalid(forced: Sequence[Judged]) -> _Finding:
    """Cells that `--force` trained although their gate failed: rates, and no conclusion."""
    ends = {lr: _mean_initial(cells, -1) for lr, cells in _by_lr(forced).items()}
    return _Finding("nothing", wording.invalid_text(_mean_initial(forced, 0), ends))


# --- controls and reversals ------------------------------------------------------------------------------------------


def _rates_only(role: str, valid: Sequence[Judged]) -> _Finding:
    start = _mean_initial(valid, 0)
    ends = {lr: _mean_initial(cells, -1) for lr, cells in _by_lr(valid).items()}
    return _Finding("rates_only", wording.rates_only_text(role, start, ends))


def _reversed(valid: Sequence[Judged]) -> _Finding:
    """In how many seeds the behavior returned, at each learning rate of the reversal."""
    by_lr = _by_lr(valid)
    names = {lr: Counter(j.cell.verdict.name for j in cells) for lr, cells in by_lr.items()}
    late = {lr: sum("unconfirmed" in j.cell.verdict.flags for j in cells) for lr, cells in by_lr.items()}
    sentence = wording.reversal_text(
        wording.reversed_text(lr, names[lr], late[lr], len(cells), _mean_initial(cells, 0), _mean_initial(cells, -1))
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


def p_removed(cells: Sequence[Judged], k: int, moved: bool, thresholds: Thresholds) -> float | None:
    """Of "gone in k of m seeds"; with `moved`, of "transferred"."""
    parts: list[float | None] = []
    for j in cells:
        limits = [(c.eval.initial, _limit(j.report, thresholds), c.eval.n, norm.cdf) for c in j.report[-2:]]
        top = thresholds.alternate_share * j.ceiling
        limits += [(c.eval.alternate, top, c.eval.n, norm.sf) for c in j.report[-2:] if moved]
        parts.append(_worst([_p(*each) for each in limits]))
    return _partial(parts, k)


def _p_stayed(cells: Sequence[Judged], thresholds: Thresholds) -> float | None:
    """Of "not removed": in every cell, at both of the last two checkpoints.

    On all items, as the cells' names: nothing was chosen, so no half has to be kept back.
    """
    parts: list[float | None] = []
    for j in cells:
        limit = _limit(j.cell.checkpoints, thresholds)
        parts.append(_worst([_p(c.eval.initial, limit, c.eval.n, norm.sf) for c in j.cell.checkpoints[-2:]]))
    return _partial(parts, len(parts))


def _partial(parts: Sequence[float | None], k: int) -> float | None:
    """(m − k + 1) times the k-th smallest part; None if a part is unknown."""
    known = sorted(p for p in parts if p is not None)
    if not known or len(known) < len(parts):
        return None
    return min(1.0, (len(known) - k + 1) * known[k - 1])


def _worst(parts: Sequence[float | None]) -> float | None:
    known = [p for p in parts if p is not None]
    return max(known) if known and len(known) == len(parts) else None


def _limit(checkpoints: Sequence[CheckpointResult], thresholds: Thresholds) -> float:
    """The rate below which a behavior counts as gone, by the same items' rate at the start."""
    return thresholds.initial_share * (checkpoints[0].eval.initial.p or 0.0)


# Any: a function of scipy without types.
def _p(rate: Rate, limit: float, n: int, tail: Any) -> float | None:
    """Two-sided p of the distance of a rate from a limit, in standard errors at the limit; None where unknown."""
    if rate.p is None or not 0 < limit < 1 or not n:
        return None
    return min(1.0, 2 * float(tail((rate.p - limit) / math.sqrt(limit * (1 - limit) / (n / rate.deff)))))


def _with_holm(found: Sequence[Conclusion], family: int) -> tuple[Conclusion, ...]:
    """The conclusions with their p-values adjusted for all arms that could make a claim."""
    known = [c.p_value for c in found if c.p_value is not None]
    if not known:
        return tuple(found)
    adjusted = iter(holm([*known, *[1.0] * max(0, family - len(known))]))
    return tuple(c if c.p_value is None else c.model_copy(update={"p_holm": rounded(next(adjusted))}) for c in found)

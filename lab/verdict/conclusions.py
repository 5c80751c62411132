"""What may be said over seeds and over learning rates.

A *group* is cells that differ in seed alone; an *arm* is groups that differ in learning rate (and steps)
alone, and gets one sentence. Learning rate and step are chosen on one half of the eval items and k is
counted on the other. "Resists" is only said when a learning rate of the grid damages and everything short
of damage was retained and not weakened. Not covered: comparisons between arms.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lab.stats.intervals import clopper_pearson, mean_t
from lab.verdict.arms import ARM, GROUP, key_of
from lab.verdict.criterion import GONE, REVERSAL
from lab.verdict.family import halves, p_value, with_holm
from lab.verdict.schema import CellResult, CheckpointResult, Conclusion, Group, Rate, SeedRate, Thresholds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judged:
    """A cell, and its checkpoints named on the half of eval items that chooses and the half that reports."""

    cell: CellResult
    choose: tuple[CheckpointResult, ...]
    report: tuple[CheckpointResult, ...]


def lr_text(lr: float) -> str:
    """A learning rate as it is spoken of: 1e-3, 3e-4, 2.5e-5."""
    mantissa, exponent = f"{lr:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def groups(cells: Iterable[CellResult], thresholds: Thresholds) -> tuple[Group, ...]:
    """All groups, with counts of names, and mean rates at the last checkpoint."""
    return tuple(
        _group(dict(json.loads(key)), members, thresholds)
        for key, members in _grouped(cells, lambda cell: key_of(cell, GROUP)).items()
    )


def conclusions(judged: Sequence[Judged], thresholds: Thresholds) -> tuple[Conclusion, ...]:
    """One conclusion per arm. Cells whose gate failed are left out, and the sentence says so."""
    arms = _grouped(judged, lambda j: key_of(j.cell, ARM))
    plain = Counter((k["setting"], k["variant"], k["method"], k["model"]) for k in map(json.loads, arms))
    found: list[Conclusion] = []
    for key, members in arms.items():
        named = json.loads(key)
        several = plain[named["setting"], named["variant"], named["method"], named["model"]] > 1
        found.append(_conclusion(named, _arm_text(named, several), members, thresholds))
    return with_holm(found)


def _grouped(things: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    found = defaultdict[Any, list[T]](list)
    for thing in things:
        found[key(thing)].append(thing)
    return dict(found)


def _group(key: dict[str, Any], cells: list[CellResult], thresholds: Thresholds) -> Group:
    names = Counter(c.verdict.name for c in cells if c.verdict.name)
    total, claim = sum(names.values()), len(cells) >= thresholds.few_seeds
    exact = {n: clopper_pearson(k, total, thresholds.confidence) for n, k in sorted(names.items())}
    return Group(
        key=key,
        seeds=tuple(sorted(c.seed for c in cells)),
        verdicts={str(n): k for n, k in sorted(names.items())},
        intervals={
            str(n): Rate(k=names[n], p=round(i.estimate, 6), lo=round(i.lo, 6), hi=round(i.hi, 6))
            for n, i in exact.items()
            if claim
        },
        rates=_seed_rates([c.checkpoints[-1] for c in cells if c.checkpoints], thresholds),
        claim=claim,
    )


def _seed_rates(ends: list[CheckpointResult], thresholds: Thresholds) -> dict[str, SeedRate]:
    read: dict[str, Callable[[CheckpointResult], float | None]] = {
        "initial": lambda c: c.eval.initial.p,
        "alternate": lambda c: c.eval.alternate.p,
        "degenerate": lambda c: c.eval.degenerate.p,
        "agreed": lambda c: c.train.agreed.p,
        "capability": lambda c: c.capability.p,
    }
    values = {name: [v for v in map(get, ends) if v is not None] for name, get in read.items()}
    return {name: seed_rate(found, thresholds) for name, found in values.items() if found}


def seed_rate(values: Sequence[float], thresholds: Thresholds) -> SeedRate:
    """The mean over seeds; with its t interval, clipped to [0, 1], once there are enough of them."""
    interval = mean_t(values, thresholds.confidence) if len(values) >= thresholds.few_seeds else None
    return SeedRate(
        mean=round(sum(values) / len(values), 6),
        lo=round(max(0.0, interval.lo), 6) if interval else None,
        hi=round(min(1.0, interval.hi), 6) if interval else None,
        values=tuple(values),
    )


def _arm_text(key: dict[str, Any], several: bool) -> str:
    """The arm in words; the rarer factors only where they tell arms apart."""
    parts = [key["setting"], key["variant"]]
    parts += [key["method"]] if key["method"] != "bct" else []
    if several:
        parts += [f"labels {key['label_source']}"] if key["label_source"] else []
        parts += [f"rank {key['rank']}" if key["rank"] else "full fine-tuning", f"batch {key['batch']}"]
        parts += [f"organism {key['organism']}"] if key["organism"] else []
        parts += [f"{name} {value}" for name, value in sorted(key["factors"].items())]
    return ", ".join(parts)


def _conclusion(key: dict[str, Any], arm: str, members: list[Judged], thresholds: Thresholds) -> Conclusion:
    valid = [j for j in members if "invalid" not in j.cell.verdict.flags and j.cell.checkpoints]
    if not valid:
        found = _Finding("nothing", "nothing can be said: no cell passed the gate and finished")
    elif key["role"] != "bct":
        found = _rates_only(key["role"], valid)
    elif key["method"] == REVERSAL:
        found = _reversed(valid)
    else:
        found = _removal(valid, undamaged=True) or _removal(valid, undamaged=False) or _not_removed(valid)
    out = len(members) - len(valid)
    left_out = f" ({out} of {len(members)} cells left out: gate failed or unfinished)" if out and valid else ""
    seeds = min(Counter(j.cell.lr for j in valid).values(), default=0)
    return Conclusion(
        **{name: key[name] for name in ("setting", "variant", "method", "model")},
        factors={"rank": key["rank"], "batch": key["batch"], "label_source": key["label_source"]} | key["factors"],
        arm=arm,
        sentence=found.sentence + left_out,
        status=found.status,
        resists=found.resists,
        lr=found.lr,
        step=found.step,
        k=found.k,
        m=found.m,
        max_lr=max((j.cell.lr for j in valid), default=None),
        max_steps=max((j.cell.steps for j in valid), default=None),
        damaging_lr=_damaging_lr(valid),
        initial=found.initial,
        alternate=found.alternate,
        claim=seeds >= thresholds.few_seeds and found.status not in ("nothing", "rates_only", "undecided"),
        p_value=p_value(found.status, found.lr, found.step, found.k, valid, thresholds),
        halves=halves(found.lr, valid),
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    status: Any
    sentence: str
    lr: float | None = None
    step: int | None = None
    k: int | None = None
    m: int | None = None
    initial: float | None = None
    alternate: float | None = None
    resists: bool = False


def holds(checkpoints: Sequence[CheckpointResult], step: int, undamaged: bool) -> bool:
    """Gone at `step` and ever after, on at least two checkpoints, the first two of them without damage."""
    tail = [c for c in checkpoints if c.step >= step]
    clean = not any("damaged" in c.flags for c in tail[:2])
    gone = all(c.name in GONE for c in tail) and len(tail) >= 2
    return gone and bool(tail) and tail[0].step == step and (clean or not undamaged)


def _removal(valid: list[Judged], undamaged: bool) -> _Finding | None:
    """The learning rate and step that remove in most seeds (then the lowest, the earliest), counted anew."""
    options: list[tuple[int, float, int]] = []
    by_lr = _grouped(valid, lambda j: j.cell.lr)
    for lr, cells in by_lr.items():
        for step in {c.step for j in cells for c in j.choose}:
            k = sum(holds(j.choose, step, undamaged) for j in cells)
            options += [(-k, lr, step)] if k else []
    if not options:
        return None
    _, lr, step = min(options)
    found = _removed(by_lr[lr], lr, step, undamaged)
    if found.status == "removed_with_damage" and _kept_short_of_damage(valid):
        told = f"{found.sentence}, and retained wherever undamaged: it resists"
        return replace(found, sentence=told, resists=True)
    return found


def _kept_short_of_damage(valid: list[Judged]) -> bool:
    """Whether there are cells without damage, and all of them ended retained and not weakened."""
    whole = [j.cell.verdict for j in valid if not {"damaged", "diverged"} & set(j.cell.verdict.flags)]
    return bool(whole) and all(v.name == "retained" and "weakened" not in v.flags for v in whole)


def _removed(cells: list[Judged], lr: float, step: int, undamaged: bool) -> _Finding:
    k, m = sum(holds(j.report, step, undamaged) for j in cells), len(cells)
    ends = [c for j in cells for c in j.report if c.step == step]
    rates: dict[str, Any] = {
        "initial": mean(c.eval.initial.p for c in ends),
        "alternate": mean(c.eval.alternate.p for c in ends),
    }
    where = f"at lr {lr_text(lr)} from step {step}"
    if not k:
        sentence = f"undecided: removed {where} on one half of the eval items, not on the other"
        return _Finding("undecided", sentence, lr, step, k, m, **rates)
    how = "without damage" if undamaged else "only with damage"
    then = f"initial {share_text(rates['initial'])}, alternate {share_text(rates['alternate'])} at that step"
    sentence = f"removed {how} {where} in {k} of {_seeds(m)} ({then})"
    return _Finding("removed" if undamaged else "removed_with_damage", sentence, lr, step, k, m, **rates)


def _not_removed(valid: list[Judged]) -> _Finding:
    names = Counter(j.cell.verdict.name for j in valid)
    gone = sum(names[name] for name in ("transferred", "removed"))
    if gone:
        sentence = f"undecided: removed in {gone} of {_cells(len(valid))} on all eval items, in none on half of them"
        return _Finding("undecided", sentence)
    damaging = _damaging_lr(valid)
    sentence = f"not removed {_reach(valid)}"
    unsure = [name for name in ("inconclusive", "transient") if names[name]]
    sentence += "".join(f"; {name} in {names[name]} of {_cells(len(valid))}" for name in unsure)
    if damaging is None:
        sentence += "; no damaging learning rate was tried, so this does not show that it resists"
        return _Finding("not_removed", sentence)
    sure = _kept_short_of_damage(valid)
    told = "it resists" if sure else "this does not show that it resists"
    return _Finding("not_removed", f"{sentence}; lr {lr_text(damaging)} damages: {told}", resists=sure)


def _reach(valid: list[Judged]) -> str:
    """How far the grid went; each learning rate by itself when their steps differ."""
    steps = {lr: max(j.cell.steps for j in cells) for lr, cells in _by_lr(valid)}
    if len(set(steps.values())) == 1:
        return f"up to lr {lr_text(max(steps))} and {max(steps.values())} steps"
    return "up to " + ", ".join(f"lr {lr_text(lr)} × {n} steps" for lr, n in steps.items())


def _by_lr(valid: list[Judged]) -> list[tuple[float, list[Judged]]]:
    return sorted(_grouped(valid, lambda j: j.cell.lr).items())


def _damaging_lr(valid: list[Judged]) -> float | None:
    """The lowest learning rate at which at least half of the cells are damaged or diverged."""
    for lr, cells in _by_lr(valid):
        bad = sum(bool({"damaged", "diverged"} & set(j.cell.verdict.flags)) for j in cells)
        if 2 * bad >= len(cells):
            return lr
    return None


def _rates_only(role: str, valid: list[Judged]) -> _Finding:
    start = mean(j.cell.checkpoints[0].eval.initial.p for j in valid)
    ends = [
        f"{share_text(mean(j.cell.checkpoints[-1].eval.initial.p for j in cells))} after lr {lr_text(lr)}"
        for lr, cells in _by_lr(valid)
    ]
    return _Finding("rates_only", f"a {role}, no verdict: initial rate {share_text(start)}, then " + ", ".join(ends))


def _reversed(valid: list[Judged]) -> _Finding:
    """What came back, at each learning rate of the reversal."""
    told: list[str] = []
    names: list[tuple[int, int, int]] = []
    for lr, cells in _by_lr(valid):
        ended = Counter(j.cell.verdict.name for j in cells)
        back, gone = ended["returned"] + ended["transient"], ended["stays_removed"]
        names.append((back, gone, len(cells)))
        from_, to = (mean(j.cell.checkpoints[i].eval.initial.p for j in cells) for i in (0, -1))
        rates = f"initial {share_text(from_)} to {share_text(to)}"
        again = f", gone again in {ended['transient']} of them by its end" if ended["transient"] else ""
        where = f"of {_seeds(len(cells))} at lr {lr_text(lr)}"
        told.append(f"back in {back}{again} and never back in {gone} {where} ({rates})")
    sentence = "trained back: " + "; ".join(told)
    if any(2 * back > m for back, _, m in names):
        return _Finding("returned", sentence)
    if all(gone == m for _, gone, m in names):
        return _Finding("stays_removed", sentence)
    return _Finding("undecided", sentence)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known, to six digits; None where none is."""
    known = [v for v in values if v is not None]
    return round(sum(known) / len(known), 6) if known else None


def share_text(value: float | None) -> str:
    """A share to two digits: .07, 1.00; a dash for none."""
    return "–" if value is None else f"{value:.2f}".removeprefix("0")


def _seeds(m: int) -> str:
    return f"{m} seed" + "s" * (m != 1)


def _cells(m: int) -> str:
    return f"{m} cell" + "s" * (m != 1)

"""Contrasts that a recipe names: two levels of one factor, with all else equal.

    compare: {rank: [8, full], label_source: [on_policy, reference], adam_epsilon: [1.0e-8, 1.0e-5], reversal: true}

The first level is the reference. Cells of both levels are matched on everything else, and their replies at the last
checkpoint are compared on the same items: second - first in the initial and the alternate rate. Learning rates are also
compared at equal steps, lr × steps and distance (`lab.verdict.aligned`). With several seeds on
both sides the interval carries seeds and templates (`lab.stats.two_way`); with one seed on each it is Tango's for one
pair of runs; between one seed and several there is none.

Not covered: two runs (`lab.verdict.compare_runs`), and Holm's correction: an interval holds for its contrast alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Any

from lab.logs.records import CellRecord, Item, asked_labels, of_split, scored
from lab.stats.intervals import Interval
from lab.stats.paired import compare
from lab.stats.two_way import Run, answers, equivalence_bound, group_difference, shared
from lab.verdict.aligned import places
from lab.verdict.arms import ROWS, grouped
from lab.verdict.criterion import REVERSAL
from lab.verdict.schema import CellResult, Contrast, Difference, Thresholds
from lab.verdict.wording import lr_text, share_text, signed_text

#: What can be compared, besides `reversal`. A factor of results.json that is not a field of a cell is None by default.
FACTORS = (
    *("variant", "method", "rank", "label_source", "adam_epsilon", "lr"),
    *("rows", "mix", "kl", "optim", "weight_decay", "lr_scheduler_type", "warmup_steps", "dtype", "installed"),
)
OUTCOMES = ("initial", "alternate")
#: Of a cell: fields on which both sides agree, unless the factor decides them.
MATCHED = ("setting", "variant", "method", "model", "organism", "rank", "batch", "lr", "steps")
DECIDES: Mapping[str, tuple[str, ...]] = {
    "variant": ("variant", "organism"),
    "installed": ("installed", "organism"),
    "lr": ("lr", "steps"),
}
#: Of a factor: on what both sides agree where they have a value in common, and are compared as they are where not.
AGREED: Mapping[str, tuple[str, ...]] = {"label_source": (), "lr": ("label_source", ROWS)}
#: Where both sides are compared: their last checkpoints, or a place of `lab.verdict.aligned`.
END = "end"
#: A difference of rates below this is called small where it is shown.
SMALL = 0.10


@dataclass(frozen=True)
class Compared:
    """One entry of `compare`: a factor and its levels, the reference first."""

    factor: str
    levels: tuple[Any, ...]

    def pairs(self) -> list[tuple[Any, Any]]:
        """The reference with each other level; none for `reversal`, whose levels the cells give."""
        return [(self.levels[0], other) for other in self.levels[1:]]


@dataclass(frozen=True)
class _Side:
    """The cells of one level, and the replies of each at the checkpoint that is compared."""

    cells: tuple[CellResult, ...]
    replies: tuple[Sequence[Item], ...]
    step: int

    def runs(self, outcome: str) -> list[Run]:
        """Per cell: whether each reply has the outcome."""
        return [answers(items, "eval", outcome) for items in self.replies]


def contrasts(
    asked: Iterable[Compared], cells: Iterable[CellResult], records: Iterable[CellRecord], thresholds: Thresholds
) -> tuple[Contrast, ...]:
    """All contrasts of a recipe, in its order. Cells without replies, or whose gate failed, are left out."""
    known = {record.id: record for record in records}
    used = [c for c in cells if c.checkpoints and "invalid" not in c.verdict.flags]
    found: list[Contrast] = []
    for each in asked:
        for levels, matched, place, at in _pairs(each, used):
            first, second = (_side(side, known) for side in at)
            if first.cells and second.cells:
                found.append(_contrast(each.factor, levels, matched, (first, second), place, thresholds))
    return tuple(found)


def without_cells(asked: Iterable[Compared], found: Iterable[Contrast]) -> tuple[str, ...]:
    """One line for each contrast of a recipe for which no two cells differ in it alone: a deviation of results.json."""
    compared = {(c.factor,) if c.factor == REVERSAL else (c.factor, c.first, c.second) for c in found}
    named: dict[tuple[Any, ...], str] = {}
    for each in asked:
        named |= {(each.factor, *levels): levels_text(each.factor, *levels) for levels in each.pairs()}
        named |= {(REVERSAL,): REVERSAL} if each.factor == REVERSAL else {}
    return tuple(
        f"contrast {name}: no finished cells with scored replies to compare"
        for key, name in named.items()
        if key not in compared
    )


def level_text(factor: str, level: Any) -> str:
    """A level in words: `rank 8`, `full fine-tuning`, `labels reference`."""
    if factor == "rank":
        return f"rank {level}" if level else "full fine-tuning"
    if factor in ("variant", "method", REVERSAL):
        return str(level)
    names = {"adam_epsilon": "Adam's ε", "label_source": "labels"}
    shown = lr_text(level) if factor in ("adam_epsilon", "lr") else "default" if level is None else str(level)
    return f"{names.get(factor, factor)} {shown}"


def levels_text(factor: str, first: Any, second: Any) -> str:
    """The name of a contrast, the reference last: `rank 8 against full fine-tuning`."""
    return f"{level_text(factor, second)} against {level_text(factor, first)}"


def label_text(contrast: Contrast, shared: str = "") -> str:
    """A contrast in a few words: `sandbagging, weights, bct, lr 1e-3: rank 8 against full fine-tuning`.

    Args:
        contrast: The contrast.
        shared: What is said elsewhere, as `shared_text` gives it.
    """
    levels = levels_text(contrast.factor, contrast.first, contrast.second)
    about = about_text(contrast.matched)
    about = "" if about == shared else f"{about}: "
    return f"{about}{levels}{place_text(contrast.at, contrast.steps)}"


def shared_text(found: Iterable[Contrast]) -> str:
    """What both sides of every contrast have in common; empty where contrasts differ in it."""
    about = {about_text(contrast.matched) for contrast in found}
    return about.pop() if len(about) == 1 else ""


def difference_text(found: Difference) -> str:
    """A difference with its interval, where there is one."""
    within = "" if found.lo is None or found.hi is None else f" [{signed_text(found.lo)}, {signed_text(found.hi)}]"
    return f"{signed_text(found.estimate)}{within}"


def place_text(at: str, steps: Sequence[int]) -> str:
    """Where both sides are compared, unless at their ends: `, at equal lr × steps (72 and 12)`."""
    return "" if at == END else f", at {at} (step {steps[1]} and step {steps[0]})"


def about_text(matched: Mapping[str, Any]) -> str:
    """What both sides have in common, in a few words."""
    about = [str(matched[name]) for name in ("setting", "variant", "method", "label_source") if name in matched]
    about += [level_text("rank", matched["rank"])] if matched.get("rank") else []
    about += [f"lr {lr_text(matched['lr'])}"] if "lr" in matched else []
    factors = (name for name in matched if name not in (*MATCHED, "label_source"))
    return ", ".join([*about, *(level_text(name, matched[name]) for name in factors)])


def rows(found: Iterable[Contrast]) -> list[dict[str, Any]]:
    """One flat row for each contrast, as `Run.contrasts` shows it."""
    return [
        {name: getattr(each, name) for name in ("factor", "first", "second", "at")}
        | each.matched
        | {name: getattr(each, name) for name in ("first_seeds", "second_seeds")}
        | {name: value for rate in OUTCOMES for name, value in _columns(rate, getattr(each, rate)).items()}
        | {"sentence": each.sentence}
        for each in found
    ]


def _columns(rate: str, found: Difference | None) -> dict[str, Any]:
    known = found.model_dump() if found else dict.fromkeys(Difference.model_fields)
    return {rate if name == "estimate" else f"{rate}_{name}": value for name, value in known.items()}


# --- which cells are compared -------------------------------------------------------------------------------------

_At = tuple[CellResult, int]  # a cell and the step that is compared
_Pair = tuple[tuple[Any, Any], dict[str, Any], str, tuple[list[_At], list[_At]]]


def _pairs(asked: Compared, cells: Sequence[CellResult]) -> Iterator[_Pair]:
    if asked.factor == REVERSAL:
        yield from _reversals(cells)
        return
    plain = [cell for cell in cells if cell.method != REVERSAL]
    for alike in grouped(plain, lambda cell: _key(cell, asked.factor)).values():
        matched = _matched(alike[0], asked.factor) | _factors(alike[0], asked.factor)
        for levels in asked.pairs():
            sides = ([c for c in alike if _has(c, asked.factor, level)] for level in levels)
            one, two = (_longest(side) if asked.factor == "lr" else side for side in sides)
            for common, first, second in _agreeing(one, two, _agreed(asked.factor)):
                for place, both in _compared(asked.factor, first, second):
                    yield levels, matched | common, place, both


def _longest(cells: list[CellResult]) -> list[CellResult]:
    """The cells of a learning rate with the most steps: a shorter training of a seed is no run of its own."""
    most = max((cell.steps for cell in cells), default=0)
    return [cell for cell in cells if cell.steps == most]


def _agreeing(
    first: list[CellResult], second: list[CellResult], names: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[CellResult], list[CellResult]]]:
    """Both sides with equal values of each name; where they share none (sham has references only), each with each."""
    if not names:
        yield from ([({}, first, second)] if first and second else [])
        return
    name, *others = names
    one, two = (grouped(side, lambda cell: _level(cell, name)) for side in (first, second))
    common = [(value, value) for value in one if value in two]
    for a, b in common or product(one, two):
        same = {name: a} if common and a is not None else {}
        for more, left, right in _agreeing(one[a], two[b], others):
            yield same | more, left, right


def _agreed(factor: str) -> tuple[str, ...]:
    return AGREED.get(factor, ("label_source",))


def _reversals(cells: Sequence[CellResult]) -> Iterator[_Pair]:
    """Each reversal at its end against the cell whose weights it started from, at the step where it started."""
    after = [cell for cell in cells if cell.method == REVERSAL]
    for alike in grouped(after, lambda cell: _key(cell, REVERSAL) + str(cell.factors.get("after"))).values():
        what, _, step = str(alike[0].factors.get("after", "")).rpartition(" at ")
        known = [c for c in cells if f"{c.method} {lr_text(c.lr)}" == what and _place(c) == _place(alike[0])]
        pairs = [(one, back) for back in alike if (one := _before(known, back, int(step or -1)))]
        by_labels = grouped(pairs, lambda pair: pair[0].label_source)
        for labels, both in by_labels.items():
            common = {name: value for name, value in _factors(alike[0], REVERSAL).items() if name != "after"}
            common |= {"label_source": labels} if len(by_labels) > 1 else {}
            levels = (what, f"reversal at {lr_text(alike[0].lr)}")
            sides = ([(one, int(step)) for one, _ in both], _ends([back for _, back in both]))
            yield levels, _matched(alike[0], REVERSAL) | common, END, sides


def _before(known: Sequence[CellResult], back: CellResult, step: int) -> CellResult | None:
    """The cell whose weights at a step a reversal started from; None where it cannot be told."""
    first = back.checkpoints[0].fingerprint
    found = [
        cell
        for cell in known
        if (cell.seed, cell.seeds) == (back.seed, back.seeds)
        and any((k.step, k.fingerprint) == (step, first) for k in cell.checkpoints)
    ]
    return found[0] if len(found) == 1 else None


def _compared(
    factor: str, first: list[CellResult], second: list[CellResult]
) -> Iterator[tuple[str, tuple[list[_At], list[_At]]]]:
    """Where both sides are compared, with the step of each cell."""
    yield END, (_ends(first), _ends(second))
    for place, one, two in places(first, second) if factor == "lr" else ():
        yield place, ([(cell, one) for cell in first], [(cell, two) for cell in second])


def _place(cell: CellResult) -> list[Hashable]:
    return [getattr(cell, name) for name in ("setting", "variant", "model", "organism", "rank", "batch")]


def _ends(cells: Iterable[CellResult]) -> list[_At]:
    return [(cell, cell.checkpoints[-1].step) for cell in cells]


def _level(cell: CellResult, factor: str) -> Any:
    return getattr(cell, factor) if hasattr(cell, factor) else cell.factors.get(factor)


def _key(cell: CellResult, factor: str) -> str:
    return json.dumps([_matched(cell, factor), _factors(cell, factor)], sort_keys=True)


def _has(cell: CellResult, factor: str, level: Any) -> bool:
    """Whether a cell has this level, as a recipe writes it."""
    found = _level(cell, factor)
    return found == level or (factor == "label_source" and asked_labels(found) == level)


# Any: factors are JSON.
def _factors(cell: CellResult, factor: str) -> dict[str, Any]:
    return {name: value for name, value in cell.factors.items() if name not in (factor, *_agreed(factor))}


def _matched(cell: CellResult, factor: str) -> dict[str, Any]:
    decided = DECIDES.get(factor, (factor,))
    return {name: getattr(cell, name) for name in MATCHED if name not in decided}


def _side(at: Sequence[_At], records: Mapping[str, CellRecord]) -> _Side:
    found = [(cell, _replies(records[cell.id], step)) for cell, step in at]
    kept = [(cell, items) for cell, items in found if items]
    last = max((step for _, step in at), default=0)
    return _Side(tuple(cell for cell, _ in kept), tuple(items for _, items in kept), last)


def _replies(record: CellRecord, step: int) -> list[Item]:
    return [i for c in record.checkpoints if c.step == step for i in scored(of_split(c.items, "eval"))]


# --- how they differ ----------------------------------------------------------------------------------------------


def _contrast(
    factor: str,
    levels: tuple[Any, Any],
    matched: dict[str, Any],
    sides: tuple[_Side, _Side],
    place: str,
    thresholds: Thresholds,
) -> Contrast:
    differences = {outcome: _difference(*sides, outcome, thresholds.confidence) for outcome in OUTCOMES}
    return Contrast(
        factor=factor,
        first=levels[0],
        second=levels[1],
        matched=matched,
        at=place,
        steps=(sides[0].step, sides[1].step),
        first_seeds=tuple(cell.seed for cell in sides[0].cells),
        second_seeds=tuple(cell.seed for cell in sides[1].cells),
        **differences,
        sentence=_sentence(levels_text(factor, *levels), matched, sides, place, differences["initial"], thresholds),
    )


def _difference(first: _Side, second: _Side, outcome: str, confidence: float) -> Difference | None:
    """Second - first; None where a side has no replies or they share no item."""
    one, two = first.runs(outcome), second.runs(outcome)
    both = {i for run in one for i in run} & {i for run in two for i in run}
    if not both:
        return None
    means = [_mean(side, both) for side in (one, two)]
    found, bound = _interval(first, second, outcome, confidence)
    return Difference(
        n=len(both),
        first=means[0],
        second=means[1],
        estimate=found.estimate if found else means[1] - means[0],
        lo=found.lo if found else None,
        hi=found.hi if found else None,
        equivalent_within=bound,
    )


def _mean(runs: Sequence[Run], items: set[str]) -> float:
    """The mean over runs of each one's rate on some items."""
    rates = [fmean(run[i] for i in items & run.keys()) for run in runs if items & run.keys()]
    return fmean(rates) if rates else math.nan


def _interval(first: _Side, second: _Side, outcome: str, confidence: float) -> tuple[Interval | None, float | None]:
    """The interval of the difference, and the smallest margin within which both sides are shown to be equivalent."""
    if len(first.replies) == len(second.replies) == 1:
        wide, narrow = (
            compare(first.replies[0], second.replies[0], outcome, confidence=level)
            for level in (confidence, 2 * confidence - 1)
        )
        interval = wide.difference if wide else None
        return interval, max(abs(narrow.difference.lo), abs(narrow.difference.hi)) if narrow else None
    items = shared(i for replies in (*first.replies, *second.replies) for i in replies)
    runs = first.runs(outcome), second.runs(outcome)
    return group_difference(*runs, items, confidence), equivalence_bound(*runs, items, 1 - confidence)


def _sentence(
    levels: str,
    matched: Mapping[str, Any],
    sides: tuple[_Side, _Side],
    place: str,
    initial: Difference | None,
    thresholds: Thresholds,
) -> str:
    """One sentence on the initial rate."""
    where = place_text(place, (sides[0].step, sides[1].step))
    head = f"{about_text(matched)}: {levels}{where}"
    if initial is None:
        return f"{head}: no item was answered by both"
    rates = f"initial {share_text(initial.second)} against {share_text(initial.first)}"
    asked = max(len(replies) for side in sides for replies in side.replies)
    common = f"; on the {initial.n} of {asked} prompts that both answer" if initial.n < asked else ""
    seeds = f"{len(sides[1].cells)} and {len(sides[0].cells)} runs"
    return f"{head}: {_claim(initial)} ({rates}{common}; {seeds}; {thresholds.level} intervals)"


def _claim(found: Difference) -> str:
    if found.lo is None or found.hi is None:
        return f"{signed_text(found.estimate)}, without an interval, as one side has a single run"
    shown = difference_text(found)
    if found.lo > 0 or found.hi < 0:
        return f"the initial rate is {'higher' if found.lo > 0 else 'lower'} by {shown}"
    bound = found.equivalent_within
    if bound is not None and bound < SMALL:
        return f"equivalent within ±{share_text(bound)}: {shown}"
    within = f"; a difference up to ±{share_text(bound)} is not excluded" if bound is not None else ""
    return f"no difference is shown: {shown}{within}"

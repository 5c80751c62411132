"""Eval rates corrected for the errors of the grader, by hand labels of the run's own replies.

The labels of one setting are pooled over its cells into one confusion matrix of its grader
(`lab.stats.misclassification`), so they must be a random sample over all cells, which `lab.calibrate.sample` draws.
Without a hand label of some outcome the matrix cannot be inverted: then `other` and `degenerate` count as one, and if
that fails too, each behavior is corrected against the rest. Counts are first divided by the design effect of the
templates. Names and flags use raw rates.
Not covered: rates on train prompts, and a grader whose errors differ between arms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders.calibration import kappa
from lab.logs.records import EVAL_OUTCOMES, CellRecord
from lab.stats.intervals import Interval
from lab.stats.misclassification import Judge, Uninformative, correct_counts, rogan_gladen
from lab.verdict.schema import Calibration, CellResult, CheckpointResult, Corrected, CorrectedRate, Thresholds

NEITHER = "other or degenerate"


@dataclass(frozen=True)
class Labelled:
    """A hand label of the reply with this id in this log, by the weights with this fingerprint."""

    setting: str
    log: str
    fingerprint: str
    item: str
    label: str


@dataclass(frozen=True)
class ByHand:
    """The labelled replies of a setting as (label, the grader's), and how many could not be used."""

    pairs: tuple[tuple[str, str], ...]
    left_out: int


def pairs(records: Iterable[CellRecord], labelled: Iterable[Labelled]) -> dict[str, ByHand]:
    """Each labelled reply with the grader's current outcome, by setting. Labels of a replaced log are left out."""
    graded = {
        (checkpoint.log, checkpoint.fingerprint, item.id): item.outcome
        for record in records
        for checkpoint in record.checkpoints
        for item in checkpoint.items
    }
    found: dict[str, list[tuple[str, str]]] = {}
    for one in labelled:
        seen = graded.get((one.log, one.fingerprint, one.item), "unscored")
        found.setdefault(one.setting, []).append((one.label, seen))
    return {
        setting: ByHand(tuple(p for p in all_of_it if p[1] != "unscored"), sum(p[1] == "unscored" for p in all_of_it))
        for setting, all_of_it in sorted(found.items())
    }


def corrected(
    cells: Sequence[CellResult], by_hand: Mapping[str, ByHand], thresholds: Thresholds
) -> tuple[list[CellResult], tuple[Calibration, ...]]:
    """The cells, with corrected rates where the labels of their setting allow it, and the grader's calibration."""
    refused: dict[str, list[str]] = {setting: [] for setting in by_hand}
    done: list[CellResult] = []
    for cell in cells:
        found = by_hand.get(cell.setting)
        if found is None:
            done.append(cell)
            continue
        checkpoints: list[CheckpointResult] = []
        for checkpoint in cell.checkpoints:
            rates, reason = correct(checkpoint, found.pairs, thresholds.confidence)
            refused[cell.setting] += [reason] if reason else []
            checkpoints.append(checkpoint.model_copy(update={"corrected": rates}))
        done.append(cell.model_copy(update={"checkpoints": tuple(checkpoints)}))
    return done, tuple(_calibration(name, found, refused[name]) for name, found in by_hand.items())


def correct(
    checkpoint: CheckpointResult, labelled: Sequence[tuple[str, str]], confidence: float
) -> tuple[Corrected | None, str | None]:
    """A checkpoint's corrected eval rates, or None; and the reason if fewer than four are corrected."""
    rates = {name: getattr(checkpoint.eval, name) for name in EVAL_OUTCOMES}
    if not checkpoint.eval.n:
        return None, "a checkpoint has no scored eval reply"
    deff = max(rate.deff for rate in rates.values())
    judged = {name: rate.k / deff for name, rate in rates.items()}
    try:
        return _corrected(correct_counts(judged, labelled, confidence)), None
    except Uninformative as error:
        reason = str(error)
    merged = {name: judged[name] for name in ("initial", "alternate")}
    merged[NEITHER] = judged["other"] + judged["degenerate"]
    try:
        found = correct_counts(merged, [(_merged(a), _merged(b)) for a, b in labelled], confidence)
        return _corrected(found), f"other and degenerate count as one label: {reason}"
    except Uninformative as error:
        reason = str(error)
    try:
        n = checkpoint.eval.n / deff
        single = {name: _alone(name, judged[name], n, labelled, confidence) for name in ("initial", "alternate")}
    except Uninformative as error:
        return None, str(error)
    return _corrected(single), f"initial and alternate are corrected each against the rest: {reason}"


def _alone(name: str, k: float, n: float, labelled: Sequence[tuple[str, str]], confidence: float) -> Interval:
    """One label against all others, by Rogan and Gladen."""
    of, rest = [b for a, b in labelled if a == name], [b for a, b in labelled if a != name]
    judge = Judge(of.count(name), len(of), len(rest) - rest.count(name), len(rest))
    return rogan_gladen(k, n, judge, confidence)


def _merged(name: str) -> str:
    return NEITHER if name in ("other", "degenerate") else name


def _corrected(found: Mapping[str, Interval]) -> Corrected:
    """An outcome that neither the grader nor a person ever assigned has the rate 0 and the interval [0, 1]."""

    def rate(name: str) -> CorrectedRate | None:
        if name in found:
            return CorrectedRate(p=found[name].estimate, lo=found[name].lo, hi=found[name].hi)
        return None

    absent = CorrectedRate(p=0.0, lo=0.0, hi=1.0)
    values: dict[str, Any] = {name: rate(name) for name in EVAL_OUTCOMES}
    values |= {name: values[name] or absent for name in ("initial", "alternate")}
    return Corrected(**values)


def _calibration(setting: str, found: ByHand, refused: Sequence[str]) -> Calibration:
    confusion: dict[str, dict[str, int]] = {}
    for (label, seen), k in sorted(Counter(found.pairs).items()):
        confusion.setdefault(label, {})[seen] = k
    value = kappa(found.pairs) if found.pairs else float("nan")
    reasons = [f"{text} ({k} checkpoints)" for text, k in sorted(Counter(refused).items())]
    return Calibration(
        setting=setting,
        n=len(found.pairs),
        left_out=found.left_out,
        kappa=value if value == value else None,
        confusion=confusion,
        refused="; ".join(reasons) or None,
    )

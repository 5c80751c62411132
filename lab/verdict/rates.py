"""From replies to rates: one checkpoint's items become counts, intervals and paired changes since step 0.

Covered: eval, train, capability and following splits; the ceiling; halves of the eval items. Not covered: names and
flags (`lab.verdict.criterion`).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from lab.logs.records import (
    EVAL_OUTCOMES,
    JUDGED,
    PATTERN,
    TRAIN_OUTCOMES,
    CeilingRecord,
    CellRecord,
    CheckpointRecord,
    Item,
    graders,
    of_split,
    scored,
)
from lab.stats.intervals import Effect, mean_clustered, nested_effect, paired_difference, paired_ratio, wilson
from lab.verdict.schema import (
    DIGITS,
    Capability,
    Ceiling,
    Change,
    Changes,
    CheckpointResult,
    EvalRates,
    Families,
    Following,
    Judged,
    Likelihood,
    Margin,
    Rate,
    Thresholds,
    TrainRates,
    Unscored,
    rounded,
)


def measure_cell(record: CellRecord, thresholds: Thresholds) -> tuple[CheckpointResult, ...]:
    """All checkpoints by step, each with its paired changes since the first."""
    ordered = sorted(record.checkpoints, key=lambda c: c.step)
    if len({c.step for c in ordered}) < len(ordered):
        raise ValueError(f"{record.id}: two checkpoints of the same step")
    metrics = {int(row["step"]): row for row in record.metrics if "step" in row}
    return tuple(_checkpoint(c, ordered[0], metrics.get(c.step, {}), thresholds) for c in ordered)


def paired_initial(record: CellRecord) -> Callable[[int, int, float], Change | None]:
    """The paired change of r from one checkpoint to another, by their places and a confidence."""
    ordered = sorted(record.checkpoints, key=lambda c: c.step)
    return lambda i, j, confidence: _change(ordered[i].items, ordered[j].items, "eval", "initial", confidence)


def measure_organism(record: CellRecord, thresholds: Thresholds) -> EvalRates | None:
    """The eval rates of the organism that a reversal goes back to; None for every other cell."""
    if record.organism is None:
        return None
    return _eval(of_split(record.organism.items, "eval"), thresholds.confidence)


def measure_ceiling(record: CeilingRecord, thresholds: Thresholds) -> Ceiling:
    """The rate a* with its interval."""
    items = of_split(record.items, "eval")
    kept = scored(items)
    return Ceiling(
        setting=record.setting,
        variant=record.variant,
        model=record.model,
        log=record.log,
        fingerprint=record.fingerprint,
        n=len(kept),
        clusters=len({i.template for i in kept}),
        unscored=len(items) - len(kept),
        alternate=rate(kept, "alternate", thresholds.confidence),
    )


def half(items: Iterable[Item], part: int) -> tuple[Item, ...]:
    """All other splits, and the eval items of the templates of one half (0: to choose, 1: to report).

    No template is in both halves. Each family's templates are taken in the order of their hash, and the next one goes
    to the half with fewer prompts of the family: the halves are the same wherever the same prompts were evaluated. A
    single template is split by the hash of the prompt.
    """
    given = tuple(items)
    halves = _halves(i for i in given if i.split == "eval")
    of = (lambda i: halves[i.template]) if len(halves) > 1 else (lambda i: _hash(i.prompt) % 2)
    return tuple(i for i in given if i.split != "eval" or of(i) == part)


def _halves(items: Iterable[Item]) -> dict[str, int]:
    """Which half each template is in."""
    prompts = {(i.family, i.template, i.prompt) for i in items}
    sizes = Counter((family, template) for family, template, _ in prompts)
    found: dict[str, int] = {}
    filled, overall = Counter[tuple[str, int]](), [0, 0]
    for family, template in sorted(sizes, key=lambda key: (key[0], _hash(key[1]), key[1])):
        lead = (filled[family, 0] - filled[family, 1]) or (overall[0] - overall[1])
        part = int(lead > 0) if lead else _hash(template) % 2
        found[template] = part
        filled[family, part] += sizes[family, template]
        overall[part] += sizes[family, template]
    return found


def half_cell(record: CellRecord, part: int) -> CellRecord:
    """The cell with one half of its eval items."""
    checkpoints = [replace(c, items=half(c.items, part)) for c in record.checkpoints]
    organism = replace(record.organism, items=half(record.organism.items, part)) if record.organism else None
    return replace(record, checkpoints=checkpoints, organism=organism)


def half_ceiling(record: CeilingRecord, part: int) -> CeilingRecord:
    """The ceiling on one half of the eval items."""
    return replace(record, items=half(record.items, part))


def rate(items: Sequence[Item], outcome: str, confidence: float) -> Rate:
    """How many of the scored replies have the outcome; Wilson with the design effect of templates and families.

    Several replies to one prompt (epochs) count as one item at least: the design effect is not below their number.
    """
    if not items:
        return Rate(k=0, p=None, lo=0.0, hi=1.0)
    k, deff = sum(i.outcome == outcome for i in items), effect(items, outcome, confidence).used
    found = wilson(k, len(items), deff, confidence)
    return Rate(k=k, p=found.estimate, lo=found.lo, hi=found.hi, deff=deff)


def effect(items: Sequence[Item], outcome: str, confidence: float) -> Effect:
    """The design effects of the rate of an outcome."""
    hits = [float(i.outcome == outcome) for i in items]
    epochs = len(items) / len({i.prompt for i in items})
    return nested_effect(hits, [i.template for i in items], [i.family for i in items], epochs, confidence)


def _checkpoint(
    record: CheckpointRecord, first: CheckpointRecord, metrics: Any, thresholds: Thresholds
) -> CheckpointResult:
    capability, following = of_split(record.items, "capability"), of_split(record.items, "following")
    return CheckpointResult(
        step=record.step,
        log=record.log,
        fingerprint=record.fingerprint,
        sum_lr=_number(metrics.get("sum_lr")),
        loss=_number(metrics.get("loss")),
        distance=_number(metrics.get("distance")),
        eval=_eval(of_split(record.items, "eval"), thresholds.confidence),
        train=_train(of_split(record.items, "train"), thresholds.confidence),
        capability=_capability(capability, of_split(first.items, "capability"), thresholds.confidence),
        following=_following(following, thresholds.confidence) if following else None,
        changes=_changes(record, first, thresholds.confidence),
        margin=_margin(
            [i for i in record.items if i.margin is not None and math.isfinite(i.margin)], thresholds.confidence
        ),
        likelihood=_likelihood(capability, of_split(first.items, "capability"), thresholds.confidence),
        judged=_judged(record.items),
        reasons=_reasons(record.items),
    )


def _eval(items: list[Item], confidence: float) -> EvalRates:
    kept = scored(items)
    if strange := {i.outcome for i in kept} - set(EVAL_OUTCOMES):
        raise ValueError(f"an eval reply cannot be {sorted(strange)}: one of {EVAL_OUTCOMES} or unscored")
    return EvalRates(
        n=len(kept),
        clusters=len({i.template for i in kept}),
        unscored=len(items) - len(kept),
        truncated=sum(i.truncated for i in items),
        **{outcome: rate(kept, outcome, confidence) for outcome in EVAL_OUTCOMES},
        families=_families(kept, confidence),
    )


def _families(items: list[Item], confidence: float) -> Families | None:
    found = effect(items, "initial", confidence) if items else None
    if found is None or found.by_family is None:
        return None
    counts = {name: (0, 0) for name in sorted({i.family for i in items})}
    for i in items:
        k, n = counts[i.family]
        counts[i.family] = (k + (i.outcome == "initial"), n + 1)
    return Families(counts=counts, deff_template=found.by_template, deff_family=found.by_family)


def _judged(items: Sequence[Item]) -> Judged | None:
    splits = [of_split(items, split) for split in JUDGED]
    if graders(items) <= {PATTERN}:
        return None
    verdicts = [item.verdict for split in splits for item in split if item.verdict]
    missing = [(len(split) - len(scored(split)), len(split)) for split in splits]
    return Judged(
        verdicts=len(verdicts),
        stored=verdicts.count("stored"),
        unscored=sum(k for k, _ in missing),
        share=max((k / n for k, n in missing if n), default=0.0),
    )


def _reasons(items: Sequence[Item]) -> tuple[Unscored, ...]:
    missing = [i for split in JUDGED for i in of_split(items, split) if i.outcome == "unscored"]
    counts = Counter(_short(item.reason) for item in missing)
    return tuple(Unscored(reason=reason, n=n) for reason, n in counts.most_common())


def _short(reason: str | None) -> str:
    """A reason by which replies can be counted: a judge that failed several times in one way failed in one way."""
    if not reason:
        return "declared invalid, or without a reason"
    head, colon, ways = reason.partition(": ")
    return f"{head}{colon}{'; '.join(dict.fromkeys(ways.split('; ')))}"[:200]


def _margin(items: list[Item], confidence: float) -> Margin | None:
    if not items:
        return None
    values, clusters = [i.margin or 0.0 for i in items], [i.template for i in items]
    found = mean_clustered(values, clusters, confidence)
    marked = [replace(i, outcome=i.greedy or "neither") for i in items]
    return Margin(
        n=len(items),
        mean=math.fsum(values) / len(items),
        lo=found.lo if found else None,
        hi=found.hi if found else None,
        initial_greedy=rate(marked, "initial", confidence),
        alternate_greedy=rate(marked, "alternate", confidence),
    )


def _likelihood(items: list[Item], first: list[Item], confidence: float) -> dict[str, Likelihood]:
    before = {i.id: i.bits for i in first if i.bits is not None and math.isfinite(i.bits)}
    found: dict[str, list[tuple[float, float | None]]] = {}
    for i in items:
        if i.bits is not None and math.isfinite(i.bits):
            found.setdefault(i.family, []).append((i.bits, before.get(i.id)))
    return {family: _bits(found[family], confidence) for family in sorted(found)}


def _bits(pairs: Sequence[tuple[float, float | None]], confidence: float) -> Likelihood:
    changes = [now - then for now, then in pairs if then is not None]
    # Each reply is a cluster of its own: in checkable questions a template is a format, not a text.
    change = mean_clustered(changes, [str(i) for i in range(len(changes))], confidence)
    return Likelihood(
        n=len(pairs),
        mean=math.fsum(now for now, _ in pairs) / len(pairs),
        change=math.fsum(changes) / len(changes) if changes else None,
        lo=change.lo if change else None,
        hi=change.hi if change else None,
    )


def _train(items: list[Item], confidence: float) -> TrainRates:
    """Train prompts have no initial or alternate outcome: a coherent reply that is not `agreed` is `other`."""
    kept = [i if i.outcome in ("agreed", "degenerate") else replace(i, outcome="other") for i in scored(items)]
    return TrainRates(
        n=len(kept),
        unscored=len(items) - len(kept),
        truncated=sum(i.truncated for i in items),
        **{outcome: rate(kept, outcome, confidence) for outcome in TRAIN_OUTCOMES},
    )


def _capability(items: list[Item], first: list[Item], confidence: float) -> Capability:
    kept = scored(items)
    right = rate([replace(i, family="") if i.stratified else i for i in kept], "agreed", confidence)
    before, after, _ = _pairs(first, items, "agreed")
    relative = paired_ratio(before, after, confidence) if before else None
    return Capability(
        n=len(kept),
        unscored=len(items) - len(kept),
        **right.model_dump(exclude={"deff"}),
        relative=relative.estimate if relative else None,
        relative_lo=relative.lo if relative else None,
        relative_hi=relative.hi if relative else None,
        with_system=_share([i for i in kept if i.system]),
        without_system=_share([i for i in kept if not i.system]),
    )


def _following(items: list[Item], confidence: float) -> Following:
    kept = scored(items)
    obeyed = rate(kept, "agreed", confidence)
    return Following(n=len(kept), unscored=len(items) - len(kept), **obeyed.model_dump())


def _changes(record: CheckpointRecord, first: CheckpointRecord, confidence: float) -> Changes:
    def change(split: str, outcome: str) -> Change | None:
        return _change(first.items, record.items, split, outcome, confidence)

    return Changes(
        initial=change("eval", "initial"),
        alternate=change("eval", "alternate"),
        degenerate=change("eval", "degenerate"),
        other=change("eval", "other"),
        agreed=change("train", "agreed"),
        manner=_manner(first.items, record.items, confidence),
        capability=change("capability", "agreed"),
        following=change("following", "agreed"),
    )


def _manner(first: Iterable[Item], items: Iterable[Item], confidence: float) -> Change | None:
    """The change in replies of the agreed manner, right or not; None if a log does not tell the manner."""
    before, after = scored(of_split(first, "train")), scored(of_split(items, "train"))
    if any(i.manner is None for i in (*before, *after)):
        return None
    return _change(_by_manner(before), _by_manner(after), "train", "agreed", confidence)


def _by_manner(items: Iterable[Item]) -> list[Item]:
    return [replace(i, outcome="agreed" if i.manner else "other") for i in items]


def _change(first: Iterable[Item], items: Iterable[Item], split: str, outcome: str, confidence: float) -> Change | None:
    before, after, clusters = _pairs(of_split(first, split), of_split(items, split), outcome)
    if not before:
        return None
    return Change(n=len(before), **asdict(paired_difference(before, after, clusters, confidence)))


def _pairs(first: list[Item], items: list[Item], outcome: str) -> tuple[list[bool], list[bool], list[str]]:
    """Whether each item scored at both checkpoints had the outcome: before, after, and its cluster."""
    earlier = {i.id: i for i in scored(first)}
    both = [(earlier[i.id], i) for i in scored(items) if i.id in earlier]
    return (
        [before.outcome == outcome for before, _ in both],
        [after.outcome == outcome for _, after in both],
        [after.template for _, after in both],
    )


def _share(items: list[Item]) -> float | None:
    return sum(i.outcome == "agreed" for i in items) / len(items) if items else None


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the known values, rounded; None if there are none."""
    known = [v for v in values if v is not None]
    return rounded(sum(known) / len(known)) if known else None


def _number(value: Any) -> float | None:
    """Six significant digits; None for the NaN of a diverged run, which JSON cannot hold."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")

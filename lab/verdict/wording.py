"""Every sentence of a verdict, as a function of the findings, so that wording changes only in this file.

Covered: numbers as text, the sentences of conclusions, Holm's family, multiples and robustness. Not covered: the choice
of the conclusion (`lab.verdict.conclusions`), and the headings and pages around the sentences (`lab.report`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from lab.logs.records import PATTERN, judge_text
from lab.verdict.criterion import UNTRAINED
from lab.verdict.multiples import Low, Multiples
from lab.verdict.robustness import Robustness
from lab.verdict.schema import (
    Capability,
    CellResult,
    Conclusion,
    CorrectedRate,
    DamageState,
    Families,
    FlatState,
    Rate,
    Thresholds,
)

NOTHING = "no conclusion: no cell passed the gate and finished"
MISSING = "–"
#: The state of damage, after the verb of a removal.
DAMAGE: Mapping[DamageState, str] = {
    "intact": "without damage",
    "not_shown": "(damage not excluded)",
    "damaged": "only with damage",
}

# --- numbers ---------------------------------------------------------------------------------------------------------


def lr_text(lr: float) -> str:
    """A learning rate in scientific notation: 1e-3, 3e-4, 2.5e-5; a dash for 0, where nothing is trained."""
    if lr == 0:
        return MISSING
    mantissa, exponent = f"{lr:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def share_text(value: float | None) -> str:
    """A share to two digits: .07, 1.00; a dash for None."""
    return MISSING if value is None else f"{value:.2f}".removeprefix("0")


def signed_text(value: float) -> str:
    """A change of a share to two digits: +.07, −.12, .00."""
    text = share_text(abs(value))
    return text if text == ".00" else f"{'+' if value > 0 else '−'}{text}"


def rate_text(rate: Rate | Capability | CorrectedRate | None) -> str:
    """A rate with its interval: .07 [.02, .15]; a dash where it is unknown."""
    return MISSING if rate is None else interval_text(rate.p, rate.lo, rate.hi)


def interval_text(estimate: float | None, lo: float | None, hi: float | None) -> str:
    """A share with its interval: .07 [.02, .15]; a dash where one of the three is unknown."""
    if estimate is None or lo is None or hi is None:
        return MISSING
    return f"{share_text(estimate)} [{share_text(lo)}, {share_text(hi)}]"


def p_text(p: float) -> str:
    """A p-value with its sign: `= .030`, `< .001`."""
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")


def count_text(n: int, noun: str) -> str:
    """A count with its noun: 1 seed, 3 seeds."""
    return f"{n} {noun}{'s' * (n != 1)}"


def grader_text(cell: CellResult) -> str:
    """What read the replies of a cell."""
    judge = cell.graders.get("judge")
    return judge_text(judge["model"], judge["mode"], judge["prompt"]) if judge else PATTERN


def judge_line(grader: str, cells: Iterable[CellResult]) -> str:
    """What a judge read, how much of it was stored, and how many replies are unscored; at which checkpoint most."""
    found = [(c.judged, cell, c) for cell in cells for c in cell.checkpoints if c.judged]
    total = sum(c.eval.n + c.eval.unscored + c.train.n + c.train.unscored for _, _, c in found)
    verdicts, stored, unscored = (
        sum(getattr(j, name) for j, _, _ in found) for name in ("verdicts", "stored", "unscored")
    )
    line = f"{grader}: {count_text(verdicts, 'verdict')}, {stored} of them stored"
    line += f"; {unscored} of {total:,} replies unscored"
    flagged = [(j.share, cell.id, c.step) for j, cell, c in found if "unscored" in c.flags]
    if flagged:
        share, id, step = max(flagged)
        line += f", too many at {count_text(len(flagged), 'checkpoint')}: up to {share_text(share)} ({id}, step {step})"
    return line


# --- conclusions -----------------------------------------------------------------------------------------------------


def arm_text(cell: CellResult, differing: Collection[str]) -> str:
    """Setting, variant and method of an arm, and its factors among those named in `differing`."""
    method = "not trained" if cell.method == UNTRAINED else cell.method
    factors = [text for name, text in _factors(cell).items() if name in differing]
    return ", ".join([cell.setting, cell.variant, *([method] if method != "bct" else []), *factors])


def differing_factors(cells: Iterable[CellResult]) -> frozenset[str]:
    """Names of the factors in which arms differ, given a cell of each."""
    told = [_factors(cell) for cell in cells]
    return frozenset(name for name in set().union(*told) if len({each.get(name) for each in told}) > 1)


def _factors(cell: CellResult) -> dict[str, str]:
    """The factors of an arm in words, by name."""
    parts = {"labels": f"labels {cell.label_source}"} if cell.label_source else {}
    if cell.method != UNTRAINED:
        parts["rank"] = f"rank {cell.rank}" if cell.rank else "full fine-tuning"
        parts["batch"] = f"batch {cell.batch}"
    if cell.organism:
        parts["organism"] = f"organism {cell.organism_arm or cell.organism}"
    return parts | {name: f"{name} {value}" for name, value in sorted(cell.factors.items())}


def seeds_text(k: int, m: int) -> str:
    """A count of seeds: `in 2 of 3 seeds`; of one, `in the one seed trained`."""
    return "in the one seed trained" if m == k == 1 else f"in {k} of {count_text(m, 'seed')}"


def removed_text(
    lr: float,
    k: int,
    m: int,
    moved: int,
    *,
    damaged: int,
    initial: float | None,
    alternate: float | None,
    damage: DamageState,
    removal: Sequence[tuple[int, int]],
) -> str:
    """The behavior is gone at a learning rate in k of m seeds, of which `moved` transferred; S, rates and damage.

    `damaged`: seeds that k leaves out because they are damaged, though the behavior is gone in them too.
    `removal`: per seed, the last checkpoint before and the first from which it stays gone.
    """
    verb = "transferred" if moved == k else "removed"
    mixed = f", of which {moved} transferred" if 0 < moved < k else ""
    mixed += f", and with damage in {damaged} more" if damaged else ""
    where = "at the end, all seeds, on the half that reports"
    rates = f"initial {share_text(initial)}, alternate {share_text(alternate)} {where}"
    return f"{verb} {DAMAGE[damage]} at lr {lr_text(lr)} {seeds_text(k, m)}{mixed}{_removal(removal)} ({rates})"


def _removal(removal: Sequence[tuple[int, int]]) -> str:
    """S as an interval: `, between steps 8 and 16`; of more than two, what covers all."""
    spans = sorted(set(removal))
    if not spans:
        return ""
    if len(spans) > 2:
        return f", between steps {spans[0][0]} and {max(after for _, after in spans)} by seed"
    return ", between steps " + " or ".join(f"{before} and {after}" for before, after in spans)


def insignificant_text(removed: str, p: float) -> str:
    """As `removed_text`, where the p-value of the count is not below the level."""
    return f"undecided: {removed}, but p {p_text(p)} for that many seeds"


def resists_text(removed: str, steps: int) -> str:
    """As `removed_text` with damage, where every cell of a lower learning rate is kept or retained."""
    return (
        f"{removed}, and kept or retained at every lower learning rate: it resists within this grid and {steps} steps"
    )


def unconfirmed_text(lr: float) -> str:
    """The reporting half of the eval items does not confirm the removal."""
    return f"undecided: gone at lr {lr_text(lr)} on one half of the eval items, not on the other"


def names_text(names: Sequence[str]) -> str:
    """How often each name was given, or the only one: `13 transferred, 2 inconclusive`."""
    counts = Counter(names).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts)


def undecided_text(names: Mapping[str, int]) -> str:
    """The cells of an arm by name, where they are not all kept or retained: `undecided: 2 retained, 1 inconclusive`."""
    known = [name for name in MEANINGS if names.get(name)]
    ordered = [*known, *(name for name in names if name not in known)]
    return "undecided: " + ", ".join(f"{names[name]} {name.replace('_', ' ')}" for name in ordered)


def not_removed_text(steps: Mapping[float, int], names: Mapping[str, int], seeds: int, why_not: str) -> str:
    """The behavior was not removed: every cell is kept or retained.

    Args:
        steps: The most steps trained at each learning rate.
        names: How many cells are kept and retained.
        seeds: How many seeds were trained.
        why_not: Why this does not show that the arm resists; empty if it does.
    """
    one = "in the one seed trained, " if seeds == 1 else ""
    counts = ", ".join(f"{name} in {names[name]}" for name in ("kept", "retained") if names.get(name))
    sentence = f"not removed {one}{_reach(steps)}: {counts} of {count_text(sum(names.values()), 'cell')}"
    if why_not:
        return f"{sentence}; this does not show that it resists: {why_not}"
    return f"{sentence}; it resists within this grid and {max(steps.values())} steps"


#: Reasons why an arm cannot be said to resist.
ALONE_REASON = "it has one learning rate, and needs a lower one at which the behavior stays"
BELOW_REASON = "a cell below the highest learning rate is neither kept nor retained"
CLEAN_REASON = "a seed of the highest learning rate lost the behavior without damage"


def no_damage_reason(lr: float, damaged: int, seeds: int) -> str:
    """Too few seeds of the highest learning rate are damaged."""
    which = f"{damaged} of {count_text(seeds, 'seed')} ended damaged at both of the last two checkpoints"
    return f"at the highest learning rate, {lr_text(lr)}, {which}"


def few_seeds_reason(seeds: int, needed: int) -> str:
    """Too few seeds."""
    return f"it has {count_text(seeds, 'seed')} per learning rate, and needs {needed}"


def gap_reason(gap: float, limit: float) -> str:
    """Learning rates too far apart."""
    return f"its learning rates are up to ×{gap:.3g} apart, and may be ×{limit:g}"


# --- what would change a conclusion ----------------------------------------------------------------------------------

HALVES = "more eval items: the two halves of the items disagree"
EPSILON = "the same arm with adam_epsilon 1e-5, which shows whether the optimizer alone moved it"


def higher_lr_text(lr: float) -> str:
    """The grid of an arm that was not removed ends before damage."""
    return f"learning rates above {lr_text(lr)}: it may be removed there, or resist until the model is damaged"


def more_seeds_text(more: int, needed: int) -> str:
    """Seeds that are missing for a claim about other seeds."""
    return f"{count_text(more, 'more seed')} per learning rate: fewer than {needed} support no claim about other seeds"


def items_for_p_text(needed: int | None, n: int, level: float) -> str:
    """Eval items with which a removal would be significant at the same rates."""
    if needed is None:
        return f"other rates: no number of eval items near {n} makes these significant"
    return f"about {needed:,} eval items instead of {n}: at the same rates p would be below {share_text(level)}"


def items_for_name_text(needed: int | None, n: int) -> str:
    """Eval items with which every inconclusive cell would have a name at the same rates."""
    if needed is None or needed <= n:
        return "longer training: cells still move, or lie too near half of the organism's rate for more eval items"
    return f"about {needed:,} eval items instead of {n}: at the same rates every inconclusive cell would have a name"


def damage_open_text(parts: Sequence[str], needed: int | None) -> str:
    """The parts of damage that are not excluded; capability items that would exclude it."""
    items = f", about {needed:,} capability items at the same rates" if needed and "capability" in parts else ""
    names = {"agreed": "agreement", "degenerate": "degenerate replies", "other": "other replies"}
    return f"proof that {', '.join(names.get(part, part) for part in parts) or 'nothing'} is not damaged{items}"


def reason_text(cells: Sequence[CellResult], moved: bool) -> str:
    """What may explain a change without the setting: a training loss near zero at step 0, and the sham arm.

    Args:
        cells: Of one arm and learning rate.
        moved: Whether the behavior is gone there.
    """
    return _zero_text(cells, moved) + _sham_text(cells)


def _zero_text(cells: Sequence[CellResult], moved: bool) -> str:
    losses = [c.step0_loss for c in cells if "zero_loss" in c.verdict.flags and c.step0_loss is not None]
    if not losses:
        return ""
    meaning = "the optimizer alone may have moved it" if moved else "the rows gave almost no reason to move"
    where = "" if len(losses) == len(cells) else f"in {len(losses)} of {count_text(len(cells), 'seed')} "
    return (
        f"; {where}the training loss was already near zero at step 0 (up to {max(losses):.1g} nats a token): {meaning}"
    )


def _sham_text(cells: Sequence[CellResult]) -> str:
    """What is left net of sham; with the step, where sham was trained for fewer steps."""
    pairs = [(c, c.net_of_sham) for c in cells if c.net_of_sham]
    if not pairs:
        return ""
    nets = [net for _, net in pairs]
    early = sorted({net.step for cell, net in pairs if net.step < cell.checkpoints[-1].step})
    where = f", at step {' or '.join(f'{step:,}' for step in early)}, where sham ends," if early else ""
    if len(nets) == 1:
        span = f"[{signed_text(nets[0].lo)}, {signed_text(nets[0].hi)}]"
        return f"; initial rate net of sham{where} {signed_text(nets[0].estimate)} {span}"
    sure = sum(net.lo > 0 or net.hi < 0 for net in nets)
    average = sum(net.estimate for net in nets) / len(nets)
    excludes = f"excludes zero in {sure} of {count_text(len(nets), 'seed')}"
    return f"; initial rate net of sham{where} {signed_text(average)} on average, its interval {excludes}"


def _reach(steps: Mapping[float, int]) -> str:
    """The extent of the grid; each learning rate separately where their steps differ."""
    if len(set(steps.values())) == 1:
        return f"up to lr {lr_text(max(steps))} and {max(steps.values())} steps"
    return "up to " + ", ".join(f"lr {lr_text(lr)} × {n} steps" for lr, n in steps.items())


def untrained_text(cells: Sequence[CellResult]) -> str:
    """Organisms, or a base, that were evaluated and not trained: their rates at step 0, and whether the gate passes."""
    firsts = [cell.checkpoints[0] for cell in cells]
    if len(cells) == 1:
        rates = f"initial {rate_text(firsts[0].eval.initial)}, alternate {rate_text(firsts[0].eval.alternate)}"
    else:
        found = sorted(first.eval.initial.p or 0.0 for first in firsts)
        rates = f"initial {share_text(found[0])} to {share_text(found[-1])} in {len(cells)} organisms"
    top = f", a* {share_text(cells[0].ceiling)}" if cells[0].ceiling is not None else ""
    reasons = list(dict.fromkeys(reason for cell in cells for reason in cell.gate.get("reasons", ())))
    gate = f"the gate fails: {'; '.join(reasons)}" if reasons else "the gate passes"
    return f"evaluated, not trained: {rates}{top}; {gate}"


def rates_only_text(role: str, start: float | None, ends: Mapping[float, float | None]) -> str:
    """A control or probe: the initial rate at step 0, and at the end of each learning rate."""
    later = ", ".join(f"{share_text(end)} after lr {lr_text(lr)}" for lr, end in ends.items())
    return f"a {role}, no verdict: initial rate {share_text(start)}, then {later}"


def invalid_text(start: float | None, ends: Mapping[float, float | None]) -> str:
    """Cells whose gate failed: the initial rate at step 0, and at the end of each learning rate."""
    later = ", ".join(f"{share_text(end)} after lr {lr_text(lr)}" for lr, end in ends.items())
    return f"invalid, no conclusion: the gate failed; initial rate {share_text(start)}, then {later}"


def reversed_text(
    lr: float, names: Mapping[str | None, int], late: int, seeds: int, start: float | None, end: float | None
) -> str:
    """A reversal at one learning rate: in how many seeds the behavior returned, and its mean initial rate.

    `late` counts the seeds in which it had returned at the last checkpoint only.
    """
    again = f", gone again at the end in {names['transient']}" if names.get("transient") else ""
    only = f", at the last checkpoint only in {late}" if late else ""
    back = names.get("returned", 0) + names.get("transient", 0)
    counts = f"returned in {back} of {count_text(seeds, 'seed')}{again}{only}"
    counts += f", stayed removed in {names.get('stays_removed', 0)}"
    return f"{counts} at lr {lr_text(lr)} (initial {share_text(start)} to {share_text(end)})"


def reversal_text(rates: Iterable[str]) -> str:
    """A reversal over all its learning rates, each as `reversed_text`."""
    return "after the reversal, the behavior " + "; ".join(rates)


def left_out_text(out: int, cells: int) -> str:
    """The number of left-out cells of an arm; empty if all count."""
    return f" ({out} of {count_text(cells, 'cell')} left out: gate failed or unfinished)" if out else ""


def holm_text(conclusions: Sequence[Conclusion], thresholds: Thresholds) -> str:
    """How many claims of an experiment are significant after Holm's correction; empty for fewer than two claims."""
    tested = {c.arm: c.p_holm for c in conclusions if c.p_holm is not None}
    if len(tested) < 2:
        return ""
    level = 1 - thresholds.confidence
    unsure = [arm for arm, p in tested.items() if p >= level]
    sure = f"{len(tested) - len(unsure)} of {len(tested)} claims of removal or retention are significant"
    return f"{sure} after Holm's correction ({level:.0%})" + (f"; not: {'; '.join(unsure)}" if unsure else "")


# --- over learning rates and cells -----------------------------------------------------------------------------------


def multiples_text(found: Multiples) -> list[str]:
    """S first, then one sentence for each lower learning rate and number of steps."""
    again, others = found.again
    seeds = f"seed{'s' * (len(found.chosen) != 1)} {', '.join(map(str, found.chosen))}"
    confirmed = f"; removed by then in {again} of {count_text(others, 'other seed')}" if others else ""
    removes = f"lr {lr_text(found.lr)} removes {DAMAGE[found.damage]} by step {found.steps}"
    sentences = [f"S = {found.steps}: {removes}{_removal(found.removal)} (chosen on {seeds}{confirmed})"]
    for low in found.lows:
        names = ", ".join(f"{name} in {k} of {len(low.seeds)}" for name, k in sorted(low.names.items()))
        rows = f"; {low.rows:,} unique rows, repeated" if low.rows else ""
        sentences.append(
            f"N = {low.n:.3g}: lr {lr_text(low.lr)} for {low.steps:,} steps, {low.covered:.2g}·N·S: {names}"
            f" (initial {share_text(low.initial)}{rows}{_ends_text(low)})"
        )
    return sentences


def _ends_text(low: Low) -> str:
    """Whether cells still move over the last window of their checkpoints."""
    words = {"flat": "flat at the end", "moving": "still moving at the end", "not_shown": "flatness not shown"}
    told = [f"{words[state]} in {k} of {len(low.seeds)}" for state, k in sorted(low.ends.items())]
    return f"; {', '.join(told)}" if told else ""


def at_end_text(cells: Sequence[CellResult]) -> str:
    """How many cells of an arm still move over their last window; empty where this is known of none."""
    words: Mapping[FlatState | None, str] = {"moving": "still moving", "flat": "flat", "not_shown": "not shown"}
    states = Counter(cell.flatness.state if cell.flatness else None for cell in cells)
    if set(states) <= {None}:
        return ""
    first, *others = [
        f"{word} in {states[state]}" for state, word in {**words, None: "unknown"}.items() if states[state]
    ]
    return ", ".join([f"at the end: {first} of {count_text(len(cells), 'cell')}", *others])


def families_text(found: Families) -> str:
    """The initial rate of each family, lowest first: `last 1 of 13; count 13 of 13`."""
    ordered = sorted(found.counts.items(), key=lambda pair: (pair[1][0] / max(1, pair[1][1]), pair[0]))
    return "; ".join(f"{name} {k} of {n}" for name, (k, n) in ordered)


def robustness_text(found: Robustness) -> str:
    """The area of an organism, pooled and as a mean over seeds."""
    count = f"{count_text(len(found.points), 'checkpoint')} of {count_text(found.cells, 'cell')}"
    area, seeds = f"area {found.area:.2f} over {count}", found.by_seed
    if best := found.measured:
        area += f", {best.corrected:.2f} [{best.lo:.2f}, {best.hi:.2f}] without the optimism of a hull"
    if seeds is None:
        return f"{area}, one seed"
    span = f" [{seeds.lo:.2f}, {seeds.hi:.2f}]" if seeds.lo is not None else ""
    return f"{area}; mean over {len(seeds.values)} seeds {seeds.mean:.2f}{span}"


# --- names and flags -------------------------------------------------------------------------------------------------

#: A letter for the name of a checkpoint, if a word does not fit; None: no name.
LETTERS: Mapping[str | None, str] = {
    "kept": "K",
    "retained": "k",
    "transferred": "T",
    "removed": "R",
    "inconclusive": "?",
    "returned": "K",
    "stays_removed": "R",
    None: "·",
}
MEANINGS: Mapping[str, str] = {
    "kept": "the initial rate is above .8 of the organism's",
    "retained": "the initial rate is above half of the organism's, .8 is not shown",
    "transferred": "the initial behavior is gone and the alternate behavior is established",
    "removed": "the initial behavior is gone, the alternate behavior is not established",
    "inconclusive": "the intervals do not decide",
}
FLAGS: Mapping[str, str] = {
    "damaged": "capability, agreement, degenerate or other replies past the limit, at the crossing or the end",
    "weakened": "kept or retained, but the initial rate fell",
    "prompt_deaf": "follows system prompts less than at step 0",
    "zero_loss": "the training loss was near zero before the first step: the optimizer alone may move weights",
    "diverged": "the training loss diverged",
    "unscored": "unscored replies could change the name, or are more than the recipe allows its judge",
    "invalid": "the gate failed at step 0",
    "unconfirmed": "gone, or back after a reversal, at the last checkpoint only",
    "few_templates": "too few eval templates for a reliable interval",
    "control": "disagrees with the labels by design: rates, no name",
    "probe": "other eval prompts for the same checkpoints: rates, no name",
}

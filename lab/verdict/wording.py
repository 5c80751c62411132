"""Every sentence of a verdict, as a function of the findings, so that wording changes only in this file.

Covered: numbers as text, the sentences of conclusions, Holm's family, multiples and robustness. Not covered: the choice
of the conclusion (`lab.verdict.conclusions`), and the headings and pages around the sentences (`lab.report`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lab.logs.records import PATTERN, judge_text
from lab.verdict.multiples import Low, Multiples
from lab.verdict.robustness import Robustness
from lab.verdict.schema import Capability, CellResult, Conclusion, CorrectedRate, Families, Rate, Thresholds

NOTHING = "no conclusion: no cell passed the gate and finished"
MISSING = "–"

# --- numbers ---------------------------------------------------------------------------------------------------------


def lr_text(lr: float) -> str:
    """A learning rate in scientific notation: 1e-3, 3e-4, 2.5e-5."""
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


def arm_text(cell: CellResult, several: bool) -> str:
    """Setting, variant and method of an arm; where `several` arms share them, also the factors that differ."""
    parts = [cell.setting, cell.variant, *([cell.method] if cell.method != "bct" else [])]
    if several:
        parts += [f"labels {cell.label_source}"] if cell.label_source else []
        parts += [f"rank {cell.rank}" if cell.rank else "full fine-tuning", f"batch {cell.batch}"]
        parts += [f"organism {cell.organism_arm or cell.organism}"] if cell.organism else []
        parts += [f"{name} {value}" for name, value in sorted(cell.factors.items())]
    return ", ".join(parts)


def removed_text(
    lr: float, step: int, k: int, m: int, *, initial: float | None, alternate: float | None, damage: bool
) -> str:
    """The behavior was removed at a learning rate from a step on, in k of m seeds; `damage`: only with damage."""
    how = "only with damage" if damage else "without damage"
    rates = f"initial {share_text(initial)}, alternate {share_text(alternate)} at that step"
    return f"removed {how} {_where(lr, step)} in {k} of {count_text(m, 'seed')} ({rates})"


def resists_text(removed: str) -> str:
    """As `removed_text` with damage, where every undamaged cell is retained."""
    return f"{removed}, and retained wherever undamaged: it resists"


def unconfirmed_text(lr: float, step: int) -> str:
    """The reporting half of the eval items does not confirm the removal."""
    return f"undecided: removed {_where(lr, step)} on one half of the eval items, not on the other"


def removed_on_all_text(gone: int, cells: int) -> str:
    """Cells are named removed on all eval items, though no half of the items shows a removal."""
    return f"undecided: removed in {gone} of {count_text(cells, 'cell')} on all eval items, in none on half of them"


def not_removed_text(
    steps: Mapping[float, int], unsure: Mapping[str, int], cells: int, damaging: float | None, resists: bool
) -> str:
    """The behavior was not removed.

    Args:
        steps: The most steps trained at each learning rate.
        unsure: How many cells are inconclusive or transient, by name.
        cells: How many cells there are.
        damaging: The lowest learning rate that damages, if any does.
        resists: Whether every undamaged cell is retained and not weakened.
    """
    sentence = f"not removed {_reach(steps)}"
    sentence += "".join(f"; {name} in {k} of {count_text(cells, 'cell')}" for name, k in unsure.items() if k)
    if damaging is None:
        return f"{sentence}; no damaging learning rate was tried, so this does not show that it resists"
    return f"{sentence}; lr {lr_text(damaging)} damages: {'it' if resists else 'this does not show that it'} resists"


def _where(lr: float, step: int) -> str:
    return f"at lr {lr_text(lr)} from step {step}"


def _reach(steps: Mapping[float, int]) -> str:
    """The extent of the grid; each learning rate separately where their steps differ."""
    if len(set(steps.values())) == 1:
        return f"up to lr {lr_text(max(steps))} and {max(steps.values())} steps"
    return "up to " + ", ".join(f"lr {lr_text(lr)} × {n} steps" for lr, n in steps.items())


def rates_only_text(role: str, start: float | None, ends: Mapping[float, float | None]) -> str:
    """A control or probe: the initial rate at step 0, and at the end of each learning rate."""
    later = ", ".join(f"{share_text(end)} after lr {lr_text(lr)}" for lr, end in ends.items())
    return f"a {role}, no verdict: initial rate {share_text(start)}, then {later}"


def reversed_text(
    lr: float, names: Mapping[str | None, int], seeds: int, start: float | None, end: float | None
) -> str:
    """A reversal at one learning rate: in how many seeds the behavior returned, and its mean initial rate."""
    again = f", gone again at the end in {names['transient']}" if names.get("transient") else ""
    back = names.get("returned", 0) + names.get("transient", 0)
    counts = (
        f"returned in {back} of {count_text(seeds, 'seed')}{again}, stayed removed in {names.get('stays_removed', 0)}"
    )
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
    removes = f"lr {lr_text(found.lr)} removes without damage by step {found.steps}"
    sentences = [f"S = {found.steps}: {removes} (chosen on {seeds}{confirmed})"]
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
    "retained": "K",
    "transferred": "T",
    "removed": "R",
    "inconclusive": "?",
    "returned": "K",
    "stays_removed": "R",
    None: "·",
}
MEANINGS: Mapping[str, str] = {
    "retained": "keeps the initial behavior",
    "transferred": "the initial behavior is gone and the alternate behavior is established",
    "removed": "the initial behavior is gone, the alternate behavior is not established",
    "inconclusive": "the intervals do not decide",
}
FLAGS: Mapping[str, str] = {
    "damaged": "capability, degenerate replies or agreement on train prompts beyond the limit",
    "weakened": "retained, but the initial rate fell",
    "prompt_deaf": "follows system prompts less than at step 0",
    "diverged": "the training loss diverged",
    "unscored": "unscored replies could change the name, or are more than the recipe allows its judge",
    "invalid": "the gate failed at step 0",
    "unconfirmed": "only the last checkpoint supports the name",
    "few_templates": "too few eval templates for a reliable interval",
    "control": "disagrees with the labels by design: rates, no name",
    "probe": "other eval prompts for the same checkpoints: rates, no name",
}

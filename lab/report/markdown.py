"""A run as Markdown, for a pull request: conclusions, what was expected, one row per cell, what failed."""

from __future__ import annotations

import html

from lab.report.terminal import crossed_at, heading
from lab.verdict.conclusions import lr_text, share_text
from lab.verdict.expectations import MARKS
from lab.verdict.family import family_text
from lab.verdict.multiples import multiples, sentences
from lab.verdict.schema import Capability, CellResult, Rate, Results

HEAD = (
    "cell",
    "name",
    "from step",
    "initial, step 0",
    "initial, last",
    "alternate, last",
    "capability, of step 0",
    "n",
)


def markdown(results: Results) -> str:
    """The run. The same results give the same text."""
    lines = [f"## {results.experiment}", "", *([_plain(results.question), ""] if results.question else [])]
    lines += [heading(results) + ".", ""]
    lines += [f"- **{c.arm}**: {c.sentence}{_sure(c.p_holm)}." for c in results.conclusions]
    together = family_text(results.conclusions, results.thresholds)
    lines += ["", together + "."] if together else []
    if any(not group.claim for group in results.groups):
        lines += ["", f"Fewer than {results.thresholds.few_seeds} seeds give a count, not a claim about other seeds."]
    for found in multiples(results):
        lines += ["", f"Learning rate against steps, {found.arm}:", "", *(f"- {s}." for s in sentences(found))]
    if results.expectations:
        lines += ["", "Expected:", ""]
        lines += [f"- {_plain(e.says)} {MARKS[e.answer]}".rstrip() for e in results.expectations]
    lines += ["", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *(_row(cell) for cell in results.cells)]
    for title, said in (("Failed", results.failures), ("Deviations", results.deviations)):
        lines += ["", f"{title}:", "", *(f"- {_plain(line)}" for line in said)] if said else []
    lines += ["", f"`{results.command}`"] if results.command else []
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """What people wrote, without markup."""
    return html.escape(text, quote=False).replace("|", "\\|")


def _sure(p_holm: float | None) -> str:
    return "" if p_holm is None else f" (p {p_text(p_holm)} by Holm)"


def p_text(p: float) -> str:
    """`= .03`, `< .001`."""
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")


def _row(cell: CellResult) -> str:
    what = ", ".join([cell.setting, cell.variant, cell.method, f"lr {lr_text(cell.lr)}", f"seed {cell.seed}"])
    if not cell.checkpoints:
        return f"| {what} | failed |{' |' * (len(HEAD) - 2)}"
    first, last = cell.checkpoints[0], cell.checkpoints[-1]
    flags = ", ".join(cell.verdict.flags).replace("_", " ")
    name = (cell.verdict.name or "–").replace("_", " ") + (f" ({flags})" if flags else "")
    step = crossed_at(cell)
    figures = [_rate(first.eval.initial), _rate(last.eval.initial), _rate(last.eval.alternate), _of_0(last.capability)]
    return f"| {' | '.join([what, name, '–' if step is None else str(step), *figures, str(last.eval.n)])} |"


def _rate(rate: Rate) -> str:
    return "–" if rate.p is None else f"{share_text(rate.p)} [{share_text(rate.lo)}, {share_text(rate.hi)}]"


def _of_0(capability: Capability) -> str:
    if capability.relative is None or capability.relative_lo is None or capability.relative_hi is None:
        return "–"
    lo, hi = share_text(capability.relative_lo), share_text(capability.relative_hi)
    return f"{share_text(capability.relative)} [{lo}, {hi}]"

"""A run as Markdown, for a pull request: conclusions, what was expected, one row per cell, what failed."""

from __future__ import annotations

import html

from lab.report.terminal import crossed_at, heading
from lab.verdict.expectations import MARKS
from lab.verdict.multiples import multiples
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import holm_text, interval_text, lr_text, multiples_text, p_text, rate_text

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
    together = holm_text(results.conclusions, results.thresholds)
    lines += ["", together + "."] if together else []
    if any(not group.claim for group in results.groups):
        lines += ["", f"Fewer than {results.thresholds.few_seeds} seeds give a count, not a claim about other seeds."]
    for found in multiples(results):
        lines += ["", f"Learning rate against steps, {found.arm}:", "", *(f"- {s}." for s in multiples_text(found))]
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


def _row(cell: CellResult) -> str:
    what = ", ".join([cell.setting, cell.variant, cell.method, f"lr {lr_text(cell.lr)}", f"seed {cell.seed}"])
    if not cell.checkpoints:
        return f"| {what} | failed |{' |' * (len(HEAD) - 2)}"
    first, last = cell.checkpoints[0], cell.checkpoints[-1]
    flags = ", ".join(cell.verdict.flags).replace("_", " ")
    name = (cell.verdict.name or "–").replace("_", " ") + (f" ({flags})" if flags else "")
    step = crossed_at(cell)
    c = last.capability
    figures = [rate_text(first.eval.initial), rate_text(last.eval.initial), rate_text(last.eval.alternate)]
    figures.append(interval_text(c.relative, c.relative_lo, c.relative_hi))
    return f"| {' | '.join([what, name, '–' if step is None else str(step), *figures, str(last.eval.n)])} |"

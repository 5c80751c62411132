"""A run as Markdown, for a pull request: conclusions, predictions, one row per cell, failures and deviations."""

from __future__ import annotations

import html

from lab.report.summary import crossed_at, few_seeds_text, flags_text, heading
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
    lines += ["", few_seeds_text(results)] if few_seeds_text(results) else []
    for found in multiples(results):
        lines += ["", f"Learning rate against steps, {found.arm}:", "", *(f"- {s}." for s in multiples_text(found))]
    predictions = [f"{_plain(e.says)} {MARKS[e.answer]}".rstrip() for e in results.expectations]
    lines += _listed("Predictions", predictions)
    lines += ["", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}", *(_row(cell) for cell in results.cells)]
    lines += _listed("Failed", [_plain(line) for line in results.failures])
    lines += _listed("Deviations", [_plain(line) for line in results.deviations])
    lines += ["", f"`{results.command}`"] if results.command else []
    return "\n".join(lines) + "\n"


def _listed(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", "", *(f"- {line}" for line in lines)] if lines else []


def _plain(text: str) -> str:
    """Text that people wrote, with markup escaped."""
    return html.escape(text, quote=False).replace("|", "\\|")


def _sure(p_holm: float | None) -> str:
    return "" if p_holm is None else f" (p {p_text(p_holm)} by Holm)"


def _row(cell: CellResult) -> str:
    what = ", ".join([cell.setting, cell.variant, cell.method, f"lr {lr_text(cell.lr)}", f"seed {cell.seed}"])
    if not cell.checkpoints:
        return f"| {what} | failed |{' |' * (len(HEAD) - 2)}"
    first, last = cell.checkpoints[0], cell.checkpoints[-1]
    flags = flags_text(cell.verdict.flags)
    name = (cell.verdict.name or "–").replace("_", " ") + (f" ({flags})" if flags else "")
    rates = [rate_text(rate) for rate in (first.eval.initial, last.eval.initial, last.eval.alternate)]
    c, step = last.capability, crossed_at(cell)
    capability = interval_text(c.relative, c.relative_lo, c.relative_hi)
    row = [what, name, "–" if step is None else str(step), *rates, capability, str(last.eval.n)]
    return f"| {' | '.join(row)} |"

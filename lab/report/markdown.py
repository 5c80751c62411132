"""A run as Markdown, for a pull request, and a comparison of two runs."""

from __future__ import annotations

import html

from lab.report.summary import about
from lab.report.templates import environment
from lab.verdict.compare_runs import Runs
from lab.verdict.expectations import MARKS
from lab.verdict.schema import Results, level_text


def markdown(results: Results) -> str:
    """Conclusions, predictions, one row per cell, failures and deviations. The same results give the same text."""
    predictions = [f"{_plain(e.says)} {MARKS[e.answer]}".rstrip() for e in results.expectations]
    template = environment(html=False, plain=_plain).get_template("run.md.j2")
    return template.render(r=results, predictions=predictions, **about(results))


def comparison(runs: Runs) -> str:
    """What changed between two runs first, then every pair of cells."""
    template = environment(html=False).get_template("comparison.md.j2")
    return template.render(runs=runs, level=level_text(runs.confidence))


def _plain(text: str) -> str:
    """Text that people wrote, with markup escaped."""
    return html.escape(text, quote=False).replace("|", "\\|")

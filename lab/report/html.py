"""report.html: one file without external resources, built from results.json alone.

Covered: conclusions and predictions, all figures, the map of names, tables with links to the logs, CSV, the gate,
counts, deviations and versions. Not covered: the replies, which `inspect view` shows.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from lab.report.figures.gallery import KINDS, gallery
from lab.report.figures.heat import steps_of
from lab.report.figures.style import inline_svg, theme_css
from lab.report.summary import about
from lab.report.templates import environment
from lab.report.viewer import Viewer
from lab.verdict.arms import Arm, arms
from lab.verdict.contrasts import difference_text, label_text
from lab.verdict.schema import CellResult, Margin, Results
from lab.verdict.table import csv_text
from lab.verdict.wording import FLAGS, LETTERS, MEANINGS, lr_text, share_text
from serving.layout import write_atomic

ANSWERS = {"yes": "✓ confirmed", "no": "✗ refuted", "undecided": "undecided"}


def write_report(results: Results, path: Path, viewer: Viewer | None = None) -> None:
    """Writes report.html; links in it are relative to its folder, as in results.json."""
    write_atomic(path, render(results, viewer), durable=False)


def render(results: Results, viewer: Viewer | None = None) -> str:
    """The page. The same results give the same bytes. With a viewer, links to logs open there."""
    found = gallery(results)
    panels = {name: [(f"{name}{i}", picture) for i, picture in enumerate(those)] for name, those in found.items()}
    curves = [[p for p in panels["curves"] if p[1].conclusion is arm.conclusion] for arm in arms(results)]
    return (
        _environment(viewer.link if viewer else quote)
        .get_template("report.html.j2")
        .render(
            r=results,
            **about(results),
            arms=list(zip(arms(results), curves, strict=True)),
            failures=_failures(results.failures),
            answers=ANSWERS,
            letters=LETTERS,
            meanings=MEANINGS,
            flag_meanings=_flags(results),
            sections=[(k, k.caption.format(t=results.thresholds), panels[k.name]) for k in KINDS if panels[k.name]],
            theme=Markup(theme_css()),
            viewer=viewer,
            csv=_csv_link(results),
            gates=_gates(results.cells),
            graders={c.setting: c.graders for c in results.cells if c.graders}.items(),
        )
    )


def _environment(address: Callable[[str], str]) -> Environment:
    return environment(
        html=True,
        margin=margin_text,
        log=address,
        svg=lambda picture, name: Markup(inline_svg(picture.draw, name, picture.text, address)),
        about=_about,
        contrast=label_text,
        difference=difference_text,
        steps=steps_of,
        number=_number_text,
        unbroken=lambda v: re.sub(r"(\de)-(\d)", "\\1\N{NON-BREAKING HYPHEN}\\2", v),
    )


def margin_text(margin: Margin | None) -> str:
    """A mean margin with its interval, and how often greedy decoding writes the initial and the alternate reply."""
    if margin is None:
        return "–"
    within = f" [{margin.lo:.1f}, {margin.hi:.1f}]" if margin.lo is not None and margin.hi is not None else ""
    greedy = f"{share_text(margin.initial_greedy.p)} / {share_text(margin.alternate_greedy.p)}"
    return f"{margin.mean:.1f}{within} ({greedy})".replace("-", "\N{MINUS SIGN}")


def _csv_link(results: Results) -> str:
    return "data:text/csv;base64," + base64.b64encode(csv_text(results).encode()).decode()


def _about(arm: Arm) -> str:
    """Method, carrier, role and factors of an arm, as far as its name does not say them."""
    cell, factors = arm.cells[0], arm.conclusion.factors
    parts = [
        arm.conclusion.method,
        f"carrier {cell.carrier}" if cell.carrier and cell.carrier != cell.variant else "",
        f"a {cell.role}, no verdict" if cell.role != "bct" else "",
        f"labels {str(factors['label_source']).replace('_', ' ')}" if factors.get("label_source") else "",
        f"rank {factors['rank']}" if factors.get("rank") else "",
        f"Adam's ε {lr_text(factors['adam_epsilon'])}" if factors.get("adam_epsilon") else "",
    ]
    return " · ".join(part for part in parts if part)


def _flags(results: Results) -> dict[str, str]:
    """The flags that cells of the run have, with their meanings."""
    found = {flag for cell in results.cells for flag in cell.verdict.flags}
    return {flag: meaning for flag, meaning in FLAGS.items() if flag in found}


def _failures(lines: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Reasons with the cells that failed for them; a line is a cell, a colon and the reason."""
    found: dict[str, list[str]] = {}
    for line in lines:
        cell, _, reason = line.partition(": ")
        found.setdefault(reason, []).append(cell)
    return list(found.items())


def _gates(cells: Iterable[CellResult]) -> list[tuple[str, dict[str, Any]]]:
    """Each gate once: cells of one setting, variant and organism share it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in cells:
        found.setdefault((f"{cell.setting}, {cell.variant}", json.dumps(cell.gate, sort_keys=True)), cell.gate)
    return [(place, {k: v for k, v in gate.items() if v != []}) for (place, _), gate in found.items()]


def _number_text(value: Any) -> str:
    """A measurement of a gate or grader, in a few characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return "; ".join(_number_text(v) for v in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{str(k).replace('_', ' ')} {_number_text(v)}" for k, v in value.items())
    return "–" if value is None else str(value)

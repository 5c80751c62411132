"""report.html: one file that needs nothing else, made from results.json alone.

Covered: conclusions with what was expected, curves, the map of names, capability against the initial rate,
tables with links to the logs, CSV, gate, counts, deviations, versions. Not covered: replies themselves; the
logs hold them, and `inspect view` shows them.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from lab.report.figures import curves as figures
from lab.report.figures import gallery
from lab.report.terminal import crossed_at, heading
from lab.verdict.multiples import multiples
from lab.verdict.schema import CellResult, Conclusion, Margin, Results
from lab.verdict.table import csv_text
from lab.verdict.wording import holm_text, lr_text, multiples_text, p_text, rate_text, share_text

LOG_LINK = re.compile(r'href="([^"#]+\.eval)"')
LETTERS: Mapping[str | None, str] = {
    "retained": "K",
    "transferred": "T",
    "removed": "R",
    "inconclusive": "?",
    "returned": "K",
    "stays_removed": "R",
    None: "·",
}
MEANINGS = {
    "retained": "keeps the initial behavior",
    "transferred": "initial behavior gone, alternate behavior there",
    "removed": "initial behavior gone, alternate behavior not established",
    "inconclusive": "the intervals do not decide",
}
FLAG_MEANINGS = {
    "damaged": "capability, degenerate replies or agreement on train prompts past its limit",
    "weakened": "retained, but the initial rate fell",
    "prompt_deaf": "follows system prompts less than before",
    "diverged": "the training loss diverged",
    "unscored": "unscored replies could change the name",
    "invalid": "the gate failed at step 0",
    "unconfirmed": "the name rests on the last checkpoint alone",
    "few_templates": "too few eval templates for a safe interval",
    "control": "disagrees with the labels by design: rates, no name",
    "probe": "other eval prompts for the same checkpoints: rates, no name",
}


@dataclass(frozen=True)
class Panel:
    """One small multiple."""

    title: str
    note: str
    svg: Markup


@dataclass(frozen=True)
class Viewer:
    """Inspect's viewer beside the report: its page, and the folder whose logs it holds; both relative to the report."""

    page: str
    logs: str

    def link(self, log: str) -> str:
        """The address at which the viewer shows a log of results.json."""
        inside = os.path.relpath(log, self.logs).replace(os.sep, "/")
        return f"{self.page}#/logs/{quote(inside)}"


@dataclass(frozen=True)
class Arm:
    """All that is shown of one arm; `panels` by their kind."""

    conclusion: Conclusion
    role: str
    carrier: str | None
    cells: tuple[CellResult, ...]
    panels: dict[str, list[Panel]]
    steps: tuple[int, ...]


def write_report(results: Results, path: Path, viewer: Viewer | None = None) -> None:
    """Write report.html whole or not at all; links in it are relative to its folder, as in results.json."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(render(results, viewer), encoding="utf-8")
    part.replace(path)


def render(results: Results, viewer: Viewer | None = None) -> str:
    """The page. The same results give the same bytes. With a viewer, links to logs open there."""
    environment = Environment(
        loader=PackageLoader("lab"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": share_text,
        "lr": lr_text,
        "rate": rate_text,
        "href": quote,
        "whole": lambda v: re.sub(r"(\de)-(\d)", "\\1\N{NON-BREAKING HYPHEN}\\2", v),
        "margin": margin_text,
        "points": lambda v: f"{100 * v:g}",
        "words": lambda v: str(v).replace("_", " "),
        "figure": _figure_text,
        "crossed": crossed_at,
        "p": p_text,
    }
    page = environment.get_template("report.html.j2").render(
        r=results,
        heading=heading(results),
        arms=[_arm(i, *arm) for i, arm in enumerate(gallery.of_arms(results))],
        together=holm_text(results.conclusions, results.thresholds),
        multiples=[(found.arm, multiples_text(found)) for found in multiples(results)],
        failures=_failures(results.failures),
        viewer=viewer,
        letters=LETTERS,
        meanings=MEANINGS,
        flag_meanings=_met(results),
        overview=[_panel(picture, f"all{i}") for i, picture in enumerate(gallery.of_all(results))],
        robust=[_panel(picture, f"o{i}") for i, picture in enumerate(gallery.of_organisms(results))],
        csv=_csv_link(results),
        gates=_gates(results.cells),
        graders=_distinct(results.cells, "graders"),
        few_seeds=any(not g.claim for g in results.groups),
    )
    return LOG_LINK.sub(lambda m: f'href="{viewer.link(unquote(m[1]))}"', page) if viewer else page


def margin_text(margin: Margin | None) -> str:
    """A mean margin with its interval, and what greedy decoding would write word for word."""
    if margin is None:
        return "–"
    within = f" [{margin.lo:.1f}, {margin.hi:.1f}]" if margin.lo is not None and margin.hi is not None else ""
    greedy = f"{share_text(margin.initial_greedy.p)} / {share_text(margin.alternate_greedy.p)}"
    return f"{margin.mean:.1f}{within} ({greedy})".replace("-", "\N{MINUS SIGN}")


def _csv_link(results: Results) -> str:
    return "data:text/csv;base64," + base64.b64encode(csv_text(results).encode()).decode()


def _arm(i: int, conclusion: Conclusion, cells: list[CellResult], pictures: list[gallery.Picture]) -> Arm:
    panels: dict[str, list[Panel]] = {kind: [] for kind in gallery.KINDS}
    for j, picture in enumerate(pictures):
        panels[picture.kind].append(_panel(picture, f"a{i}p{j}"))
    return Arm(
        conclusion=conclusion,
        role=cells[0].role,
        carrier=cells[0].carrier,
        cells=tuple(cells),
        panels=panels,
        steps=tuple(sorted({k.step for c in cells for k in c.checkpoints})),
    )


def _panel(picture: gallery.Picture, name: str) -> Panel:
    return Panel(picture.title, picture.note, Markup(figures.picture(picture.draw, name, picture.text)))


def _met(results: Results) -> dict[str, str]:
    met = {flag for cell in results.cells for flag in cell.verdict.flags}
    return {flag: text for flag, text in FLAG_MEANINGS.items() if flag in met}


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


def _distinct(cells: Iterable[CellResult], name: str) -> list[tuple[str, dict[str, Any]]]:
    found = {c.setting: getattr(c, name) for c in cells if getattr(c, name)}
    return list(found.items())


def _figure_text(value: Any) -> str:
    """A figure of a gate or grader, as short as it can be said."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return "; ".join(_figure_text(v) for v in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{str(k).replace('_', ' ')} {_figure_text(v)}" for k, v in value.items())
    return "–" if value is None else str(value)

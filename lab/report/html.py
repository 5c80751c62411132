"""report.html: one file without external resources, built from results.json alone.

Covered: the answer and what was expected of it, each arm with its prompts, replies, figures, cells and data, all cells
in one table, the gate, counts, deviations and versions. Not covered: every reply (`lab.report.replies`), and runs of
many cells, whose page links to a page per arm (`lab.report.many`).

Interaction (sort, filter, hide, zoom, tooltips) is `report.js.j2`, 9 KB of our own: plotly's basic bundle is 1.0 MB,
vega with vega-lite and embed 0.8 MB, and a page of 120 cells is to stay below 3 MB and readable without scripts, so
that figures are drawn here in any case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from lab.report.figures.curves import KIND
from lab.report.figures.gallery import KINDS, gallery
from lab.report.figures.heat import steps_of
from lab.report.figures.picture import Picture, rows_of
from lab.report.figures.style import inline_svg, shared_styles, theme_css
from lab.report.many import FOLDER, is_large, rows_by_lr, write_arms
from lab.report.refusals import failures, refusals
from lab.report.summary import about, cell_names, group_names, invalid_text
from lab.report.templates import environment
from lab.report.topics import WITH_ARM, Part, Topic, clauses, constants, tallies, topics
from lab.report.viewer import Viewer
from lab.verdict.arms import Arm, group_key, groups_by_key
from lab.verdict.contrasts import difference_text, label_text, shared_text
from lab.verdict.schema import CellResult, Margin, Results
from lab.verdict.table import csv_text, text
from lab.verdict.wording import FLAGS, LETTERS, MEANINGS, lr_text, share_text
from serving.layout import write_atomic
from trainer.methods import METHODS

ANSWERS = {"yes": "✓ confirmed", "no": "✗ refuted", "undecided": "undecided", "text": "not tested"}
#: Most learning rates in the table of arms.
RATES = 12
#: With more cells, every checkpoint is in the CSV alone, and only the curves link their points.
DETAILED = 60
Address = Callable[[str], str]


def write_report(
    results: Results, path: Path, viewer: Viewer | None = None, pages: Mapping[str, str] | None = None
) -> None:
    """Writes report.html; links in it are relative to its folder, as in results.json.

    Args:
        results: Of the run.
        path: The file.
        viewer: Inspect's viewer next to it, which links to logs then open.
        pages: From a log to the page of its replies, next to the report.
    """
    found = _figures(results)
    parts = topics(results, found)
    write_atomic(path, _page(results, found, parts, viewer, pages or {}), durable=False)
    if is_large(results):
        write_arms(results, path.parent, parts, _environment(quote, results))


def render(results: Results, viewer: Viewer | None = None, pages: Mapping[str, str] | None = None) -> str:
    """The page. The same results give the same bytes."""
    found = _figures(results)
    return _page(results, found, topics(results, found), viewer, pages or {})


def _figures(results: Results) -> Mapping[str, list[Picture]]:
    return {KIND.name: list(KIND.pictures(results))} if is_large(results) else gallery(results)


def _page(
    results: Results,
    found: Mapping[str, list[Picture]],
    parts: list[Topic],
    viewer: Viewer | None,
    pages: Mapping[str, str],
) -> str:
    many, refused = is_large(results), refusals(results)
    address: Address = viewer.link if viewer else lambda log: pages.get(log) or quote(log)
    page = (
        _environment(address, results)
        .get_template("report.html.j2")
        .render(
            r=results,
            **about(results),
            topics=parts,
            tallies=tallies(parts),
            ids={cell.id: part.id for topic in parts for part in topic.parts for cell in part.cells},
            rates=_rates(results),
            constants=constants(results),
            invalid=invalid_text(results),
            failures=failures(results.failures, refused),
            refusals=refused,
            answers=ANSWERS,
            letters=LETTERS,
            meanings=MEANINGS,
            flag_meanings=_flags(results),
            sections=list(_sections(results, found)),
            theme=Markup(theme_css()),
            log=address,
            viewer=viewer,
            pages=bool(pages),
            csv="" if many else csv_link(csv_text(results)),
            many=many,
            detailed=len(results.cells) <= DETAILED,
            arms_folder=FOLDER,
            gates=_gates(results.cells),
            graders={c.setting: c.graders for c in results.cells if c.graders}.items(),
        )
    )
    page, rules = shared_styles(page)
    return page.replace("/*styles of figures*/", rules, 1)


def _sections(
    results: Results, found: Mapping[str, list[Picture]]
) -> Iterable[tuple[Any, str, list[tuple[str, Picture]]]]:
    """The figures of several arms; contrasts stand with their arm."""
    for kind in KINDS:
        if kind.name not in ("curves", "contrasts", *WITH_ARM) and found.get(kind.name):
            yield kind, kind.caption.format(t=results.thresholds), [(p.key, p) for p in found[kind.name]]


def _rates(results: Results) -> list[float]:
    rates = sorted({c.lr for c in results.cells})
    return rates if len(rates) <= RATES else [rates[i * (len(rates) - 1) // (RATES - 1)] for i in range(RATES)]


def _environment(address: Address, results: Results) -> Environment:
    groups = groups_by_key(results)
    names, of_groups = cell_names(results), group_names(results)
    linked = address if len(results.cells) <= DETAILED else None
    return environment(
        html=True,
        margin=margin_text,
        log=address,
        svg=lambda picture, name: Markup(inline_svg(picture.draw, name, picture.text, linked)),
        panel=lambda picture: Markup(picture.inline(address)),
        means=lambda picture: Markup((picture.means or picture.inline)(address)),
        rows_by_lr=lambda part: rows_by_lr(part, groups),
        about=_about,
        named=lambda cell: names[cell.id],
        group=lambda group: of_groups[group_key(group)],
        clauses=clauses,
        contrast=label_text,
        shared=shared_text,
        difference=difference_text,
        map_steps=lambda arm: steps_of(arm.cells),
        csv=_part_csv,
        number=_number_text,
        unbroken=lambda v: re.sub(r"(\de)-(\d)", "\\1\N{NON-BREAKING HYPHEN}\\2", v),
    )


def _part_csv(part: Part) -> str:
    return csv_link(text(pd.DataFrame(list(rows_of(part.cells)), dtype=object), "csv"))


def csv_link(content: str) -> str:
    """The address of a CSV within the page."""
    return "data:text/csv;charset=utf-8," + quote(content, safe=",:;=/()[]+*'")


def margin_text(margin: Margin | None) -> str:
    """A mean margin with its interval, and how often greedy decoding writes the initial and the alternate reply."""
    if margin is None:
        return "–"
    within = f" [{margin.lo:.1f}, {margin.hi:.1f}]" if margin.lo is not None and margin.hi is not None else ""
    greedy = f"{share_text(margin.initial_greedy.p)} / {share_text(margin.alternate_greedy.p)}"
    return f"{margin.mean:.1f}{within} ({greedy})".replace("-", "\N{MINUS SIGN}")


def _about(arm: Arm) -> str:
    """What an arm is trained on, carrier, role and factors, as far as its name does not say them."""
    cell, factors = arm.cells[0], arm.conclusion.factors
    known = METHODS.get(arm.conclusion.method)
    parts = [
        f"trained on: {known.line}" if known else arm.conclusion.method,
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

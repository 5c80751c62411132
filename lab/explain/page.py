"""`bct explain`: explain.html (self-contained), explain.json, and each figure as SVG.

Covered: the theory always, the first-order test where a run is given. The numbers in the text come from explain.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lab.experiment.stored import of_run
from lab.explain.figures import drawings, label
from lab.explain.firstorder import ITEMS, Tested, by_cell, check_run, hits, summary
from lab.explain.studies import all_studies
from lab.report.figures.style import inline_svg, theme_css, write_svg
from lab.report.templates import environment
from lab.verdict.wording import lr_text
from serving.layout import write_atomic


def explain(run: Path | None, out: Path, items: int = ITEMS, progress: Callable[[str], None] = print) -> Path:
    """Writes explain.html, explain.json and the figures into `out`. Returns the page.

    Args:
        run: A run folder or a trained cell; None writes the theory alone.
        out: The folder to write into.
        items: Eval prompts per checkpoint.
        progress: Gets one line per cell.

    Raises:
        BadInput: `run` has no trained cell.
    """
    with of_run(run or out):
        tested = check_run(run, items, progress) if run is not None else []
    content = numbers(tested)
    out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, str] = {}
    for name, (draw, text) in drawings(content["theory"], tested).items():
        write_svg(draw, out / f"{name}.svg")
        figures[name] = inline_svg(draw, name, text)
    lines = json.dumps(_finite(content), indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_atomic(out / "explain.json", lines, durable=False)
    write_atomic(out / "explain.html", render(content, figures, tested, run.name if run else None), durable=False)
    return out / "explain.html"


def numbers(tested: Sequence[Tested]) -> dict[str, Any]:
    """The content of explain.json."""
    found = zip(tested, by_cell(tested), strict=True)
    first_order = {
        "summary": summary(tested),
        "forecast": hits(tested),
        "cells": [asdict(cell) | {"summary": own} for cell, own in found],
    }
    return {"schema": "1", "theory": all_studies(), "first_order": first_order if tested else None}


def render(content: Mapping[str, Any], figures: Mapping[str, str], tested: Sequence[Tested], run: str | None) -> str:
    """The page, from the content of explain.json and the figures as SVG by name."""
    templates = environment(html=True, n=lambda v: f"{v:.3g}", lr=lr_text, signed=lambda v: f"{v:+.2f}")
    return templates.get_template("explain.html.j2").render(
        t=content["theory"],
        first=content["first_order"],
        figures={name: Markup(svg) for name, svg in figures.items()},
        theme=Markup(theme_css()),
        tested=tested,
        label=label,
        run=run,
    )


def _finite(value: Any) -> Any:
    """The value with null for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

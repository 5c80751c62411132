"""`bct explain`: explain.html (self-contained), explain.json, and each figure as SVG.

Covered: the theory always, the first-order test where a run is named. The text's numbers come from explain.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from lab.explain import figures
from lab.explain.firstorder import ITEMS, Tested, check_run, summary
from lab.explain.studies import all_studies
from lab.verdict.wording import lr_text

# A figure by itself has no page around it to give it colours.
COLOURS = {
    "--ink": "#1d1f21",
    "--faint": "#5f646b",
    "--rule": "#dcdcd6",
    "--paper": "#fdfdfb",
    "--initial": "#c44f00",
    "--alternate": "#0072b2",
    "--degenerate": "#85888d",
}


def explain(run: Path | None, out: Path, items: int = ITEMS, tell: Callable[[str], None] = print) -> Path:
    """Writes explain.html, explain.json and the figures into `out`. Returns the page.

    Raises:
        BadInput: `run` holds no trained cell.
    """
    tested = check_run(run, items, tell) if run is not None else []
    content = numbers(tested)
    drawn = figures.draw(content["theory"])
    if tested:
        drawn["firstorder"] = figures.predicted_against_observed(tested)
    out.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        _write(out / f"{name}.svg", alone(svg))
    _write(out / "explain.json", json.dumps(_finite(content), indent=1, sort_keys=True, allow_nan=False) + "\n")
    _write(out / "explain.html", render(content, drawn, tested, run.name if run else None))
    return out / "explain.html"


def numbers(tested: Sequence[Tested]) -> dict[str, Any]:
    """The content of explain.json."""
    first_order = {"summary": summary(tested), "cells": [cell.as_json() for cell in tested]} if tested else None
    return {"schema": "1", "theory": all_studies(), "first_order": first_order}


def render(content: Mapping[str, Any], drawn: Mapping[str, str], tested: Sequence[Tested], run: str | None) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("lab"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"n": lambda v: f"{v:.3g}", "lr": lr_text, "signed": lambda v: f"{v:+.2f}"}
    return environment.get_template("explain.html.j2").render(
        t=content["theory"],
        first=content["first_order"],
        figures={name: Markup(svg) for name, svg in drawn.items()},
        tested=tested,
        label=figures.label,
        run=run,
    )


def alone(svg: str) -> str:
    """A figure for use outside the page: its own colours, and the namespaces of a file."""
    for name, colour in COLOURS.items():
        svg = svg.replace(f"var({name})", colour)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)

"""The registry of figures: every kind, in the order of the report. A new figure is a file and a line in `KINDS`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lab.report.figures import (
    contrasts,
    curves,
    halves,
    heat,
    overview,
    product,
    robustness,
    seeds,
    trade,
    variances,
)
from lab.report.figures.picture import Kind, Picture
from lab.report.figures.style import write_pdf, write_svg
from lab.verdict.schema import Results
from lab.verdict.table import text

KINDS: tuple[Kind, ...] = (
    overview.KIND,
    curves.KIND,
    heat.KIND,
    product.KIND,
    contrasts.KIND,
    seeds.KIND,
    variances.KIND,
    halves.KIND,
    trade.KIND,
    robustness.KIND,
)


def gallery(results: Results) -> dict[str, list[Picture]]:
    """All figures of a run by the name of their kind; the keys of figures are unique."""
    seen = Counter[str]()
    found: dict[str, list[Picture]] = {}
    for kind in KINDS:
        found[kind.name] = []
        for picture in kind.pictures(results):
            seen[picture.key] += 1
            n = seen[picture.key]
            found[kind.name].append(picture if n == 1 else replace(picture, key=f"{picture.key}.{n}"))
    return found


def export(results: Results, folder: Path) -> list[Picture]:
    """Writes all figures of a run into a folder. The same results give the same SVG and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [picture for found in gallery(results).values() for picture in found]
    for picture in pictures:
        figure = write_svg(picture.draw, folder / f"{picture.key}.svg")
        write_pdf(figure, folder / f"{picture.key}.pdf")
        (folder / f"{picture.key}.csv").write_text(
            text(pd.DataFrame(picture.rows, dtype=object), "csv"), encoding="utf-8"
        )
    return pictures

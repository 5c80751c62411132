"""`bct report RUN --figures DIR`: every figure as SVG and PDF, for a paper, and its data as CSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lab.report.figures.gallery import gallery
from lab.report.figures.picture import Picture
from lab.report.figures.style import write_pdf, write_svg
from lab.verdict.schema import Results
from lab.verdict.table import text


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

"""`bct report RUN --figures DIR`: every picture as SVG and PDF, to be put into a paper, and its data as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.style import context

from lab.report.figures.curves import ALTERNATE, DEGENERATE, FAINT, GRID, INITIAL, INK, PAPER, STYLE, Points
from lab.report.figures.gallery import Picture, everything
from lab.verdict.schema import Results
from lab.verdict.table import text

#: The report's light colours, for paper.
PALETTE = {
    INK: "#1d1f21",
    FAINT: "#5f646b",
    GRID: "#dcdcd6",
    PAPER: "#ffffff",
    INITIAL: "#c44f00",
    ALTERNATE: "#0072b2",
    DEGENERATE: "#85888d",
}
#: Fonts are embedded as TrueType, which publishers ask for.
PAPERLIKE = STYLE | {"pdf.fonttype": 42}
KINDS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def export(results: Results, folder: Path) -> list[Picture]:
    """Writes all pictures of an experiment into a folder. The same results give the same SVG and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = everything(results)
    for picture in pictures:
        figure = write_svg(picture, folder / f"{picture.key}.svg")
        with context(["default", PAPERLIKE]):
            FigureCanvasPdf(figure).print_pdf(folder / f"{picture.key}.pdf", metadata={"CreationDate": None})
        (folder / f"{picture.key}.csv").write_text(text(picture.rows, "csv"), encoding="utf-8")
    return pictures


def write_svg(picture: Picture, path: Path) -> Figure:
    """Draws one picture in the light colours and writes it. Returns what was drawn."""
    with context(["default", PAPERLIKE]):
        figure = picture.draw(Points(linked=False))
        recolour(figure)
        FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})
    return figure


def recolour(figure: Figure) -> None:
    """Puts real colours in place of the stand-ins of the page's variables; opacity stays."""
    for artist in figure.findobj():
        for kind in KINDS:
            _recolour(artist, kind)


def _recolour(artist: Artist, kind: str) -> None:
    get, put = getattr(artist, f"get_{kind}", None), getattr(artist, f"set_{kind}", None)
    value: Any = get() if get is not None else None
    if put is None or value is None or (isinstance(value, str) and value in ("none", "auto")):
        return
    if not callable(get):
        return
    found = to_rgba_array(value)
    known = [(to_rgba_array(stand_in)[0, :3], to_rgba_array(colour)[0, :3]) for stand_in, colour in PALETTE.items()]
    new = found.copy()
    for stand_in, colour in known:
        new[np.all(np.abs(found[:, :3] - stand_in) < 1e-3, axis=1), :3] = colour
    if len(new) and not np.array_equal(new, found):
        put(new if len(new) > 1 or hasattr(artist, "get_offsets") else tuple(new[0]))

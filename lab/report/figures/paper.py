"""Figures for papers: those of a run with title, axis names and legend, as PDF, SVG and PNG, with data and caption.

Widths are those of one and two columns (3.5 and 7 inches); the style sheet is that of all figures (`style`). PDF files
embed their fonts, SVG files draw text as outlines, PNG files have 300 dots per inch.
Not covered: what a figure shows (one file per kind), and pages (`lab.report.html`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lab.report.figures.picture import Kind, Picture
from lab.report.figures.style import ALTERNATE, DASHED, DEGENERATE, FAINT, INITIAL, INK, Links, styled
from lab.verdict.schema import CellResult, Results
from lab.verdict.table import text
from lab.verdict.wording import count_text

#: Dots per inch of PNG files.
DPI = 300


def drawn_for_paper(picture: Picture, kind: Kind) -> Figure:
    """A figure with its title, axis names and legend."""
    with styled():
        figure = picture.draw(Links(None))
        for axes in figure.axes:
            axes.set_xlabel(axes.get_xlabel() or kind.x)
        figure.axes[0].set_ylabel(figure.axes[0].get_ylabel() or kind.y)
        figure.axes[0].annotate(
            title_of(picture),
            (0, 1),
            (0, 16),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            color=INK,
        )
        if handles := [_handle(name) for name in kind.legend]:
            places = {"loc": "upper left", "bbox_to_anchor": (0.02, -0.02), "ncols": 2 if len(figure.axes) == 1 else 5}
            figure.legend(handles=handles, frameon=False, fontsize=7.5, borderaxespad=0, **places)
        return figure


def title_of(picture: Picture) -> str:
    """The arm, and what distinguishes the figure."""
    arm = picture.conclusion.arm if picture.conclusion else ""
    return ", ".join(part for part in dict.fromkeys((arm, picture.title)) if part)


def write(picture: Picture, kind: Kind, results: Results, folder: Path) -> None:
    """Writes a figure as .pdf, .svg and .png, its data as .csv and its caption as .txt. No file has a date."""
    figure, stem = drawn_for_paper(picture, kind), folder / picture.key
    with styled():
        FigureCanvasPdf(figure).print_figure(f"{stem}.pdf", bbox_inches="tight", metadata={"CreationDate": None})
        FigureCanvasAgg(figure).print_figure(f"{stem}.png", bbox_inches="tight", dpi=DPI, metadata={"Software": None})
    with styled(fonttype="path"):
        FigureCanvasSVG(figure).print_figure(f"{stem}.svg", bbox_inches="tight", metadata={"Date": None})
    data = pd.DataFrame(picture.rows, dtype=object)
    Path(f"{stem}.csv").write_text(text(data, "csv"), encoding="utf-8")
    Path(f"{stem}.txt").write_text(caption(picture, kind, results) + "\n", encoding="utf-8")


def caption(picture: Picture, kind: Kind, results: Results) -> str:
    """The figure in a paragraph: what it shows, of how many prompts and seeds, and the kind of its intervals."""
    ids = {row["cell"] for row in picture.rows if "cell" in row}
    cells = [c for c in results.cells if c.id in ids] or list(results.cells)
    parts = [
        f"{kind.title}: {title_of(picture)}" if title_of(picture) != kind.title else kind.title,
        kind.caption.format(t=results.thresholds).rstrip("."),
        _sizes(cells),
        f"Intervals of single runs: Wilson, {results.thresholds.level}, with the design effect of prompt templates; of "
        f"means over {results.thresholds.few_seeds} or more seeds: two-way variance of seeds and items",
    ]
    return re.sub(r" A (point|field) opens [^.]*\.", "", ". ".join(parts) + ".")


def _sizes(cells: Sequence[CellResult]) -> str:
    ends = [c.checkpoints[-1].eval for c in cells if c.checkpoints]
    n, templates = _span(e.n for e in ends), _span(e.clusters for e in ends)
    seeds, models = len({c.seed for c in cells}), ", ".join(dict.fromkeys(c.model for c in cells))
    invalid = "; invalid: the gate of some cells failed" if any("invalid" in c.verdict.flags for c in cells) else ""
    prompts = f"{n} scored eval prompts of {templates} templates per checkpoint"
    return f"Model {models}; {prompts}, {count_text(seeds, 'seed')}{invalid}"


def _span(values: Iterable[int]) -> str:
    known = sorted(set(values))
    return "no" if not known else f"{known[0]}" if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _handle(name: str) -> Line2D | Patch:
    return {
        "initial": Line2D([], [], color=INITIAL, marker="o", markersize=4, label="initial behavior"),
        "alternate": Line2D(
            [], [], color=ALTERNATE, marker="s", markersize=4, linestyle=DASHED, label="alternate behavior"
        ),
        "initial dot": Line2D([], [], color=INITIAL, marker="o", markersize=4, linestyle="", label="initial behavior"),
        "alternate dot": Line2D(
            [], [], color=ALTERNATE, marker="s", markersize=4, linestyle="", label="alternate behavior"
        ),
        "mean": Line2D([], [], color=INK, linewidth=1.4, label="mean over seeds"),
        "degenerate": Patch(color=DEGENERATE, alpha=0.4, label="degenerate replies"),
        "ceiling": Line2D([], [], color=ALTERNATE, linewidth=0.9, linestyle=(0, (1, 2)), label="ceiling a*"),
        "crossing": Line2D(
            [], [], color=INK, marker="v", markersize=5, linestyle="", label="crossing (hollow: damaged)"
        ),
        "window": Line2D(
            [], [], color=INK, marker="|", markersize=7, linewidth=0.9, label="mean over the last half of the steps"
        ),
        "choose": Line2D([], [], color=FAINT, linestyle=DASHED, label="half that chooses"),
        "report": Line2D([], [], color=INITIAL, marker="o", markersize=3, label="half that reports"),
    }[name]

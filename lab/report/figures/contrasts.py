"""Figure: the differences that a recipe's contrasts show, one row each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.figure import Figure

from lab.report.figures.picture import SERIES, DataRow, Kind, Picture, bare, canvas
from lab.report.figures.style import FAINT, GRID, Links
from lab.verdict.contrasts import label_text, rows, shared_text
from lab.verdict.schema import Contrast, Results

#: Inches of a row, and of the axis below all rows.
ROW, AXIS = 0.42, 0.5


def pictures(results: Results) -> Iterator[Picture]:
    """One figure for all contrasts of a run."""
    if found := [c for c in results.contrasts if c.initial is not None]:
        yield picture(found)


def picture(found: Sequence[Contrast]) -> Picture:
    """The figure of some contrasts, which have data."""
    data = tuple(DataRow(row) for row in rows(found))
    return Picture("contrasts", "Contrasts", shared_text(found), partial(draw, found), in_words(found), data, wide=True)


def draw(found: Sequence[Contrast], links: Links) -> Figure:
    """A minus B in the initial and the alternate rate, with intervals where they are known."""
    height = ROW * len(found) + AXIS
    figure, axes = canvas((7.0, height), (0.47, AXIS / height, 0.51, 1 - AXIS / height))
    bare(axes)
    axes.grid(True, axis="x", color=GRID)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    for y, contrast in enumerate(found):
        for shift, (rate, colour, marker) in zip((-0.14, 0.14), SERIES, strict=True):
            if (d := getattr(contrast, rate)) is None:
                continue
            if d.lo is not None:
                axes.plot([d.lo, d.hi], [y + shift] * 2, color=colour, linewidth=1.2)
            axes.plot([d.estimate], [y + shift], marker, color=colour, markersize=4)
    axes.set_yticks(range(len(found)), [_label(c, shared_text(found)) for c in found], fontsize=7.5)
    axes.set(xlim=(-1.05, 1.05), ylim=(len(found) - 0.5, -0.5), xlabel="A against B: A − B")
    return figure


def in_words(found: Sequence[Contrast]) -> str:
    """The sentence of every contrast."""
    return " ".join(f"{c.sentence}." for c in found)


def _label(contrast: Contrast, shared: str) -> str:
    return label_text(contrast, shared).replace(": ", "\n").replace(", at ", "\nat ")


KIND = Kind(
    "contrasts",
    "Contrasts",
    "Cells that differ only in one factor, on the same items, at their last checkpoint unless a label says otherwise."
    " “A against B” is A minus B, in the initial (circles) and the alternate rate (squares), with {t.level} intervals.",
    pictures,
    legend=("initial dot", "alternate dot"),
)

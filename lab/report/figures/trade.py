"""Figure: capability against the initial rate, one figure per arm with a capability measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report.figures.picture import Kind, Picture, bare, of_cells
from lab.report.figures.rates import Look, canvas_of, looks
from lab.report.figures.style import FAINT, GRID, INK, Links
from lab.verdict.arms import arms
from lab.verdict.schema import CellResult, Results, Thresholds
from lab.verdict.wording import lr_text, share_text


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per arm, of its cells with a capability measurement."""
    for conclusion, cells in arms(results):
        shown = [c for c in cells if any(k.capability.relative is not None for k in c.checkpoints)]
        if shown:
            drawing = partial(draw, shown, results.thresholds)
            yield of_cells("trade", conclusion, shown, drawing, in_words(shown))


def draw(cells: Sequence[CellResult], thresholds: Thresholds, links: Links) -> Figure:
    """One path per cell from step 0 on, and the line below which a checkpoint counts as damaged."""
    found = looks(c.lr for c in cells)
    figure, axes = canvas_of(found, left=0.6)
    top = max([1.1, *(c.capability.relative or 0 for cell in cells for c in cell.checkpoints)]) + 0.05
    bare(axes)
    axes.set(xlim=(-0.03, 1.03), ylim=(0, top), xlabel="initial rate", ylabel="capability, of step 0")
    axes.xaxis.set_major_formatter(lambda v, _: share_text(v) if v else "0")
    axes.yaxis.set_major_formatter(lambda v, _: share_text(v) if v else "0")
    axes.grid(True, color=GRID)
    axes.axhline(1 - thresholds.capability_drop, color=FAINT, linewidth=0.8, linestyle=":")
    for cell in cells:
        _path(axes, cell, found[cell.lr], links)
    return figure


def in_words(cells: Sequence[CellResult]) -> str:
    """The end of every path."""
    parts = ["Capability relative to step 0 against the initial rate, at the last checkpoint."]
    for cell in (c for c in cells if c.checkpoints):
        last = cell.checkpoints[-1]
        end = f"initial {share_text(last.eval.initial.p)}, capability {share_text(last.capability.relative)}"
        parts.append(f"lr {lr_text(cell.lr)}, seed {cell.seed}: {end}.")
    return " ".join(parts)


def _path(axes: Axes, cell: CellResult, look: Look, links: Links) -> None:
    known = [c for c in cell.checkpoints if c.eval.initial.p is not None and c.capability.relative is not None]
    if not known:
        return
    xs, ys = [c.eval.initial.p or 0.0 for c in known], [c.capability.relative or 0.0 for c in known]
    look.draw(axes, xs, ys, [links.to(cell, c) for c in known])
    axes.scatter(xs[:1], ys[:1], s=60, facecolor="none", edgecolor=INK, linewidth=1, zorder=5)


KIND = Kind(
    "trade",
    "Capability against the initial rate",
    "One path per cell, from step 0 (large circle) on; heavier at higher learning rates. Dotted line: capability down"
    " by {t.capability_drop:.0%}. A path to the left above that line removes the behavior without that loss.",
    pictures,
)

"""Figure: initial rate against learning rate × steps, one figure per arm with several learning rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.figure import Figure

from lab.report.figures.picture import Kind, Picture, lr_times_steps, of_cells, rate_axis
from lab.report.figures.rates import canvas_of, looks
from lab.report.figures.style import Links
from lab.verdict.arms import alike, arms, but_for_rows, by_lr
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import lr_text, share_text


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per arm with more than one learning rate; arms that differ only in their unique rows are included."""
    found = arms(results)
    groups = alike(found)
    for conclusion, cells in found:
        if len(by_lr(cells)) > 1:
            others = [c for arm in groups[but_for_rows(cells[0])] if arm.cells is not cells for c in arm.cells]
            shown = [*cells, *others]
            yield of_cells("product", conclusion, shown, partial(draw, shown), in_words(shown))


def draw(cells: Sequence[CellResult], links: Links) -> Figure:
    """A line per cell, heavier at higher learning rates; where only the product matters, the lines coincide."""
    found = looks(c.lr for c in cells)
    figure, axes = canvas_of(found, left=0.38)
    rate_axis(axes)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate × steps")
    for cell in cells:
        known = [c for c in cell.checkpoints if c.step and c.eval.initial.p is not None]
        xs, ys = [lr_times_steps(cell, c) for c in known], [c.eval.initial.p or 0.0 for c in known]
        found[cell.lr].draw(axes, xs, ys, [links.to(cell, c) for c in known])
    axes.minorticks_off()
    axes.margins(x=0.06)
    return figure


def in_words(cells: Sequence[CellResult]) -> str:
    """The end of every line."""
    parts = ["Initial rate against learning rate times steps."]
    for lr, members in by_lr(cells).items():
        ends = [(lr_times_steps(c, c.checkpoints[-1]), c.checkpoints[-1].eval.initial.p) for c in members]
        parts.append(f"lr {lr_text(lr)}: {', '.join(f'{share_text(p)} at {x:.3g}' for x, p in ends)} at the end.")
    return " ".join(parts)


KIND = Kind(
    "product",
    "Learning rate against steps at equal product",
    "Where only the product of learning rate and steps matters, the lines of all learning rates coincide. Heavier"
    " lines: higher learning rates. Step 0 is left out.",
    pictures,
    y="initial rate",
)

"""Figure: mean initial rate by learning rate and step, one figure per arm with several learning rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lab.report.figures.picture import Kind, Picture, bare, canvas, of_cells
from lab.report.figures.style import INITIAL, INK, Links
from lab.verdict.arms import arms, by_lr
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import lr_text, share_text

#: With more steps than this, which numbers of one column's width do not fit, a figure has two.
COLUMNS = 9


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per arm with more than one learning rate."""
    for conclusion, cells in arms(results):
        if len(by_lr(cells)) > 1:
            picture = of_cells("heat", conclusion, cells, partial(draw, cells), in_words(cells))
            yield replace(picture, wide=len(steps_of(cells)) > COLUMNS)


def draw(cells: Sequence[CellResult], links: Links) -> Figure:
    """A field per learning rate and step, with the rate in it; † where most cells are damaged."""
    rates, steps = by_lr(cells), steps_of(cells)
    many = len(steps) > COLUMNS
    below, beside, width = (0.66, 0.8, 7.0) if many else (0.36, 0.7, 3.5)
    low, left = below / (0.39 + below + 0.3 * len(rates)), beside / width
    figure, axes = canvas((width, 0.39 + below + 0.3 * len(rates)), (left, low, 0.99 - left, 1 - low - 0.02))
    bare(axes)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    for y, members in enumerate(rates.values()):
        for x, step in enumerate(steps):
            _field(axes, (x, y), members, step, links)
    axes.set(xlim=(-0.5, len(steps) - 0.5), ylim=(-0.5, len(rates) - 0.5), xlabel="step")
    axes.set_xticks(range(len(steps)), [f"{s:,}" for s in steps], rotation=90 if many else 0)
    axes.set_yticks(range(len(rates)), [lr_text(lr) for lr in rates])
    return figure


def in_words(cells: Sequence[CellResult]) -> str:
    """Every field of the figure."""
    steps = steps_of(cells)
    rows = [
        f"lr {lr_text(lr)}: " + ", ".join(f"{share_text(mean_initial(members, s))} at step {s}" for s in steps)
        for lr, members in by_lr(cells).items()
    ]
    return "Mean initial rate by learning rate and step. " + ". ".join(rows) + "."


def steps_of(cells: Sequence[CellResult]) -> list[int]:
    """All steps with a checkpoint."""
    return sorted({c.step for cell in cells for c in cell.checkpoints})


def mean_initial(cells: Sequence[CellResult], step: int) -> float | None:
    """The mean initial rate at a step, over the cells that have it."""
    known = [p for c in cells for k in c.checkpoints if k.step == step and (p := k.eval.initial.p) is not None]
    return sum(known) / len(known) if known else None


def _field(axes: Axes, place: tuple[int, int], cells: Sequence[CellResult], step: int, links: Links) -> None:
    value, (x, y) = mean_initial(cells, step), place
    if value is None:
        return
    axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, color=INITIAL, alpha=0.55 * value, linewidth=0))
    at = [(cell, c) for cell in cells for c in cell.checkpoints if c.step == step]
    mark = "†" if 2 * sum("damaged" in c.flags for _, c in at) >= len(at) else ""
    number = axes.text(x, y, share_text(value) + mark, ha="center", va="center", fontsize=8, color=INK)
    number.set_url(links.to(*at[0]))


KIND = Kind(
    "heat",
    "Initial rate by learning rate and step",
    "Mean over seeds; † where most cells are damaged. A field opens the log of its first seed.",
    pictures,
    x="training step",
    y="learning rate",
)

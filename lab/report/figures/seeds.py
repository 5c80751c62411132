"""Figure: the rates of every seed at its last checkpoint, one figure per arm with several seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report.figures.picture import SERIES, Kind, Picture, canvas, last_rates, of_cells, rate_axis
from lab.report.figures.style import INK, Links
from lab.verdict.arms import arms, by_lr
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import lr_text, share_text

#: Places of the two series, in the order of `SERIES`.
SHIFTS = (-0.14, 0.14)


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per arm with more than one seed at some learning rate."""
    for conclusion, cells in arms(results):
        if any(len(members) > 1 for members in by_lr(cells).values()):
            yield of_cells("seeds", conclusion, cells, partial(draw, cells), in_words(cells))


def draw(cells: Sequence[CellResult], links: Links) -> Figure:
    """A point per seed and rate by learning rate, with a bar at the mean."""
    found = by_lr(cells)
    figure, axes = canvas((3.5, 2.35), (0.105, 0.19, 0.875, 0.77))
    rate_axis(axes)
    for x, members in enumerate(found.values()):
        for shift, (outcome, colour, marker) in zip(SHIFTS, SERIES, strict=True):
            _column(axes, x + shift, members, outcome, colour, marker, links)
    axes.set(xlim=(-0.5, len(found) - 0.5), xlabel="learning rate")
    axes.set_xticks(range(len(found)), [lr_text(lr) for lr in found])
    return figure


def in_words(cells: Sequence[CellResult]) -> str:
    """The last initial rate of every seed."""
    rows = [
        f"lr {lr_text(lr)}: " + ", ".join(share_text(c.checkpoints[-1].eval.initial.p) for c in members)
        for lr, members in by_lr(cells).items()
    ]
    return "Initial rate of every seed at its last checkpoint. " + ". ".join(rows) + "."


def _column(
    axes: Axes, x: float, cells: Sequence[CellResult], outcome: str, colour: str, marker: str, links: Links
) -> None:
    known = last_rates(cells, outcome)
    spread = [x + 0.1 * ((i + 0.5) / len(known) - 0.5) for i in range(len(known))]
    dots = axes.scatter(spread, [p for *_, p in known], s=18, color=colour, marker=marker, linewidth=0, zorder=3)
    dots.set_urls([links.to(cell, c) for cell, c, _ in known])
    if known:
        mean = sum(p for *_, p in known) / len(known)
        axes.plot([x - 0.09, x + 0.09], [mean, mean], color=INK, linewidth=1.4, zorder=4)


KIND = Kind(
    "seeds",
    "Spread over seeds",
    "Initial (circles) and alternate (squares) rate of every seed at its last checkpoint; the bar is the mean. The"
    " distribution over seeds is often bimodal.",
    pictures,
    y="rate at the last checkpoint",
    legend=("initial dot", "alternate dot", "mean"),
)

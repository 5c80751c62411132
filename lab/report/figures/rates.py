"""How figures tell learning rates apart: by the weight and the markers of lines, named in a legend below the axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.report.figures.picture import canvas
from lab.report.figures.style import FAINT, INK, MARKERS, PAPER
from lab.verdict.wording import lr_text

#: Learning rates in a row of the legend, and the height of a row in inches.
NAMED, ROW = 4, 0.2


@dataclass(frozen=True)
class Look:
    """How the lines of a learning rate look.

    Args:
        share: From 0 at the lowest learning rate to 1 at the highest, whose lines are the heaviest.
        marker: A marker of matplotlib.
    """

    share: float
    marker: str

    def draw(self, axes: Axes, xs: Sequence[float], ys: Sequence[float], urls: Sequence[str | None]) -> None:
        """A line with a marker at every point, which links to its log."""
        axes.plot(xs, ys, zorder=3, color=INK, alpha=self._alpha, linewidth=self._width)
        dots = axes.scatter(xs, ys, s=16, marker=self.marker, facecolor=PAPER, edgecolor=INK, linewidth=0.8, zorder=4)
        dots.set_urls(urls)

    def named(self, lr: float) -> Line2D:
        """The entry of the legend."""
        line = Line2D([], [], color=INK, alpha=self._alpha, linewidth=self._width, label=lr_text(lr))
        line.set(marker=self.marker, markersize=4, markerfacecolor=PAPER, markeredgecolor=INK, markeredgewidth=0.8)
        return line

    @property
    def _alpha(self) -> float:
        return 0.45 + 0.5 * self.share

    @property
    def _width(self) -> float:
        return 0.7 + 1.3 * self.share


def looks(rates: Iterable[float]) -> dict[float, Look]:
    """The looks of learning rates, in rising order."""
    found = sorted(set(rates))
    return {lr: Look(i / max(1, len(found) - 1), MARKERS[i % len(MARKERS)]) for i, lr in enumerate(found)}


def canvas_of(shown: Mapping[float, Look], left: float) -> tuple[Figure, Axes]:
    """A figure of one column with a legend of learning rates.

    Args:
        shown: The looks by learning rate.
        left: Inches left of the axes.
    """
    below = ROW * math.ceil(len(shown) / NAMED)
    high = 2.6 + below
    figure, axes = canvas((3.5, high), (left / 3.5, (0.5 + below) / high, (3.4 - left) / 3.5, 2.0 / high))
    figure.legend(
        handles=[look.named(lr) for lr, look in shown.items()], loc="lower center", ncols=min(NAMED, len(shown)),
        frameon=False, fontsize=7.5, labelcolor=FAINT, borderaxespad=0.1, handlelength=1.6, handletextpad=0.4,
        columnspacing=1.0,
    )  # fmt: skip
    return figure, axes

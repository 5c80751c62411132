"""Figure: capability against the initial rate over all cells of an organism, one figure per organism."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from matplotlib.figure import Figure

from lab.report.figures.picture import DataRow, Kind, Picture, bare, canvas, slug
from lab.report.figures.style import ALTERNATE, FAINT, GRID, INK, PAPER, Links
from lab.verdict.robustness import Robustness, organisms
from lab.verdict.schema import Results
from lab.verdict.wording import robustness_text, share_text


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per organism."""
    for found in organisms(results):
        key, drawing = f"{slug(found.name)}.robustness", partial(draw, found)
        yield Picture(key, found.name, robustness_text(found), drawing, in_words(found), tuple(rows(found)))


def rows(found: Robustness) -> Iterator[DataRow]:
    """One row per checkpoint, then one per corner of the hull."""
    for p in found.points:
        yield {"kind": "checkpoint", "cell": p.cell, "step": p.step, "rate": p.rate, "capability": p.capability}
    for x, y in found.hull:
        yield {"kind": "hull", "cell": "", "step": "", "rate": x, "capability": y}


def draw(found: Robustness, links: Links) -> Figure:
    """Checkpoints, their hull, and the diagonal of a maximally robust organism."""
    figure, axes = canvas((3.5, 2.6), (0.17, 0.17, 0.81, 0.79))
    bare(axes)
    axes.grid(True, color=GRID)
    top = max(1.1, *(p.capability for p in found.points)) + 0.05
    axes.set(xlim=(-0.03, 1.03), ylim=(0, top), xlabel="initial rate, of step 0", ylabel="capability, of step 0")
    xs, ys = [x for x, _ in found.hull], [y for _, y in found.hull]
    axes.fill_between(xs, 0, ys, color=ALTERNATE, alpha=0.12, linewidth=0)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
    axes.plot(xs, ys, color=ALTERNATE, linewidth=1.4)
    points = [p.rate for p in found.points], [p.capability for p in found.points]
    axes.scatter(*points, s=9, color=INK, linewidth=0, zorder=3)
    axes.scatter([1], [1], s=34, facecolor=PAPER, edgecolor=INK, linewidth=1, zorder=4)
    return figure


def in_words(found: Robustness) -> str:
    """The area and the corners of the hull."""
    corners = "; ".join(f"{share_text(x)}, {share_text(y)}" for x, y in found.hull)
    return f"{found.name}: {robustness_text(found)}. Corners of the hull (initial rate, capability): {corners}."


KIND = Kind(
    "robustness",
    "Robustness of the organisms",
    "Every checkpoint of an organism's cells relative to step 0, and the hull over the best ones. The area below the"
    " hull is .5 where capability falls in proportion to the behavior (dotted, most robust) and 1 where the"
    " behavior can be removed without loss. A hull takes the best of many noisy points: the second area is without this"
    " optimism. Compare only equal grids.",
    pictures,
)

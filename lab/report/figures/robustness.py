"""The figure of an organism's robustness: initial rate against capability, both relative to step 0."""

from __future__ import annotations

from matplotlib.figure import Figure

from lab.report.figures.curves import ALTERNATE, FAINT, GRID, INK, PAPER, bare
from lab.verdict.robustness import Robustness
from lab.verdict.wording import robustness_text, share_text


def draw(found: Robustness) -> Figure:
    """Points, hull and the diagonal of the most robust organism."""
    drawn = Figure(figsize=(3.5, 2.6))
    axes = drawn.add_axes((0.13, 0.17, 0.85, 0.79))
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
    return drawn


def figure_text(found: Robustness) -> str:
    """The figure in words."""
    corners = "; ".join(f"{share_text(x)}, {share_text(y)}" for x, y in found.hull)
    return f"{found.name}: {robustness_text(found)}. Corners of the hull (initial rate, capability): {corners}."

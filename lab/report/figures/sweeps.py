"""Pictures of a whole sweep of one arm: equal products, LR × steps, seeds, and the two halves of the eval items.

Covered: the drawings, as matplotlib figures in the stand-in colours of `lab.report.figures.curves`. Not covered:
rates of single checkpoints over training (`lab.report.figures.curves`), and what the drawings become
(`lab.report.html`, `lab.report.export`).
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lab.report.figures.curves import ALTERNATE, DASHED, FAINT, GRID, INITIAL, INK, PAPER, Points, bare, frame
from lab.verdict.arms import by_lr
from lab.verdict.schema import CellResult, CheckpointResult, Conclusion
from lab.verdict.wording import lr_text, share_text

MARKERS = "osD^vPX"


def mean_initial(cells: Sequence[CellResult], step: int) -> float | None:
    """The initial rate at a step, as a mean over the cells that have it."""
    known = [p for c in cells for k in c.checkpoints if k.step == step and (p := k.eval.initial.p) is not None]
    return sum(known) / len(known) if known else None


def product(cell: CellResult, checkpoint: CheckpointResult) -> float:
    """The sum of learning rates up to a checkpoint: LR × steps where the rate is constant."""
    return cell.lr * checkpoint.step if checkpoint.sum_lr is None else checkpoint.sum_lr


def draw_product(cells: Sequence[CellResult], points: Points) -> Figure:
    """Initial rate against learning rate times steps: where the product alone decides, the lines lie on each other."""
    figure = Figure(figsize=(3.5, 2.6))
    axes = figure.add_axes((0.11, 0.19, 0.86, 0.77))
    _rates_up(axes)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate × steps")
    found = by_lr(cells)
    for i, (lr, members) in enumerate(found.items()):
        share = i / max(1, len(found) - 1)
        style = {"color": INK, "alpha": 0.45 + 0.5 * share, "linewidth": 0.7 + 1.3 * share}
        for cell in members:
            known = [c for c in cell.checkpoints if c.step and c.eval.initial.p is not None]
            xs, ys = [product(cell, c) for c in known], [c.eval.initial.p or 0.0 for c in known]
            axes.plot(xs, ys, zorder=3, **style)
            marker = MARKERS[i % len(MARKERS)]
            dots = axes.scatter(xs, ys, s=16, marker=marker, facecolor=PAPER, edgecolor=INK, linewidth=0.8, zorder=4)
            dots.set_urls([points.link(cell, c) for c in known])
            if cell is members[0] and known:
                end = (xs[-1], ys[-1])
                axes.annotate(lr_text(lr), end, xytext=(4, 3), textcoords="offset points", fontsize=8, color=FAINT)
    axes.minorticks_off()
    axes.margins(x=0.12)
    return figure


def draw_heat(cells: Sequence[CellResult], points: Points) -> Figure:
    """Mean initial rate by learning rate and step, the number in each field; † where most cells are damaged."""
    rates, steps = by_lr(cells), sorted({c.step for cell in cells for c in cell.checkpoints})
    figure = Figure(figsize=(3.5, 0.75 + 0.3 * len(rates)))
    low = 0.36 / (0.75 + 0.3 * len(rates))
    axes = figure.add_axes((0.16, low, 0.83, 1 - low - 0.02))
    bare(axes)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    for y, members in enumerate(rates.values()):
        for x, step in enumerate(steps):
            value = mean_initial(members, step)
            if value is None:
                continue
            axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, color=INITIAL, alpha=0.55 * value, linewidth=0))
            at = [c for cell in members for c in cell.checkpoints if c.step == step]
            mark = "†" if 2 * sum("damaged" in c.flags for c in at) >= len(at) else ""
            told = axes.text(x, y, share_text(value) + mark, ha="center", va="center", fontsize=8, color=INK)
            told.set_url(points.link(members[0], next(c for c in members[0].checkpoints if c.step == step)))
    axes.set(xlim=(-0.5, len(steps) - 0.5), ylim=(-0.5, len(rates) - 0.5), xlabel="step")
    axes.set_xticks(range(len(steps)), [f"{s:,}" for s in steps])
    axes.set_yticks(range(len(rates)), [lr_text(lr) for lr in rates])
    return figure


def draw_seeds(cells: Sequence[CellResult], points: Points) -> Figure:
    """Every seed's rates at its last checkpoint, by learning rate; a bar at the mean. Seeds are often two-peaked."""
    found = by_lr(cells)
    figure = Figure(figsize=(3.5, 2.35))
    axes = figure.add_axes((0.105, 0.19, 0.875, 0.77))
    _rates_up(axes)
    reads = (
        (-0.14, INITIAL, "o", lambda c: c.eval.initial.p),
        (0.14, ALTERNATE, "s", lambda c: c.eval.alternate.p),
    )
    for x, members in enumerate(found.values()):
        for shift, colour, marker, read in reads:
            ends = [(cell, cell.checkpoints[-1], read(cell.checkpoints[-1])) for cell in members]
            known = [(cell, c, p) for cell, c, p in ends if p is not None]
            spread = [x + shift + 0.1 * ((i + 0.5) / len(known) - 0.5) for i in range(len(known))]
            dots = axes.scatter(
                spread, [p for *_, p in known], s=18, color=colour, marker=marker, linewidth=0, zorder=3
            )
            dots.set_urls([points.link(cell, c) for cell, c, _ in known])
            if known:
                mean = sum(p for *_, p in known) / len(known)
                axes.plot([x + shift - 0.09, x + shift + 0.09], [mean, mean], color=INK, linewidth=1.4, zorder=4)
    axes.set(xlim=(-0.5, len(found) - 0.5), xlabel="learning rate")
    axes.set_xticks(range(len(found)), [lr_text(lr) for lr in found])
    return figure


def draw_halves(conclusion: Conclusion, points: Points) -> Figure:
    """Initial rate at the chosen learning rate, on the half that chose (dashed) and on the half that reports."""
    figure = Figure(figsize=(3.5, 2.35))
    axes = figure.add_axes((0.105, 0.155, 0.875, 0.78))
    frame(axes, [h.step for h in conclusion.halves])
    for seed in sorted({h.seed for h in conclusion.halves}):
        mine = [h for h in conclusion.halves if h.seed == seed]
        steps = [h.step for h in mine]
        axes.plot(steps, [h.choose for h in mine], color=FAINT, linewidth=1, linestyle=DASHED, zorder=3)
        axes.plot(steps, [h.report for h in mine], color=INITIAL, linewidth=1.4, marker="o", markersize=3, zorder=4)
    if conclusion.step is not None:
        axes.axvline(conclusion.step, color=INK, linewidth=0.6, alpha=0.6, zorder=1)
    return figure


def product_text(cells: Sequence[CellResult]) -> str:
    """The picture in words."""
    parts = ["Initial rate against learning rate times steps."]
    for lr, members in by_lr(cells).items():
        ends = [(product(c, c.checkpoints[-1]), c.checkpoints[-1].eval.initial.p) for c in members]
        told = ", ".join(f"{share_text(p)} at {x:.3g}" for x, p in ends)
        parts.append(f"lr {lr_text(lr)}: {told} at the end.")
    return " ".join(parts)


def heat_text(cells: Sequence[CellResult]) -> str:
    """The picture in words."""
    steps = sorted({c.step for cell in cells for c in cell.checkpoints})
    rows = [
        f"lr {lr_text(lr)}: " + ", ".join(f"{share_text(mean_initial(members, s))} at step {s}" for s in steps)
        for lr, members in by_lr(cells).items()
    ]
    return "Mean initial rate by learning rate and step. " + ". ".join(rows) + "."


def seeds_text(cells: Sequence[CellResult]) -> str:
    """The picture in words."""
    rows = [
        f"lr {lr_text(lr)}: " + ", ".join(share_text(c.checkpoints[-1].eval.initial.p) for c in members)
        for lr, members in by_lr(cells).items()
    ]
    return "Initial rate of every seed at its last checkpoint. " + ". ".join(rows) + "."


def halves_text(conclusion: Conclusion) -> str:
    """The picture in words."""
    at = [h for h in conclusion.halves if h.step == conclusion.step]
    told = "; ".join(f"seed {h.seed}: {share_text(h.choose)} and {share_text(h.report)}" for h in at)
    lr = lr_text(conclusion.lr) if conclusion.lr is not None else "–"
    return (
        f"Initial rate on the choosing and the reporting half, lr {lr}, at the chosen step {conclusion.step}: {told}."
    )


def _rates_up(axes: Axes) -> None:
    bare(axes)
    axes.set(ylim=(-0.03, 1.05))
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.grid(True, axis="y", color=GRID)
    axes.set_axisbelow(True)

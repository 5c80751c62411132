"""Figure: rates over training steps, one figure per arm and learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report.figures.picture import Kind, Picture, canvas, rate_axis, rows_of, slug, step_axis
from lab.report.figures.style import ALTERNATE, DASHED, DEGENERATE, INITIAL, INK, PAPER, Links
from lab.verdict.arms import GROUP, Arm, arms
from lab.verdict.schema import CellResult, CheckpointResult, Group, Rate, Results, SeedRate
from lab.verdict.wording import lr_text, share_text

Dash = str | tuple[int, tuple[float, float]]
Read = Callable[[CheckpointResult], Rate]


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per arm, learning rate and number of steps."""
    for arm in arms(results):
        groups: dict[tuple[float, int], list[CellResult]] = {}
        for cell in (c for c in arm.cells if c.checkpoints):
            groups.setdefault((cell.lr, cell.steps), []).append(cell)
        for _, cells in sorted(groups.items()):
            yield _picture(arm, cells, results)


def _picture(arm: Arm, cells: list[CellResult], results: Results) -> Picture:
    lr, names = lr_text(cells[0].lr), [(c.verdict.name or c.role).replace("_", " ") for c in cells]
    seeds = f"seed{'s' * (len(cells) > 1)} {', '.join(str(c.seed) for c in cells)}"
    return Picture(
        key=f"{slug(arm.conclusion.arm)}.curves.{slug(lr)}.{cells[0].steps}",
        title=f"lr {lr}",
        note=f"{seeds}: {', '.join(dict.fromkeys(names))}",
        draw=partial(draw, cells, group_of(cells[0], results)),
        text=in_words(cells),
        rows=tuple(rows_of(cells)),
        conclusion=arm.conclusion,
        lr=cells[0].lr,
    )


def group_of(cell: CellResult, results: Results) -> Group | None:
    """The group of a cell; None where the results have no interval of its mean rates."""
    key = {name: getattr(cell, name) for name in GROUP}
    return next((group for group in results.groups if group.key == key and group.steps), None)


def draw(cells: Sequence[CellResult], group: Group | None, links: Links) -> Figure:
    """Initial, alternate and degenerate rate over steps, for cells that differ only in seed.

    Bands: the Wilson interval of each seed; with a group, the interval of its mean. Every point opens its log. Dotted
    line: the ceiling a*. Triangles: crossings, hollow where the checkpoint is damaged.
    """
    figure, axes = canvas((3.5, 2.35), (0.105, 0.155, 0.875, 0.78))
    step_axis(axes, [c.step for cell in cells for c in cell.checkpoints])
    rate_axis(axes, top=1.08)
    _degenerate(axes, cells)
    pooled = group.steps if group else ()
    initial, alternate = [(s.step, s.initial) for s in pooled], [(s.step, s.alternate) for s in pooled]
    _series(axes, cells, lambda c: c.eval.initial, INITIAL, "-", "o", initial, links)
    _series(axes, cells, lambda c: c.eval.alternate, ALTERNATE, DASHED, "s", alternate, links)
    if cells[0].ceiling is not None:
        axes.axhline(cells[0].ceiling, color=ALTERNATE, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)
    _crossings(axes, cells)
    return figure


def in_words(cells: Sequence[CellResult]) -> str:
    """The first and last rate of every cell."""
    parts = [f"Rates over training steps at learning rate {lr_text(cells[0].lr)}."]
    for cell in (c for c in cells if c.checkpoints):
        first, last = cell.checkpoints[0], cell.checkpoints[-1]
        parts.append(
            f"Seed {cell.seed}: initial from {share_text(first.eval.initial.p)} at step {first.step} to "
            f"{share_text(last.eval.initial.p)} at step {last.step}; alternate from "
            f"{share_text(first.eval.alternate.p)} to {share_text(last.eval.alternate.p)}; "
            f"degenerate {share_text(last.eval.degenerate.p)} at the end."
        )
    return " ".join(parts)


def _degenerate(axes: Axes, cells: Sequence[CellResult]) -> None:
    for cell in cells:
        known = [(c.step, c.eval.degenerate.p) for c in cell.checkpoints if c.eval.degenerate.p is not None]
        xs, ys = [s for s, _ in known], [p for _, p in known]
        axes.fill_between(xs, 0, ys, color=DEGENERATE, alpha=0.35 / len(cells) + 0.1, linewidth=0, zorder=1)


def _series(
    axes: Axes,
    cells: Sequence[CellResult],
    read: Read,
    colour: str,
    dash: Dash,
    marker: str,
    pooled: Sequence[tuple[int, SeedRate]],
    links: Links,
) -> None:
    width, alpha = (0.7, 0.45) if pooled else (1.5, 1.0)
    for cell in cells:
        known = [c for c in cell.checkpoints if read(c).p is not None]
        xs, ys = [c.step for c in known], [read(c).p or 0.0 for c in known]
        axes.plot(xs, ys, color=colour, linewidth=width, alpha=alpha, linestyle=dash, zorder=3)
        if not pooled:
            _band(axes, xs, [read(c).lo for c in known], [read(c).hi for c in known], colour)
        dots = axes.scatter(xs, ys, s=13, color=colour, marker=marker, linewidth=0.6, edgecolor=PAPER, zorder=4)
        dots.set_urls([links.to(cell, c) for c in known])
    if pooled:
        _mean(axes, pooled, colour, dash)


def _mean(axes: Axes, known: Sequence[tuple[int, SeedRate]], colour: str, dash: Dash) -> None:
    """The mean over seeds with its interval."""
    xs = [s for s, _ in known]
    axes.plot(xs, [r.mean for _, r in known], color=colour, linewidth=1.8, linestyle=dash, zorder=3)
    _band(axes, xs, [r.lo or 0.0 for _, r in known], [1.0 if r.hi is None else r.hi for _, r in known], colour)


def _band(axes: Axes, xs: list[int], lo: list[float], hi: list[float], colour: str) -> None:
    axes.fill_between(xs, lo, hi, color=colour, alpha=0.15, linewidth=0, zorder=2)


def _crossings(axes: Axes, cells: Sequence[CellResult]) -> None:
    for cell in cells:
        step, clean = cell.verdict.first_crossing, cell.verdict.undamaged_crossing
        if step is not None:
            fill = INK if clean == step else "none"
            axes.scatter([step], [1.045], marker="v", s=22, color=fill, edgecolor=INK, linewidth=0.8, zorder=5)
            axes.axvline(step, color=INK, linewidth=0.5, alpha=0.4, zorder=1, ymax=0.955)


KIND = Kind(
    "curves",
    "Rates over training",
    "x axis: training steps, doubling, with step 0 left of 1. Bands: {t.level} intervals of each seed; from"
    " {t.few_seeds} seeds on, of their mean. A point opens the log of its checkpoint.",
    pictures,
)

"""Figure: rates over training steps, one figure per arm and learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report.figures.panel import mean_panel, panel
from lab.report.figures.picture import Kind, Picture, canvas, rate_axis, rows_of, slug, step_axis, windows
from lab.report.figures.style import ALTERNATE, DASHED, DEGENERATE, FAINT, INITIAL, INK, PAPER, Links
from lab.verdict.arms import GROUP, Arm, arms, grouped, groups_by_key, key_of
from lab.verdict.schema import CellResult, CheckpointResult, Flatness, Group, Rate, Results, SeedRate
from lab.verdict.wording import count_text, interval_text, lr_text, names_text, share_text

Dash = str | tuple[int, tuple[float, float]]
Read = Callable[[CheckpointResult], Rate]
Panel = tuple[Arm, list[CellResult], Group | None]
#: More seeds than this are drawn as their mean on a page.
SEEDS = 12


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per arm, learning rate and number of steps."""
    return (_picture(*panel) for panel in _panels_of(results))


def _panels_of(results: Results) -> Iterator[Panel]:
    known = {key: group for key, group in groups_by_key(results).items() if group.steps}
    for arm in arms(results):
        alike = grouped((c for c in arm.cells if c.checkpoints), lambda c: (c.lr, c.steps))
        for _, cells in sorted(alike.items()):
            yield arm, cells, known.get(key_of(cells[0], GROUP))


def _picture(arm: Arm, cells: list[CellResult], group: Group | None) -> Picture:
    lr = lr_text(cells[0].lr)
    text = in_words(cells, group)
    means = partial(mean_panel, group, cells[0].ceiling, text) if group else None
    return Picture(
        key=f"{slug(arm.conclusion.arm)}.curves.{slug(lr)}.{cells[0].steps}",
        title=f"lr {lr}",
        note=_names(cells),
        draw=partial(draw, cells, group),
        text=text,
        rows=tuple(rows_of(cells)),
        conclusion=arm.conclusion,
        lr=cells[0].lr,
        inline=means if means and len(cells) > SEEDS else partial(panel, cells, group, text),
        means=means,
    )


def _names(cells: Sequence[CellResult]) -> str:
    """The seeds of cells and their names: `seeds 0, 1, 2: 2 kept, 1 retained`."""
    few = f"seed{'s' * (len(cells) > 1)} {', '.join(str(c.seed) for c in cells)}"
    seeds = few if len(cells) <= SEEDS else count_text(len(cells), "seed")
    return f"{seeds}: {names_text([named(c) for c in cells])}"


def named(cell: CellResult) -> str:
    """The name of a cell, or its role; with `invalid` where its gate failed."""
    name = (cell.verdict.name or cell.role).replace("_", " ")
    return f"{name} (invalid)" if "invalid" in cell.verdict.flags else name


def draw(cells: Sequence[CellResult], group: Group | None, links: Links) -> Figure:
    """Initial, alternate and degenerate rate over steps, for cells that differ only in seed.

    Bands: the Wilson interval of each seed; with a group, the interval of its mean. Every point opens its log. Dotted
    line: the ceiling a*. Triangles: crossings, hollow where the checkpoint is damaged. Bars: the mean initial rate of a
    seed over its last window, with its interval; of few seeds, whose bars can be told apart.
    """
    figure, axes = canvas((3.5, 2.35), (0.105, 0.155, 0.875, 0.78))
    _draw_on(axes, cells, group, links)
    return figure


def side_by_side(results: Results) -> Iterator[Picture]:
    """One figure per arm with several learning rates: all of them, on one y axis."""
    for panels in grouped(_panels_of(results), lambda panel: id(panel[0].conclusion)).values():
        if len(panels) > 1:
            every = [_picture(*panel) for panel in panels]
            yield replace(
                every[0],
                key=f"{slug(panels[0][0].conclusion.arm)}.curves",
                title="",
                note="",
                draw=partial(_draw_panels, panels),
                text=" ".join(p.text for p in every),
                rows=tuple(row for p in every for row in p.rows),
                lr=None,
            )


def _draw_panels(panels: Sequence[Panel], links: Links) -> Figure:
    """Up to four panels in a row, two columns of a page wide."""
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(7.0, 2.1 * rows), layout="constrained")
    every = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes, (_, cells, group) in zip(every, panels, strict=False):
        _draw_on(axes, cells, group, links, numbers=5)
        axes.set_title(f"lr {lr_text(cells[0].lr)}", fontsize=8, loc="right", color=FAINT)
    for axes in every[len(panels) :]:
        axes.remove()
    return figure


def _draw_on(axes: Axes, cells: Sequence[CellResult], group: Group | None, links: Links, numbers: int = 8) -> None:
    step_axis(axes, [c.step for cell in cells for c in cell.checkpoints], numbers)
    rate_axis(axes, top=1.08)
    _degenerate(axes, cells)
    pooled = group.steps if group else ()
    initial, alternate = [(s.step, s.initial) for s in pooled], [(s.step, s.alternate) for s in pooled]
    _series(axes, cells, lambda c: c.eval.initial, INITIAL, "-", "o", initial, links)
    _series(axes, cells, lambda c: c.eval.alternate, ALTERNATE, DASHED, "s", alternate, links)
    if cells[0].ceiling is not None:
        axes.axhline(cells[0].ceiling, color=ALTERNATE, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)
    _crossings(axes, cells)
    if len(cells) <= SEEDS:
        _windows(axes, cells)


def in_words(cells: Sequence[CellResult], group: Group | None = None) -> str:
    """The first and last rate of every cell; of many cells, of their mean."""
    parts = [f"Rates over training steps at learning rate {lr_text(cells[0].lr)}."]
    if group and len(cells) > SEEDS:
        first, last = group.steps[0], group.steps[-1]
        span = interval_text(last.initial.mean, last.initial.lo, last.initial.hi)
        return f"{parts[0]} Mean of {len(cells)} seeds: initial from {share_text(first.initial.mean)} to {span}."
    for cell in (c for c in cells if c.checkpoints):
        first, last = cell.checkpoints[0], cell.checkpoints[-1]
        parts.append(
            f"Seed {cell.seed}: initial from {share_text(first.eval.initial.p)} at step {first.step} to "
            f"{share_text(last.eval.initial.p)} at step {last.step}; alternate from "
            f"{share_text(first.eval.alternate.p)} to {share_text(last.eval.alternate.p)}; "
            f"degenerate {share_text(last.eval.degenerate.p)} at the end.{_window_text(cell.flatness)}"
        )
    return " ".join(parts)


def _window_text(found: Flatness | None) -> str:
    if found is None:
        return ""
    mean = interval_text(found.mean, found.mean_lo, found.mean_hi)
    return (
        f" Mean initial rate from step {found.from_step} to {found.to_step}: {mean}, {found.state.replace('_', ' ')}."
    )


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


def _windows(axes: Axes, cells: Sequence[CellResult]) -> None:
    for step, _, found in windows(cells):
        reach = [[found.mean - found.mean_lo], [found.mean_hi - found.mean]]
        axes.errorbar([step], [found.mean], reach, fmt="_", color=INK, markersize=4, linewidth=0.9, zorder=6)


KIND = Kind(
    "curves",
    "Rates over training",
    "x axis: training steps, doubling, with step 0 left of 1. Bands: {t.level} intervals of each seed; from"
    " {t.few_seeds} seeds on, of their mean. Bars: mean initial rate of each seed over the last half of its steps, with"
    " its interval. A point opens the log of its checkpoint.",
    pictures,
    x="training step",
    y="share of replies",
    legend=("initial", "alternate", "degenerate", "ceiling", "crossing", "window"),
)

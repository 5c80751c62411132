"""A figure for the report and for `bct report --figures`: its drawing, its description and its data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report.figures.style import ALTERNATE, GRID, INITIAL, Draw
from lab.verdict.schema import CellResult, CheckpointResult, Conclusion, Flatness, Rate, Results

DataRow = dict[str, Any]
#: Rate, colour and marker of the two series that show every seed.
SERIES = (("initial", INITIAL, "o"), ("alternate", ALTERNATE, "s"))


@dataclass(frozen=True)
class Picture:
    """One figure: name of its files, title, drawing, the same in words, and its data.

    `conclusion` is its arm's; `lr` is set where a figure shows one learning rate. `inline`: its markup on a page, from
    the address of a log, where that is not what `draw` draws; `means`: the same with the means over seeds alone.
    `wide`: as wide as two columns of a paper, and scrolled on a narrow screen.
    """

    key: str
    title: str
    note: str
    draw: Draw
    text: str
    rows: tuple[DataRow, ...]
    conclusion: Conclusion | None = None
    lr: float | None = None
    inline: Callable[[Callable[[str], str]], str] | None = None
    means: Callable[[Callable[[str], str]], str] | None = None
    wide: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of figure and its section in the report; `caption` may use `{t}`, the thresholds of the run.

    `x`, `y`, `legend`: names of the axes and of what is drawn, for figures of papers (`paper`).
    """

    name: str
    title: str
    caption: str
    pictures: Callable[[Results], Iterable[Picture]]
    x: str = ""
    y: str = ""
    legend: tuple[str, ...] = ()


def of_cells(kind: str, conclusion: Conclusion, cells: Sequence[CellResult], draw: Draw, text: str) -> Picture:
    """The figure of a kind that shows these cells of an arm."""
    rows = tuple(rows_of(cells))
    return Picture(f"{slug(conclusion.arm)}.{kind}", conclusion.arm, "", draw, text, rows, conclusion)


def slug(text: str) -> str:
    """The text as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "arm"


def rows_of(cells: Iterable[CellResult]) -> Iterator[DataRow]:
    """One row per checkpoint, with everything that the figures of rates draw."""
    for cell in cells:
        for c in cell.checkpoints:
            row: DataRow = {"cell": cell.id, "lr": cell.lr, "seed": cell.seed, "step": c.step}
            row |= {"lr_times_steps": lr_times_steps(cell, c), "n": c.eval.n}
            for outcome in ("initial", "alternate", "degenerate"):
                rate: Rate = getattr(c.eval, outcome)
                row |= {outcome: rate.p, f"{outcome}_lo": rate.lo, f"{outcome}_hi": rate.hi}
            row |= {"capability_relative": c.capability.relative, "ceiling": cell.ceiling}
            for name in ("from_step", "mean", "mean_lo", "mean_hi"):
                row[f"flat_{name}"] = getattr(cell.flatness, name, None)
            yield row | {"name": c.name, "flags": " ".join(c.flags), "log": c.log}


def windows(cells: Sequence[CellResult]) -> Iterator[tuple[float, CellResult, Flatness]]:
    """The last windows of the cells that have one, each with a step within it for its bar, next to those of others."""
    known = [(cell, cell.flatness) for cell in cells if cell.flatness]
    for i, (cell, found) in enumerate(known):
        yield found.from_step * (found.to_step / found.from_step) ** ((i + 0.5) / len(known)), cell, found


def last_rates(cells: Iterable[CellResult], outcome: str) -> list[tuple[CellResult, CheckpointResult, float]]:
    """The rate of an outcome at the last checkpoint of each cell, where it is known."""
    ends = [(cell, cell.checkpoints[-1]) for cell in cells]
    return [(cell, c, p) for cell, c in ends if (p := getattr(c.eval, outcome).p) is not None]


def lr_times_steps(cell: CellResult, checkpoint: CheckpointResult) -> float:
    """The sum of learning rates up to a checkpoint: lr × steps where the rate is constant."""
    return cell.lr * checkpoint.step if checkpoint.sum_lr is None else checkpoint.sum_lr


def canvas(inches: tuple[float, float], place: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A figure with its axes at left, bottom, width and height, as shares of the figure."""
    figure = Figure(figsize=inches)
    return figure, figure.add_axes(place)


def bare(axes: Axes) -> None:
    """Removes the frame except for the lower axis."""
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def rate_axis(axes: Axes, top: float = 1.05) -> None:
    """Rates from 0 to 1 on the y axis, with a grid."""
    bare(axes)
    axes.set(ylim=(-0.03, top))
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.grid(True, axis="y", color=GRID)
    axes.set_axisbelow(True)


def step_axis(axes: Axes, steps: Sequence[int], most: int = 8) -> None:
    """Steps on a logarithmic x axis, with room for step 0 left of 1; at most so many have a number."""
    last = max([*steps, 1])
    axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.8)
    axes.set(xlim=(-0.12, last * 1.12))
    ticks = [0, *(2**i for i in range(last.bit_length()))]
    while len(ticks) > most:
        ticks = [0, *ticks[1::2]]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()

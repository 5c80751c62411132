"""Figure: which kind of seed the spread between runs comes from, one figure per arm whose seeds vary by kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from matplotlib.figure import Figure

from lab.report.figures.picture import DataRow, Kind, Picture, canvas, rate_axis, slug
from lab.report.figures.style import FAINT, INITIAL, INK, Links
from lab.verdict.schema import Results, Variances
from lab.verdict.wording import lr_text, share_text


def pictures(results: Results) -> Iterator[Picture]:
    """One figure for the initial rate of each group."""
    for found in results.variances:
        if found.rate == "initial":
            name = ", ".join(str(found.key[part]) for part in ("setting", "variant", "method"))
            title = f"{name}, lr {lr_text(found.key['lr'])}"
            data = tuple(DataRow(run) for run in found.runs)
            yield Picture(f"{slug(title)}.variances", title, "", partial(draw, found), in_words(found), data)


def draw(found: Variances, links: Links) -> Figure:
    """A column per kind of seed: runs as rings, and the mean of each seed of that kind as a dot."""
    figure, axes = canvas((4.2, 2.8), (0.1, 0.31, 0.88, 0.66))
    rate_axis(axes)
    for x, component in enumerate(found.components):
        seeds = sorted({run[component.kind] for run in found.runs})
        for i, seed in enumerate(seeds):
            rates = [run["rate"] for run in found.runs if run[component.kind] == seed]
            place = x + 0.6 * ((i + 0.5) / len(seeds) - 0.5)
            axes.plot([place] * len(rates), rates, "o", color=FAINT, markersize=3, fillstyle="none", zorder=3)
            axes.plot([place], [sum(rates) / len(rates)], "o", color=INITIAL, markersize=4.5, zorder=4)
    axes.axhline(found.mean, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(found.components)), [_label(found, i) for i in range(len(found.components))])
    axes.set(xlim=(-0.5, len(found.components) - 0.5))
    return figure


def _label(found: Variances, i: int) -> str:
    component = found.components[i]
    return f"{component.kind}\nsd {share_text(math.sqrt(component.variance))}\n{100 * component.share:.0f} %"


def in_words(found: Variances) -> str:
    """Standard deviation of each kind, with its interval and its share."""
    parts = [
        f"{c.kind}: standard deviation {share_text(math.sqrt(c.variance))}"
        f" [{share_text(math.sqrt(c.lo))}, {share_text(math.sqrt(c.hi))}], {100 * c.share:.0f} % of the variance"
        for c in found.components
    ]
    sampling = f"sampling of items: {share_text(math.sqrt(found.sampling))}"
    return f"Mean initial rate {share_text(found.mean)} over {len(found.runs)} runs. {'; '.join([*parts, sampling])}."


KIND = Kind(
    "variances",
    "Where the spread between runs comes from",
    "Initial rate at the last checkpoint of every run (rings), by the seed of one kind; dots are the means of each"
    " seed, the line is the mean of all. sd: standard deviation that this kind of seed adds, and its share of the"
    " variance between runs.",
    pictures,
    y="initial rate at the last checkpoint",
)

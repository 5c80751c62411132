"""The pictures of the report, as inline SVG: curves of one group, and capability against the initial rate.

Colours are CSS variables of the page, so that light, dark and print need one picture; text stays text. The
same results give the same bytes. Shapes and dashes differ with the colours. Not covered: maps and tables,
which are HTML (`lab.report.html`).
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import context

from lab.verdict.schema import CellResult, CheckpointResult, Rate, Thresholds
from lab.verdict.seeds import seed_rate
from lab.verdict.wording import lr_text, rate_text, share_text

# Stand-ins that no other element uses; each becomes a CSS variable of the page.
INK, FAINT, GRID, PAPER = "#010a01", "#010a02", "#010a03", "#010a04"
INITIAL, ALTERNATE, DEGENERATE = "#010a05", "#010a06", "#010a07"
VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    GRID: "--rule",
    PAPER: "--paper",
    INITIAL: "--initial",
    ALTERNATE: "--alternate",
    DEGENERATE: "--degenerate",
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bct",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.0,
    "xtick.major.size": 3,
    "grid.linewidth": 0.5,
}
NOT_OF_THE_PAGE = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->| font-family: [^;\"]+;", re.S)
DASHED = (0, (4, 1.6))


@dataclass
class Points:
    """Links of drawn points: matplotlib gets a stand-in, the SVG the link and its tooltip; none where not `linked`."""

    found: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    linked: bool = True

    def link(self, cell: CellResult, checkpoint: CheckpointResult) -> str | None:
        """What to give to matplotlib as the url of a point."""
        if not self.linked:
            return None
        e = checkpoint.eval
        tip = (
            f"step {checkpoint.step}, seed {cell.seed}: initial {rate_text(e.initial)}, "
            f"alternate {rate_text(e.alternate)}, n {e.n}. Opens {checkpoint.log}"
        )
        self.found.append((checkpoint.log, tip))
        return f"point:{len(self.found) - 1}:"

    def place(self, svg: str) -> str:
        """The SVG with the links in place of the stand-ins."""

        def anchor(match: re.Match[str]) -> str:
            log, tip = self.found[int(match[1])]
            link = html.escape(quote(log), quote=True)
            return f'<a href="{link}" tabindex="-1"><title>{html.escape(tip)}</title>'

        return re.sub(r'<a xlink:href="point:(\d+):"[^>]*>', anchor, svg)


def picture(draw: Callable[[Points], Figure], name: str, text: str) -> str:
    """A drawing as an element of the page, with its links."""
    points = Points()
    with context(["default", STYLE]):
        return points.place(as_svg(draw(points), name, text))


def draw_curves(cells: Sequence[CellResult], thresholds: Thresholds, points: Points) -> Figure:
    """Initial, alternate and degenerate rate over steps for cells that differ in seed alone.

    Bands: each seed's Wilson interval with one or two seeds; t over seeds around the mean from
    `few_seeds` on. Every seed's points are drawn, and open their log. Dotted: the ceiling a*. Triangles at
    the top: crossings, hollow when damaged.
    """
    figure = Figure(figsize=(3.5, 2.35))
    axes = figure.add_axes((0.105, 0.155, 0.875, 0.78))
    frame(axes, [c.step for cell in cells for c in cell.checkpoints])
    _degenerate(axes, cells)
    _series(axes, cells, lambda c: c.eval.initial, INITIAL, "-", "o", thresholds, points)
    _series(axes, cells, lambda c: c.eval.alternate, ALTERNATE, DASHED, "s", thresholds, points)
    _ceiling(axes, cells)
    _crossings(axes, cells)
    return figure


def curves_text(cells: Sequence[CellResult]) -> str:
    """The curves in words, for who does not see them."""
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


def draw_trade(cells: Sequence[CellResult], thresholds: Thresholds, points: Points) -> Figure:
    """Relative capability against initial rate: one path per cell from step 0 on, and the line of damage."""
    figure = Figure(figsize=(3.5, 2.6))
    axes = figure.add_axes((0.13, 0.17, 0.85, 0.79))
    top = max([1.1, *(c.capability.relative or 0 for cell in cells for c in cell.checkpoints)]) + 0.05
    bare(axes)
    axes.set(xlim=(-0.03, 1.03), ylim=(0, top), xlabel="initial rate", ylabel="capability, of step 0")
    axes.xaxis.set_major_formatter(lambda v, _: share_text(v) if v else "0")
    axes.yaxis.set_major_formatter(lambda v, _: share_text(v) if v else "0")
    axes.grid(True, color=GRID)
    axes.axhline(1 - thresholds.capability_drop, color=FAINT, linewidth=0.8, linestyle=":")
    rates = sorted({c.lr for c in cells})
    for cell in cells:
        _path(axes, cell, rates, points)
    for lr in rates:
        _label(axes, next(c for c in cells if c.lr == lr))
    return figure


def trade_text(cells: Sequence[CellResult]) -> str:
    """The paths in words."""
    parts = ["Capability relative to step 0 against the initial rate, at the last checkpoint."]
    for cell in (c for c in cells if c.checkpoints):
        last = cell.checkpoints[-1]
        where = f"initial {share_text(last.eval.initial.p)}, capability {share_text(last.capability.relative)}"
        parts.append(f"lr {lr_text(cell.lr)}, seed {cell.seed}: {where}.")
    return " ".join(parts)


def frame(axes: Axes, steps: Sequence[int]) -> None:
    """Rates upwards; steps on a log axis on which 0 has a place of its own, left of 1."""
    last = max([*steps, 1])
    axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.8)
    axes.set(ylim=(-0.03, 1.08), xlim=(-0.12, last * 1.12))
    ticks = [0, *(2**i for i in range(last.bit_length()))]
    while len(ticks) > 8:
        ticks = [0, *ticks[1::2]]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.grid(True, axis="y", color=GRID)
    axes.set_axisbelow(True)
    bare(axes)


def bare(axes: Axes) -> None:
    """No frame but the axis below."""
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _degenerate(axes: Axes, cells: Sequence[CellResult]) -> None:
    for cell in cells:
        known = [(c.step, c.eval.degenerate.p) for c in cell.checkpoints if c.eval.degenerate.p is not None]
        xs, ys = [s for s, _ in known], [p for _, p in known]
        axes.fill_between(xs, 0, ys, color=DEGENERATE, alpha=0.35 / len(cells) + 0.1, linewidth=0, zorder=1)


def _series(
    axes: Axes,
    cells: Sequence[CellResult],
    read: Callable[[CheckpointResult], Rate],
    colour: str,
    dash: str | tuple[int, tuple[float, float]],
    marker: str,
    thresholds: Thresholds,
    points: Points,
) -> None:
    pooled = len(cells) >= thresholds.few_seeds
    for cell in cells:
        known = [c for c in cell.checkpoints if read(c).p is not None]
        xs, ys = [c.step for c in known], [read(c).p or 0.0 for c in known]
        width, alpha = (0.7, 0.45) if pooled else (1.5, 1.0)
        axes.plot(xs, ys, color=colour, linewidth=width, alpha=alpha, linestyle=dash, zorder=3)
        if not pooled:
            lo, hi = [read(c).lo for c in known], [read(c).hi for c in known]
            axes.fill_between(xs, lo, hi, color=colour, alpha=0.15, linewidth=0, zorder=2)
        dots = axes.scatter(xs, ys, s=13, color=colour, marker=marker, linewidth=0.6, edgecolor=PAPER, zorder=4)
        dots.set_urls([points.link(cell, c) for c in known])
    if pooled:
        _mean(axes, cells, read, colour, dash, thresholds)


def _mean(
    axes: Axes,
    cells: Sequence[CellResult],
    read: Callable[[CheckpointResult], Rate],
    colour: str,
    dash: str | tuple[int, tuple[float, float]],
    thresholds: Thresholds,
) -> None:
    """The mean over seeds with its t interval, at the steps that every seed has."""
    by_step = [{c.step: read(c).p for c in cell.checkpoints} for cell in cells]
    shared = sorted(set.intersection(*(set(steps) for steps in by_step)))
    values = {s: [p for steps in by_step if (p := steps[s]) is not None] for s in shared}
    known = [(s, seed_rate(v, thresholds)) for s, v in values.items() if len(v) == len(cells)]
    xs = [s for s, _ in known]
    axes.plot(xs, [r.mean for _, r in known], color=colour, linewidth=1.8, linestyle=dash, zorder=3)
    lo, hi = [r.lo or 0.0 for _, r in known], [1.0 if r.hi is None else r.hi for _, r in known]
    axes.fill_between(xs, lo, hi, color=colour, alpha=0.15, linewidth=0, zorder=2)


def _ceiling(axes: Axes, cells: Sequence[CellResult]) -> None:
    ceiling = cells[0].ceiling
    if ceiling is not None:
        axes.axhline(ceiling, color=ALTERNATE, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)


def _crossings(axes: Axes, cells: Sequence[CellResult]) -> None:
    for cell in cells:
        step, clean = cell.verdict.first_crossing, cell.verdict.undamaged_crossing
        if step is not None:
            fill = INK if clean == step else "none"
            axes.scatter([step], [1.045], marker="v", s=22, color=fill, edgecolor=INK, linewidth=0.8, zorder=5)
            axes.axvline(step, color=INK, linewidth=0.5, alpha=0.4, zorder=1, ymax=0.955)


def _path(axes: Axes, cell: CellResult, rates: list[float], points: Points) -> None:
    known = [c for c in cell.checkpoints if c.eval.initial.p is not None and c.capability.relative is not None]
    if not known:
        return
    xs, ys = [c.eval.initial.p or 0.0 for c in known], [c.capability.relative or 0.0 for c in known]
    share = rates.index(cell.lr) / max(1, len(rates) - 1)
    axes.plot(xs, ys, color=INK, linewidth=0.6 + 1.2 * share, alpha=0.5 + 0.4 * share, zorder=3)
    dots = axes.scatter(xs, ys, s=9, color=INK, zorder=4, linewidth=0)
    dots.set_urls([points.link(cell, c) for c in known])
    axes.scatter(xs[:1], ys[:1], s=34, facecolor=PAPER, edgecolor=INK, linewidth=1, zorder=5)


def _label(axes: Axes, cell: CellResult) -> None:
    """The learning rate, once, at the end of a path."""
    last = cell.checkpoints[-1]
    end = (last.eval.initial.p or 0.0, last.capability.relative or 0.0)
    axes.annotate(lr_text(cell.lr), end, (3, -10), textcoords="offset points", fontsize=8, color=FAINT)


def as_svg(figure: Figure, name: str, text: str) -> str:
    """The figure as an element of the page: its own ids, CSS colours, the page's font, a text alternative."""
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = NOT_OF_THE_PAGE.sub("", svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = _sizeless(_own_ids(svg, name)).strip()
    # An image may hold no links for those who hear the page; a group may.
    role = "group" if "<a " in svg else "img"
    return svg.replace("<svg", f'<svg role="{role}" aria-label="{html.escape(text, quote=True)}"', 1)


def _sizeless(svg: str) -> str:
    """Width and height are the page's; only the viewBox stays."""
    head, rest = svg.split(">", 1)
    return re.sub(r'\s(?:width|height)="[^"]*"', "", head) + ">" + rest


def _own_ids(svg: str, name: str) -> str:
    """Ids are unique in the page; those that nothing refers to are dropped."""
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r'\sid="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)

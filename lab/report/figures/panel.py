"""The rates over training of one arm and learning rate, as the small SVG that report.html shows.

Own markup instead of matplotlib's, by measurement: 2-4 KB and 0.3 ms a panel against 14 KB and 60 ms, which decides
the size of a report of many cells; its parts have classes, so that a page can hide an outcome and colours follow the
theme. Files for papers are drawn by `curves` with matplotlib from the same results.
Not covered: the style sheet of the classes (`report.css.j2`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from markupsafe import escape

from lab.report.figures.picture import windows
from lab.verdict.schema import CellResult, CheckpointResult, Group, GroupStep, Rate, SeedRate
from lab.verdict.wording import interval_text, rate_text

#: Size of a panel, and its axes: left, right, top, bottom.
WIDTH, HEIGHT = 320, 196
LEFT, RIGHT, TOP, BOTTOM = 26, 312, 22, 160
#: Series: name, class, and radius of a dot.
SERIES = (("initial", "i"), ("alternate", "a"))
Point = tuple[float, float]


def panel(cells: Sequence[CellResult], group: Group | None, text: str, address: Callable[[str], str]) -> str:
    """The figure as an SVG element: a line per seed; with a group, the mean of its seeds and its interval.

    Args:
        cells: Differ only in seed.
        group: Their group, where it has intervals.
        text: The figure in words, for screen readers.
        address: From a log of results.json to the address that a point opens.
    """
    x = _Steps([c.step for cell in cells for c in cell.checkpoints])
    parts = [
        _axes(x),
        *(_degenerate(cell, x) for cell in cells),
        *_series(cells, group, x, address),
        _ceiling(cells[0].ceiling),
        *(_crossing(cell, x) for cell in cells),
        *_windows(cells, x),
    ]
    body = "".join(parts)
    head = f'<svg class="panel" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{escape(text)}">'
    return f"{head}{body}</svg>"


def mean_panel(group: Group, ceiling: float | None, text: str, _: Callable[[str], str]) -> str:
    """The means over seeds alone, for a page of many cells; their points open no log."""
    x = _Steps([step.step for step in group.steps])
    drawn = "".join(f'<g class="{kind}">{_mean(group.steps, name, x)}</g>' for name, kind in reversed(SERIES))
    head = f'<svg class="panel" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(text)}">'
    return f"{head}{_axes(x)}{drawn}{_ceiling(ceiling)}</svg>"


class _Steps:
    """The x axis: step 0, then doublings."""

    def __init__(self, steps: Sequence[int]) -> None:
        self.last = max([*steps, 1])
        self.unit = (RIGHT - LEFT - 8) / (1 + math.log2(self.last))

    def __call__(self, step: float) -> float:
        return LEFT + 4 + (self.unit * (1 + math.log2(step)) if step else 0.0)

    def ticks(self) -> list[int]:
        ticks = [0, *(2**i for i in range(self.last.bit_length()))]
        while len(ticks) > 8:
            ticks = [0, *ticks[1::2]]
        return ticks


def _y(rate: float) -> float:
    return BOTTOM - rate * (BOTTOM - TOP)


def _path(points: Sequence[Point], closed: bool = False) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def _axes(x: _Steps) -> str:
    lines = "".join(f"M{LEFT} {_y(v):.1f}H{RIGHT}" for v in (0, 0.5, 1))
    ticks = "".join(f'<text x="{x(t):.1f}" y="{BOTTOM + 14}">{t:,}</text>' for t in x.ticks())
    rates = "".join(
        f'<text class="y" x="{LEFT - 5}" y="{_y(v) + 4:.1f}">{label}</text>'
        for v, label in ((0, "0"), (0.5, ".5"), (1, "1"))
    )
    names = f'<text x="{(LEFT + RIGHT) / 2:.0f}" y="{HEIGHT - 4}">training step</text>'
    names += '<text class="n" x="0" y="10">share of replies to eval prompts</text>'
    return f'<path class="grid" d="{lines}"/><g class="ax" aria-hidden="true">{ticks}{rates}{names}</g>'


def _series(
    cells: Sequence[CellResult], group: Group | None, x: _Steps, address: Callable[[str], str]
) -> Iterator[str]:
    """The alternate series below the initial one."""
    pooled = group.steps if group else ()
    for name, kind in reversed(SERIES):
        drawn = "".join(_seed(cell, name, x, address, alone=not pooled) for cell in cells)
        yield f'<g class="{kind}{" many" if pooled else ""}">{drawn}{_mean(pooled, name, x) if pooled else ""}</g>'


def _seed(cell: CellResult, name: str, x: _Steps, address: Callable[[str], str], alone: bool) -> str:
    known = [(c, rate) for c in cell.checkpoints if (rate := _rate(c, name)).p is not None]
    if not known:
        return ""
    line = _path([(x(c.step), _y(rate.p or 0.0)) for c, rate in known])
    band = _band([(x(c.step), rate.lo, rate.hi) for c, rate in known]) if alone else ""
    dots = "".join(_dot(cell, c, name, rate, x, address) for c, rate in known)
    return f'{band}<path class="ln" d="{line}"/>{dots}'


def _rate(checkpoint: CheckpointResult, name: str) -> Rate:
    return checkpoint.eval.initial if name == "initial" else checkpoint.eval.alternate


def _dot(cell: CellResult, c: CheckpointResult, name: str, rate: Rate, x: _Steps, address: Callable[[str], str]) -> str:
    tip = f"step {c.step:,}, seed {cell.seed}: {name} {rate_text(rate)}, n {c.eval.n}"
    at, y = x(c.step), _y(rate.p or 0.0)
    shape = (
        f'<circle cx="{at:.1f}" cy="{y:.1f}" r="2.7"/>'
        if name == "initial"
        else f'<path d="M{at - 2.5:.1f} {y - 2.5:.1f}h5v5h-5z"/>'
    )
    return f'<a href="{escape(address(c.log))}" tabindex="-1"><title>{escape(tip)}</title>{shape}</a>'


def _mean(steps: Sequence[GroupStep], name: str, x: _Steps) -> str:
    known: list[tuple[int, SeedRate]] = [(s.step, getattr(s, name)) for s in steps]
    line = _path([(x(step), _y(rate.mean)) for step, rate in known])
    band = _band([(x(s), r.lo or 0.0, 1.0 if r.hi is None else r.hi) for s, r in known])
    tips = "".join(_mean_dot(step, name, rate, x) for step, rate in known)
    return f'{band}<path class="mean" d="{line}"/>{tips}'


def _mean_dot(step: int, name: str, rate: SeedRate, x: _Steps) -> str:
    span = interval_text(rate.mean, rate.lo, rate.hi)
    tip = f"step {step:,}: mean {name} {span} over {len(rate.values)} seeds"
    return f'<circle class="m" cx="{x(step):.1f}" cy="{_y(rate.mean):.1f}" r="4"><title>{tip}</title></circle>'


def _band(known: Sequence[tuple[float, float, float]]) -> str:
    low, high = [(x, _y(lo)) for x, lo, _ in known], [(x, _y(hi)) for x, _, hi in known]
    return f'<path class="bd" d="{_path([*low, *reversed(high)], closed=True)}"/>'


def _degenerate(cell: CellResult, x: _Steps) -> str:
    known = [(x(c.step), _y(p)) for c in cell.checkpoints if (p := c.eval.degenerate.p) is not None]
    if all(y == _y(0) for _, y in known):
        return ""
    area = [(known[0][0], _y(0)), *known, (known[-1][0], _y(0))]
    return f'<path class="d" d="{_path(area, closed=True)}"/>'


def _ceiling(ceiling: float | None) -> str:
    return "" if ceiling is None else f'<path class="top" d="M{LEFT} {_y(ceiling):.1f}H{RIGHT}"/>'


def _crossing(cell: CellResult, x: _Steps) -> str:
    step = cell.verdict.first_crossing
    if step is None:
        return ""
    hollow = "" if cell.verdict.undamaged_crossing == step else " open"
    return (
        f'<path class="x{hollow}" d="M{x(step) - 4:.1f} {TOP - 9}h8l-4 6z">'
        f"<title>seed {cell.seed}: gone from step {step:,} on for two checkpoints</title></path>"
    )


def _windows(cells: Sequence[CellResult], x: _Steps) -> Iterator[str]:
    """The mean of each seed over its last window, with its interval."""
    for step, cell, found in windows(cells):
        mean = interval_text(found.mean, found.mean_lo, found.mean_hi)
        tip = f"seed {cell.seed}, steps {found.from_step:,} to {found.to_step:,}: mean initial {mean}, "
        bar = f"M{x(step):.1f} {_y(found.mean_lo):.1f}V{_y(found.mean_hi):.1f}M{x(step) - 3:.1f} {_y(found.mean):.1f}h6"
        yield f'<path class="w" d="{bar}"><title>{tip}{found.state.replace("_", " ")}</title></path>'

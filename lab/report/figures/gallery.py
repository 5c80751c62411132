"""Every picture of an experiment, each with its data: what the report shows and what `bct report --figures` writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from lab.report.figures import overview, sweeps
from lab.report.figures.curves import Points, curves_text, draw_curves, draw_trade, trade_text
from lab.report.figures.robustness import draw, figure_text
from lab.verdict.arms import alike, arms, but_for_rows, by_lr
from lab.verdict.robustness import Robustness, organisms
from lab.verdict.schema import CellResult, Conclusion, Rate, Results
from lab.verdict.wording import lr_text, robustness_text

Row = dict[str, Any]
KINDS = ("curves", "heat", "product", "seeds", "halves", "trade")


@dataclass(frozen=True)
class Picture:
    """One figure: what it is called, how it is drawn, what it says in words, and its data."""

    key: str
    kind: str
    title: str
    note: str
    draw: Callable[[Points], Figure]
    text: str
    rows: tuple[Row, ...]


def of_arms(results: Results) -> list[tuple[Conclusion, list[CellResult], list[Picture]]]:
    """Every arm with its cells and its pictures."""
    found = arms(results)
    groups = alike(found)
    shown: list[tuple[Conclusion, list[CellResult], list[Picture]]] = []
    for conclusion, cells in found:
        others = [c for _, more in groups[but_for_rows(cells[0])] if more is not cells for c in more]
        shown.append((conclusion, cells, _of_arm(results, conclusion, cells, [*cells, *others])))
    return shown


def _of_arm(
    results: Results, conclusion: Conclusion, cells: Sequence[CellResult], together: Sequence[CellResult]
) -> list[Picture]:
    """The pictures of one arm that its cells can fill; `together`: with those of arms alike."""
    done = [c for c in cells if c.checkpoints]
    rates = by_lr(done)
    name = slug(conclusion.arm)
    found = [_curves(results, name, members) for members in _panels(done)]
    if len(rates) > 1:
        found.append(_sweep(name, "heat", conclusion.arm, done, sweeps.draw_heat, sweeps.heat_text))
        shown = [c for c in together if c.checkpoints]
        found.append(_sweep(name, "product", conclusion.arm, shown, sweeps.draw_product, sweeps.product_text))
    if any(len(members) > 1 for members in rates.values()):
        found.append(_sweep(name, "seeds", conclusion.arm, done, sweeps.draw_seeds, sweeps.seeds_text))
    if conclusion.halves:
        chosen = partial(sweeps.draw_halves, conclusion)
        rows = tuple(h.model_dump() | {"lr": conclusion.lr, "chosen_step": conclusion.step} for h in conclusion.halves)
        where = f"lr {lr_text(conclusion.lr or 0.0)}, step {conclusion.step}"
        text = sweeps.halves_text(conclusion)
        found.append(Picture(f"{name}.halves", "halves", conclusion.arm, where, chosen, text, rows))
    if capable := [c for c in done if any(k.capability.relative is not None for k in c.checkpoints)]:
        drawn = partial(draw_trade, capable, results.thresholds)
        rows = tuple(rows_of(capable))
        found.append(Picture(f"{name}.trade", "trade", conclusion.arm, "", drawn, trade_text(capable), rows))
    return found


def of_all(results: Results) -> list[Picture]:
    """All arms at a glance, one picture per learning rate; none where there are few."""
    lines = overview.named([(conclusion.arm, cells) for conclusion, cells in arms(results)])
    found: list[Picture] = []
    for lr, shown in overview.by_rate(lines).items():
        drawn = partial(overview.draw_overview, shown)
        rows = tuple(rows_of(cell for _, cells in shown for cell in cells))
        text, key = overview.overview_text(lr, shown), f"all.{slug(lr_text(lr))}"
        found.append(Picture(key, "overview", f"lr {lr_text(lr)}", f"{len(shown)} arms", drawn, text, rows))
    return found


def of_organisms(results: Results) -> list[Picture]:
    """Robustness, one picture per organism."""
    return [_robustness(found) for found in organisms(results)]


def everything(results: Results) -> list[Picture]:
    """All pictures, in the order of the report; keys are unique."""
    found = [picture for _, _, pictures in of_arms(results) for picture in pictures]
    keys: dict[str, int] = {}
    unique: list[Picture] = []
    for picture in (*of_all(results), *found, *of_organisms(results)):
        keys[picture.key] = keys.get(picture.key, 0) + 1
        again = f"{picture.key}.{keys[picture.key]}" if keys[picture.key] > 1 else picture.key
        unique.append(Picture(**{**vars(picture), "key": again}))
    return unique


def slug(text: str) -> str:
    """A name for a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "arm"


def rows_of(cells: Iterable[CellResult]) -> Iterable[Row]:
    """One row per checkpoint, with what the pictures of rates draw."""
    for cell in cells:
        for c in cell.checkpoints:
            row: Row = {"cell": cell.id, "lr": cell.lr, "seed": cell.seed, "step": c.step}
            row |= {"lr_times_steps": sweeps.product(cell, c), "n": c.eval.n}
            for outcome in ("initial", "alternate", "degenerate"):
                rate: Rate = getattr(c.eval, outcome)
                row |= {outcome: rate.p, f"{outcome}_lo": rate.lo, f"{outcome}_hi": rate.hi}
            row |= {"capability_relative": c.capability.relative, "ceiling": cell.ceiling}
            yield row | {"name": c.name, "flags": " ".join(c.flags), "log": c.log}


def _panels(cells: Sequence[CellResult]) -> list[list[CellResult]]:
    groups: dict[tuple[float, int], list[CellResult]] = {}
    for cell in cells:
        groups.setdefault((cell.lr, cell.steps), []).append(cell)
    return [members for _, members in sorted(groups.items())]


def _curves(results: Results, name: str, cells: list[CellResult]) -> Picture:
    seeds = ", ".join(str(c.seed) for c in cells)
    names = [(c.verdict.name or c.role).replace("_", " ") for c in cells]
    title = f"lr {lr_text(cells[0].lr)}"
    note = f"seed{'s' * (len(cells) > 1)} {seeds}: {', '.join(dict.fromkeys(names))}"
    drawn = partial(draw_curves, cells, results.thresholds)
    key = f"{name}.curves.{slug(lr_text(cells[0].lr))}.{cells[0].steps}"
    return Picture(key, "curves", title, note, drawn, curves_text(cells), tuple(rows_of(cells)))


def _sweep(
    name: str,
    kind: str,
    title: str,
    cells: Sequence[CellResult],
    drawing: Callable[[Sequence[CellResult], Points], Figure],
    words: Callable[[Sequence[CellResult]], str],
) -> Picture:
    return Picture(f"{name}.{kind}", kind, title, "", partial(drawing, cells), words(cells), tuple(rows_of(cells)))


def _robustness(found: Robustness) -> Picture:
    points = [{"kind": "checkpoint", **{k: getattr(p, k) for k in ("cell", "step")}} for p in found.points]
    rows = [row | {"rate": p.rate, "capability": p.capability} for row, p in zip(points, found.points, strict=True)]
    rows += [{"kind": "hull", "cell": "", "step": "", "rate": x, "capability": y} for x, y in found.hull]
    key = f"{slug(found.name)}.robustness"

    def drawn(points: Points) -> Figure:
        return draw(found)

    return Picture(key, "robustness", found.name, robustness_text(found), drawn, figure_text(found), tuple(rows))

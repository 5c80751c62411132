"""All arms of a run at a glance: one picture per learning rate, a line per arm, both rates at the last checkpoint.

Not covered: controls and probes, which get no verdict, and what happened on the way there
(`lab.report.figures.curves`).
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from lab.report.figures.curves import ALTERNATE, GRID, INITIAL, INK, PAPER, Points, bare
from lab.verdict.arms import by_lr
from lab.verdict.schema import CellResult
from lab.verdict.wording import lr_text, share_text

FEWEST = 4  # arms; fewer are seen at once in their own pictures
LONGEST = 26  # characters of a name for which there is room
Line = tuple[str, list[CellResult]]
SHAPES = ((0.17, INITIAL, "o", "initial"), (-0.17, ALTERNATE, "s", "alternate"))


def by_rate(arms: Sequence[Line]) -> dict[float, list[Line]]:
    """Arms with their cells, by learning rate; a learning rate that fewer than four arms have is left out."""
    found: dict[float, list[Line]] = {}
    for name, cells in arms:
        for lr, members in by_lr(cells).items() if cells[0].role == "bct" else ():
            found.setdefault(lr, []).append((name, members))
    return {lr: lines for lr, lines in sorted(found.items()) if len(lines) >= FEWEST}


def named(arms: Sequence[Line]) -> list[Line]:
    """The arms by what tells them apart: without the parts of the name that all have, and no longer than is needed."""
    parts = [name.removeprefix("labels ").replace(", labels ", ", ").split(", ") for name, _ in arms]
    shared = set(parts[0]).intersection(*parts[1:]) if len(parts) > 1 else set[str]()
    own = [[part for part in each if part not in shared] or each for each in parts]
    return [(_shortest(each, own), cells) for each, (_, cells) in zip(own, arms, strict=True)]


def _shortest(parts: list[str], of: Sequence[list[str]]) -> str:
    """The fewest leading parts that no other arm has."""
    n = next((i for i in range(1, len(parts)) if sum(other[:i] == parts[:i] for other in of) == 1), len(parts))
    return ", ".join(parts[:n])


def draw_overview(lines: Sequence[Line], points: Points) -> Figure:
    """Initial (circles) and alternate (squares) rate of every seed, hollow where damaged; a bar at the mean."""
    inches = 0.45 + 0.26 * len(lines)
    figure = Figure(figsize=(3.5, inches))
    axes = figure.add_axes((0.5, 0.4 / inches, 0.48, 1 - 0.45 / inches))
    bare(axes)
    for y, (_, cells) in enumerate(reversed(lines)):
        for shift, colour, marker, name in SHAPES:
            ends = [(c, c.checkpoints[-1], getattr(c.checkpoints[-1].eval, name).p) for c in cells]
            known = [(c, end, p) for c, end, p in ends if p is not None]
            fills = [PAPER if "damaged" in c.verdict.flags else colour for c, _, _ in known]
            dots = axes.scatter([p for *_, p in known], [y + shift] * len(known), s=15, marker=marker, facecolor=fills,
                                edgecolor=colour, linewidth=0.8, zorder=3)  # fmt: skip
            dots.set_urls([points.link(c, end) for c, end, _ in known])
            if len(known) > 1:
                mean = sum(p for *_, p in known) / len(known)
                axes.plot([mean, mean], [y + shift - 0.15, y + shift + 0.15], color=INK, linewidth=1.2, zorder=4)
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.6, len(lines) - 0.4))
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name, _ in reversed(lines)]
    axes.set_yticks(range(len(lines)), names, fontsize=7.5, color=INK)
    axes.grid(True, axis="both", color=GRID)
    axes.set_axisbelow(True)
    return figure


def overview_text(lr: float, lines: Sequence[Line]) -> str:
    """The picture in words."""
    told = [f"{name}: {_shares(cells, 'initial')} and {_shares(cells, 'alternate')}" for name, cells in lines]
    return f"Initial and alternate rate of each seed at its last checkpoint, lr {lr_text(lr)}. {'; '.join(told)}."


def _shares(cells: Sequence[CellResult], name: str) -> str:
    return ", ".join(share_text(getattr(c.checkpoints[-1].eval, name).p) for c in cells)

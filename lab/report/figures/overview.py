"""Figure: all arms of a run at their last checkpoint, one figure per learning rate.

Not covered: controls and probes, which get no verdict, and checkpoints before the last (`curves`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report.figures.picture import SERIES, Kind, Picture, bare, canvas, last_rates, rows_of, slug
from lab.report.figures.style import GRID, INK, PAPER, Links
from lab.verdict.arms import arms, by_lr
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import lr_text, share_text

#: Fewer arms need no overview.
FEWEST = 4
#: Most characters of an arm's name that fit.
LONGEST = 26
Line = tuple[str, list[CellResult]]
#: Places of the two series, in the order of `SERIES`.
SHIFTS = (0.17, -0.17)


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per learning rate that at least `FEWEST` arms have."""
    lines = named([(conclusion.arm, cells) for conclusion, cells in arms(results)])
    for lr, shown in by_rate(lines).items():
        yield Picture(
            key=f"all.{slug(lr_text(lr))}",
            title=f"lr {lr_text(lr)}",
            note=f"{len(shown)} arms",
            draw=partial(draw, shown),
            text=in_words(lr, shown),
            rows=tuple(rows_of(cell for _, cells in shown for cell in cells)),
            lr=lr,
        )


def by_rate(lines: Sequence[Line]) -> dict[float, list[Line]]:
    """Arms with a verdict, by learning rate; a learning rate that fewer than `FEWEST` arms have is left out."""
    found: dict[float, list[Line]] = {}
    for name, cells in lines:
        for lr, members in by_lr(cells).items() if cells[0].role == "bct" else ():
            found.setdefault(lr, []).append((name, members))
    return {lr: shown for lr, shown in sorted(found.items()) if len(shown) >= FEWEST}


def named(lines: Sequence[Line]) -> list[Line]:
    """Shortens the names of arms: parts that all names share are dropped, and the rest is cut while it stays unique."""
    parts = [name.removeprefix("labels ").replace(", labels ", ", ").split(", ") for name, _ in lines]
    shared = set(parts[0]).intersection(*parts[1:]) if len(parts) > 1 else set[str]()
    own = [[part for part in each if part not in shared] or each for each in parts]
    return [(_shortest(each, own), cells) for each, (_, cells) in zip(own, lines, strict=True)]


def _shortest(parts: list[str], names: Sequence[list[str]]) -> str:
    """The fewest leading parts that no other name has."""
    n = next((i for i in range(1, len(parts)) if sum(other[:i] == parts[:i] for other in names) == 1), len(parts))
    return ", ".join(parts[:n])


def draw(lines: Sequence[Line], links: Links) -> Figure:
    """Initial and alternate rate of every seed, hollow where damaged, with a bar at the mean."""
    inches = 0.45 + 0.26 * len(lines)
    figure, axes = canvas((3.5, inches), (0.5, 0.4 / inches, 0.48, 1 - 0.45 / inches))
    bare(axes)
    for y, (_, cells) in enumerate(reversed(lines)):
        for shift, (outcome, colour, marker) in zip(SHIFTS, SERIES, strict=True):
            _row(axes, y + shift, cells, outcome, colour, marker, links)
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.6, len(lines) - 0.4))
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name, _ in reversed(lines)]
    axes.set_yticks(range(len(lines)), names, fontsize=7.5, color=INK)
    axes.grid(True, axis="both", color=GRID)
    axes.set_axisbelow(True)
    return figure


def in_words(lr: float, lines: Sequence[Line]) -> str:
    """Both rates of every seed of every arm."""
    rates = [f"{name}: {_shares(cells, 'initial')} and {_shares(cells, 'alternate')}" for name, cells in lines]
    return f"Initial and alternate rate of each seed at its last checkpoint, lr {lr_text(lr)}. {'; '.join(rates)}."


def _row(
    axes: Axes, y: float, cells: Sequence[CellResult], outcome: str, colour: str, marker: str, links: Links
) -> None:
    known = last_rates(cells, outcome)
    fills = [PAPER if "damaged" in c.verdict.flags else colour for c, _, _ in known]
    dots = axes.scatter([p for *_, p in known], [y] * len(known), s=15, marker=marker, facecolor=fills,
                        edgecolor=colour, linewidth=0.8, zorder=3)  # fmt: skip
    dots.set_urls([links.to(c, end) for c, end, _ in known])
    if len(known) > 1:
        mean = sum(p for *_, p in known) / len(known)
        axes.plot([mean, mean], [y - 0.15, y + 0.15], color=INK, linewidth=1.2, zorder=4)


def _shares(cells: Sequence[CellResult], outcome: str) -> str:
    return ", ".join(share_text(getattr(c.checkpoints[-1].eval, outcome).p) for c in cells)


KIND = Kind(
    "overview",
    "Overview",
    "Initial (circles) and alternate (squares) rate of every seed at its last checkpoint; hollow where damaged; the bar"
    " is the mean. Controls are left out. A point opens its log.",
    pictures,
    x="rate at the last checkpoint",
    legend=("initial dot", "alternate dot", "mean"),
)

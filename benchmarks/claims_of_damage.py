"""How often damage is read where there is none, and where there is, by part and over all four parts.

    python -m benchmarks.claims --part damage    # minutes; printed

Each part is simulated alone: base rates and true changes are those of the table, and a share of the replies is drawn
anew at every checkpoint. Damage in cells whose replies vary more is among the claims of `benchmarks.claims`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.simulated_arms import AGREED, RIGHT, Point, Replies, T, differing, measured
from lab.verdict.damage import damage_of, together
from lab.verdict.schema import DamageState

EXPERIMENTS = 1000
#: Of each part: items, and the rate at step 0.
PARTS = {"capability": (80, RIGHT), "agreed": (60, AGREED), "degenerate": (80, 0.005), "other": (80, 0.03)}
HARM = {
    "capability": (0.0, -0.1, -0.15, -0.3),
    "agreed": (0.0, -0.1, -0.15, -0.3),
    "degenerate": (0.0, 0.05, 0.1, 0.2),
    "other": (0.0, 0.1, 0.15, 0.3),
}
REDRAWN = (0.0, 0.05, 0.1)
HEAD = """
### Damage

Per part, over the checkpoints that count for a cell (two, or four with a crossing), in {experiments:,} simulated cells
per row: 80 eval, 60 train and 80 capability items; base rates 0.9 of capability, 0.98 of agreement, .005
degenerate, .03 other. *Redrawn*: share of the replies that are drawn anew at every checkpoint. The limits are
10 %, 10, 5 and 10 points.

| part | true change | redrawn | checkpoints | read as intact | read as damaged |
|---|---|---|---|---|---|
"""
WHOLE = """
All four parts together, nothing changed: a cell is `intact` if every part is at each of its checkpoints, `damaged` if
one part is at one of them, else `not_shown`.

| redrawn | checkpoints | intact | not shown | damaged |
|---|---|---|---|---|
"""
FOOT = """
So an unchanged model reads as intact, as a whole, in nine cells of ten only while few replies vary. With 10 %
redrawn, {few} of the answers to general questions turn from right to wrong or back; in the
[arms](#claims-of-the-criterion) {many} do, and about a third of the cells read as intact.
"""


def damage(kind: str, change: float, redrawn: float, checkpoints: int, experiments: int) -> tuple[float, float]:
    """How often a part is named intact at each of some checkpoints, and damaged at any.

    Args:
        kind: capability, agreed, degenerate or other.
        change: True change of its rate: relative for capability, else in shares of 1.
        redrawn: Share of the replies that are drawn anew at a checkpoint; the others stay as at step 0.
        checkpoints: That count for a cell: two, or up to four with a crossing.
        experiments: Simulated cells.
    """
    rng = np.random.default_rng([10, len(kind), round(1000 * (1 + change)), round(100 * redrawn), checkpoints])
    n, base = PARTS[kind]
    rate = base * (1 + change) if kind == "capability" else base + change
    states = [
        [_state(kind, *_pair(rng, n, base, rate, redrawn)) for _ in range(checkpoints)] for _ in range(experiments)
    ]
    return (
        float(np.mean([set(each) == {"intact"} for each in states])),
        float(np.mean(["damaged" in each for each in states])),
    )


def whole(redrawn: float, checkpoints: int, experiments: int) -> dict[str, float]:
    """How often an unchanged cell has each state of damage, over its four parts.

    Args:
        redrawn: As for `damage`; at every checkpoint of a cell, the other replies stay as at its step 0.
        checkpoints: That count for a cell.
        experiments: Simulated cells.
    """
    rng = np.random.default_rng([11, round(100 * redrawn), checkpoints])
    states = [_unchanged(rng, redrawn, checkpoints) for _ in range(experiments)]
    return {name: states.count(name) / experiments for name in ("intact", "not_shown", "damaged")}


def _unchanged(rng: np.random.Generator, redrawn: float, checkpoints: int) -> DamageState:
    found: list[DamageState] = []
    for kind, (n, base) in PARTS.items():
        before = rng.random(n) < base
        found.extend(_state(kind, before, _redrawn(rng, before, base, redrawn)) for _ in range(checkpoints))
    return together(found)


def _pair(rng: np.random.Generator, n: int, base: float, rate: float, redrawn: float) -> tuple[Replies, Replies]:
    """Replies before and after: changed towards the new rate, and a share of them drawn anew."""
    before = rng.random(n) < base
    lost, gained = max(0.0, 1 - rate / base), max(0.0, (rate - base) / (1 - base))
    after = np.where(before, rng.random(n) >= lost, rng.random(n) < gained)
    return before, _redrawn(rng, after, rate, redrawn)


def _redrawn(rng: np.random.Generator, replies: Replies, rate: float, share: float) -> Replies:
    n = len(replies)
    return np.where(rng.random(n) < share, rng.random(n) < rate, replies)


def _state(kind: str, before: Replies, after: Replies) -> DamageState:
    still = np.ones(10, dtype=bool)
    none = np.zeros_like(before)
    flat = Point(none, none, none, still, still)
    parts = {"capability": "right", "agreed": "agreed", "degenerate": "degenerate", "other": "initial"}
    if kind == "other":
        before, after = ~before, ~after
    one, two = (replace(flat, **{parts[kind]: values}) for values in (before, after))
    return getattr(damage_of(measured(1, two, one), T, targeted=True, other_counts=True), kind)


def section(experiments: int = EXPERIMENTS) -> str:
    """The part of the page."""
    return HEAD.format(experiments=experiments) + "".join(_parts(experiments)) + _wholes(experiments)


def _parts(experiments: int) -> Iterator[str]:
    for kind, changes in HARM.items():
        for change in changes:
            for redrawn in REDRAWN if change == 0 else (0.05,):
                for checkpoints in (2, 4) if change == 0 else (2,):
                    intact, damaged = damage(kind, change, redrawn, checkpoints, experiments)
                    shown = f"{100 * change:+g} {'%' if kind == 'capability' else 'points'}" if change else "none"
                    yield f"| {kind} | {shown} | {redrawn:g} | {checkpoints} | {share(intact)} | {share(damaged)} |\n"


def _wholes(experiments: int) -> str:
    few = REDRAWN[-1] * 2 * RIGHT * (1 - RIGHT)
    return WHOLE + "".join(_all(experiments)) + FOOT.format(few=percent(few), many=percent(differing(RIGHT)))


def _all(experiments: int) -> Iterator[str]:
    for redrawn in REDRAWN:
        for checkpoints in (2, 4):
            found = whole(redrawn, checkpoints, experiments)
            yield f"| {redrawn:g} | {checkpoints} | {' | '.join(share(found[name]) for name in found)} |\n"


def percent(value: float) -> str:
    """As in the prose."""
    return f"{100 * value:.1f} %"


def share(value: float) -> str:
    """As in the tables."""
    return f"{value:.3f}".removeprefix("0")

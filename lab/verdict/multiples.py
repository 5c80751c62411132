"""Learning rate against steps: how much longer a lower learning rate was trained, and whether it removed the behavior.

A high learning rate removes the behavior without damage in S steps. A learning rate N times lower reaches the same sum
of learning rates in N x S steps; with *multiple* m it was trained for m x N x S steps. If the sum of learning
rates alone mattered, every multiple of at least 1 would remove the behavior as well.
S is chosen on seeds that no lower learning rate has, where such seeds exist.
Source: the posts on behavior-compatible training, in which 6 x N x S steps did not remove the behavior.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.verdict.arms import ROWS, Arm, alike, arms, by_lr
from lab.verdict.criterion import GONE, gone_from
from lab.verdict.rates import mean
from lab.verdict.schema import CellResult, DamageState, FlatState, Results


@dataclass(frozen=True)
class Low:
    """Cells of one learning rate and length, against the steps of the high one.

    `rows`: unique rows, where limited; `ends`: how many cells are flat, moving or neither over their last window.
    """

    lr: float
    n: float
    steps: int
    covered: float
    seeds: tuple[int, ...]
    names: dict[str, int]
    initial: float | None
    rows: int | None = None
    ends: Mapping[FlatState, int] = field(default_factory=dict["FlatState", int])

    @property
    def gone(self) -> int:
        """Cells whose behavior was gone at the end."""
        return sum(self.names.get(name, 0) for name in GONE if name)


@dataclass(frozen=True)
class Multiples:
    """One arm: the highest learning rate that removes and is not shown to damage, its steps, and all lower ones.

    `steps` is S at its longest: the multiples of lower learning rates are at least those given. `removal`: S of each
    chosen seed, as the last checkpoint before and the first after. `chosen`: seeds that S was chosen on; `again`: in
    how many of the other seeds at that learning rate the behavior was gone by S and stayed gone, and how many other
    seeds there are. `damage`: intact if it is for every chosen seed that lost the behavior, else not shown. `arms`: all
    that count as this one, by name.
    """

    arm: str
    lr: float
    steps: int
    chosen: tuple[int, ...]
    again: tuple[int, int]
    lows: tuple[Low, ...]
    removal: tuple[tuple[int, int], ...] = ()
    damage: DamageState = "not_shown"
    arms: tuple[str, ...] = ()


def multiples(results: Results) -> tuple[Multiples, ...]:
    """Of every arm in which some learning rate removes without damage and a lower one was tried.

    Arms that differ only in the number of unique rows count as one, by the name of the first.
    """
    groups = alike(arm for arm in arms(results) if arm.cells[0].role == "bct").values()
    found = (_of_arms(group) for group in groups)
    return tuple(each for each in found if each is not None)


def _of_arms(group: Sequence[Arm]) -> Multiples | None:
    names = tuple(arm.conclusion.arm for arm in group)
    valid = [c for arm in group for c in arm.cells if c.checkpoints and "invalid" not in c.verdict.flags]
    rates = by_lr(valid)
    for lr in list(rates)[:0:-1]:
        lower = [c for c in valid if c.lr < lr]
        high = rates[lr]
        used = {c.seed for c in lower}
        choosing = [c for c in high if c.seed not in used] or high
        steps = _steps(choosing)
        if steps is not None:
            fresh = [c for c in high if c not in choosing]
            again = sum(_gone_by(c, steps) for c in fresh)
            chosen = tuple(c.seed for c in choosing)
            gone = [c for c in choosing if _gone_by(c, steps)]
            removal = tuple((r.before, r.after) for c in gone if (r := c.verdict.removal))
            intact = all(c.verdict.damage == "intact" for c in gone)
            lows = _lows(lower, lr, steps)
            damage: DamageState = "intact" if intact else "not_shown"
            return Multiples(names[0], lr, steps, chosen, (again, len(fresh)), lows, removal, damage, names)
    return None


def _steps(cells: Sequence[CellResult]) -> int | None:
    """The earliest step from which more than half of the cells have lost the behavior for good, without damage."""
    kept = sorted({c.step for cell in cells for c in cell.checkpoints})
    return next((s for s in kept if 2 * sum(_gone_by(cell, s) for cell in cells) > len(cells)), None)


def _gone_by(cell: CellResult, step: int) -> bool:
    return any(gone_from(cell.checkpoints, c.step) for c in cell.checkpoints if c.step <= step)


def _lows(cells: Sequence[CellResult], high: float, steps: int) -> tuple[Low, ...]:
    found: list[Low] = []
    kinds = {(c.lr, c.steps, c.factors.get(ROWS)) for c in cells}
    for lr, taken, rows in sorted(kinds, key=lambda kind: (-kind[0], kind[1], kind[2] or 0)):
        of = [c for c in cells if (c.lr, c.steps, c.factors.get(ROWS)) == (lr, taken, rows)]
        n = high / lr
        initial = mean(c.checkpoints[-1].eval.initial.p for c in of)
        names = Counter(c.verdict.name or "no name" for c in of)
        ends = Counter[FlatState](c.flatness.state for c in of if c.flatness)
        seeds = tuple(c.seed for c in of)
        found.append(Low(lr, n, taken, taken / (n * steps), seeds, dict(names), initial, rows, dict(ends)))
    return tuple(found)

"""Where two learning rates are compared: at equal steps, equal lr × steps, equal distance of the weights, or the ends.

At the ends, a higher learning rate has both a larger step and, often, fewer of them. The other three places hold one of
these equal, the last two within a factor of 1.2. If the rates still differ there, that quantity alone does not explain
it; steps, rows and the learning rate differ together.

Not covered: the comparison itself (`lab.verdict.contrasts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lab.verdict.schema import CellResult, CheckpointResult

#: What is held equal, and its value at a checkpoint.
PLACES: dict[str, Callable[[CheckpointResult], float | None]] = {
    "equal steps": lambda c: c.step,
    "equal lr × steps": lambda c: c.sum_lr,
    "equal distance": lambda c: c.distance,
}
#: Values up to this factor apart count as equal: checkpoints are saved at few steps.
NEAR = 1.2


def places(first: Sequence[CellResult], second: Sequence[CellResult]) -> Iterator[tuple[str, int, int]]:
    """For each of `PLACES` the furthest pair of checkpoints with equal values, if any.

    Yields:
        The name of the place, and the step of each side. Neither the ends nor an earlier pair are repeated.
    """
    if not first or not second:
        return
    seen = {(_last(first), _last(second))}
    for name, value in PLACES.items():
        pair = _furthest(_values(first, value), _values(second, value), 1.0 if name == "equal steps" else NEAR)
        if pair is not None and pair not in seen:
            seen.add(pair)
            yield (name, *pair)


def _last(cells: Sequence[CellResult]) -> int:
    return min(cell.checkpoints[-1].step for cell in cells)


def _values(cells: Sequence[CellResult], value: Callable[[CheckpointResult], float | None]) -> dict[int, float]:
    """Step -> mean value over the cells, at the steps after the start that all of them have."""
    by_cell = [{c.step: v for c in cell.checkpoints if c.step and (v := value(c))} for cell in cells]
    shared = set.intersection(*(set(values) for values in by_cell))
    return {step: sum(values[step] for values in by_cell) / len(by_cell) for step in sorted(shared)}


def _furthest(first: dict[int, float], second: dict[int, float], near: float) -> tuple[int, int] | None:
    """The pair of steps with the largest values among those at most `near` apart; of equals, the closest."""
    pairs = [
        (min(x, y), -max(x, y) / min(x, y), one, two)
        for one, x in first.items()
        for two, y in second.items()
        if max(x, y) <= near * min(x, y)
    ]
    return max(pairs)[2:] if pairs else None

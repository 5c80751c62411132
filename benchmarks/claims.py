"""How often a rule of the criterion claims what is false, and what is true, over simulated arms.

    python -m benchmarks.claims                  # the section of docs/measured/coverage.md; 20 minutes of one core
    python -m benchmarks.claims --part returns   # one part of it, printed: names, seeds, reversals, returns or damage
    python -m benchmarks.claims --arms 100 --out -

The simulated replies of `benchmarks.simulated_arms` go through the criterion and the conclusions of the lab, as those
of a run do. At each checkpoint after step 0 the true initial rate is the same share of r0, but in the part on returns.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, groupby, repeat
from pathlib import Path

import numpy as np

from benchmarks import claims_of_damage
from benchmarks.claims_of_damage import percent
from benchmarks.claims_of_damage import share as text
from benchmarks.simulated_arms import RATES, RIGHT, START, STEPS, T, Truth, alike, arm, differing, reversal_arm, single
from lab.verdict.conclusions import REMOVED, Judged
from lab.verdict.schema import Conclusion

PAGE = Path(__file__).parent.parent / "docs" / "measured" / "coverage.md"
ARMS = 300


Cells = Sequence[Judged]
#: Whether what is said is false; None: it is no claim, but a failure to decide.
Falsity = Callable[[Truth], bool | None]
#: The entries of a table: column, what is true, and how often each thing is said.
Table = Sequence[tuple[str, Truth, Mapping[str, float | None]]]


@dataclass(frozen=True)
class Saying:
    """What is said of a cell or an arm.

    `rate`: how often in one arm; None where it has no cell of which it could be said.
    """

    rate: Callable[[Truth, Cells, Conclusion], float | None]
    false: Falsity


# --- what is said ----------------------------------------------------------------------------------------------------


def _none_gone(truth: Truth) -> bool:
    return not truth.gone


def _none_stayed(truth: Truth) -> bool:
    return not truth.stayed


def _name(*names: str, false: Falsity) -> Saying:
    return Saying(lambda _, cells, __: float(np.mean([j.cell.verdict.name in names for j in cells])), false)


def _status(*names: str, false: Falsity) -> Saying:
    return Saying(lambda _, __, found: float(found.status in names), false)


def _counted(holds: Callable[[int, int], bool], false: Falsity) -> Saying:
    """A removal in k of m seeds for which `holds(k, m)`."""
    return Saying(lambda _, __, c: float(c.status in REMOVED and holds(c.k or 0, c.m or 0)), false)


def _damage(state: str, harmed: bool, false: bool | None) -> Saying:
    """The state of the cells whose capability is halved, or of the others."""

    def rate(truth: Truth, cells: Cells, _: Conclusion) -> float | None:
        found = [j.cell.verdict.damage == state for j in cells if truth.harms(j.cell.lr) == harmed]
        return float(np.mean(found)) if found else None

    return Saying(rate, lambda _: false)


CLAIMS: Mapping[str, Saying] = {
    "cell: kept": _name("kept", false=lambda truth: max(truth.shares) <= T.kept_share),
    "cell: kept or retained": _name("kept", "retained", false=_none_stayed),
    "cell: removed or transferred": _name("removed", "transferred", false=_none_gone),
    "cell: transient": _name("transient", false=lambda _: True),
    "arm: removed in k of m, k ≥ 1": _counted(lambda k, _: k > 0, _none_gone),
    "arm: not removed": _status("not_removed", false=_none_stayed),
    "arm: resists": Saying(
        lambda _, __, found: float(found.resists),
        lambda truth: not (truth.stayed and truth.damaged_top and truth.seeds >= T.few_seeds),
    ),
    "arm: undecided": _status("undecided", false=lambda _: None),
    "cell, nothing harmed: intact": _damage("intact", harmed=False, false=False),
    "cell, nothing harmed: not shown": _damage("not_shown", harmed=False, false=None),
    "cell, nothing harmed: damaged": _damage("damaged", harmed=False, false=True),
    "cell, capability halved: intact": _damage("intact", harmed=True, false=True),
    "cell, capability halved: not shown": _damage("not_shown", harmed=True, false=None),
    "cell, capability halved: damaged": _damage("damaged", harmed=True, false=False),
}
OF_REVERSALS: Mapping[str, Saying] = {
    "cell: returned": _name("returned", false=_none_stayed),
    "cell: stays removed": _name("stays_removed", false=_none_gone),
    "cell: transient": _name("transient", false=lambda _: True),
    "cell: inconclusive": _name("inconclusive", false=lambda _: None),
    "arm: returned": _status("returned", false=_none_stayed),
    "arm: stays removed": _status("stays_removed", false=_none_gone),
}
COUNTS: Mapping[str, Saying] = {
    "removed in every seed (k = m)": _counted(lambda k, m: k == m, lambda _: False),
    "removed in fewer seeds (k < m)": _counted(lambda k, m: 0 < k < m, lambda _: None),
    "undecided": _status("undecided", false=lambda _: None),
}


# --- how often -------------------------------------------------------------------------------------------------------


def scenario(truth: Truth, arms: int) -> dict[str, float | None]:
    """How often each thing is said where every cell has the same true rate."""
    rng = np.random.default_rng([8, truth.seeds, round(100 * truth.shares[0]), truth.damaged_top])
    return _rates({**CLAIMS, **COUNTS}, truth, [arm(rng, truth) for _ in range(arms)])


def reversals(truth: Truth, arms: int) -> dict[str, float | None]:
    """How often each thing is said of reversals after which every cell has this share of the organism's rate."""
    rng = np.random.default_rng([12, truth.seeds, round(100 * truth.shares[0])])
    return _rates(OF_REVERSALS, truth, [reversal_arm(rng, truth) for _ in range(arms)])


def _rates(
    said: Mapping[str, Saying], truth: Truth, found: Sequence[tuple[Cells, Conclusion]]
) -> dict[str, float | None]:
    every = {name: [saying.rate(truth, *one) for one in found] for name, saying in said.items()}
    known = {name: [rate for rate in rates if rate is not None] for name, rates in every.items()}
    return {name: float(np.mean(rates)) if rates else None for name, rates in known.items()}


def excess(truth: Truth, arms: int) -> float:
    """How often more seeds are said to have lost the behavior than did."""
    rng = np.random.default_rng([9, *(round(100 * s) for s in truth.shares)])
    found = [arm(rng, truth)[1] for _ in range(arms)]
    return float(np.mean([c.status in REMOVED and (c.k or 0) > truth.gone for c in found]))


@dataclass(frozen=True)
class Move:
    """A cell whose true rate moves: its shares of r0 up to the step `at`, and from it on."""

    first: float
    then: float
    at: int
    reversal: bool = False

    @property
    def path(self) -> tuple[float, ...]:
        """At each checkpoint after step 0."""
        return tuple(self.then if step >= self.at else self.first for step in STEPS[1:])

    @property
    def claim(self) -> bool:
        """Whether `transient` is true: it was below half of r0 and rose, or the reverse in a reversal."""
        if self.reversal:
            return self.first > T.initial_share > self.then
        return self.first < T.initial_share and self.first < self.then


def moved(move: Move, cells: int) -> dict[str, float]:
    """How often a cell whose rate moves is called transient, and by which other names."""
    rng = np.random.default_rng([13, *(round(100 * s) for s in (move.first, move.then)), move.at, move.reversal])
    found = [single(rng, move.path, move.reversal).name for _ in range(cells)]
    rates = {name: found.count(name) / cells for name in dict.fromkeys(found) if name}
    return {"transient": rates.pop("transient", 0.0), **dict(sorted(rates.items(), key=lambda r: (-r[1], r[0])))}


# --- the page --------------------------------------------------------------------------------------------------------

TITLE = "\n## Claims of the criterion\n"
HEAD = """
How often each name and each sentence of [the criterion](../concepts/criterion.md) is given, in {arms} simulated
arms per case, by the true initial rate after step 0 as a share of r0. A number in *italics* is a true claim
(power), one in (parentheses) no claim, but a failure to decide; every other number is the rate of a **false** claim.
*Unchanged*: nothing is damaged either; in all other columns the highest learning rate halves capability. Made by
`python -m benchmarks.claims`; the seeds are fixed, and `--part` makes one table alone.

A false claim should be made in at most .02 where nothing changed, and in at most .05 elsewhere.
{missed}

| claim | seeds | .45 | .50 | .55 | unchanged | .2 | .8 |
|---|---|---|---|---|---|---|---|
"""
DAMAGE_SAID = """
Damage is the state of a cell as a whole: here of capability and agreement, because no reply is degenerate or other.
Replies vary: where nothing changed, {differ} of the answers to general questions turn from right to wrong or back. Most
unchanged cells then read as `not_shown` ("damage not excluded"), and about a third as `intact`; with [steadier
replies](#damage) more do.
"""
UNCHANGED = "unchanged"
#: Of each column: the share of r0, and whether the highest learning rate does harm.
COLUMNS = {
    ".45": (0.45, True), ".50": (0.5, True), ".55": (0.55, True), UNCHANGED: (1.0, False), ".2": (0.2, True),
    ".8": (0.8, True),
}  # fmt: skip
MIXED = ((0.2, 0.55, 0.55), (0.2, 0.2, 0.55), (0.5, 0.5, 0.5))
SEEDS = """
### Every seed gone

What is said of an arm in which the true rate is .2 of r0 in every cell, as above, by its seeds:

| seeds | {names} |
|---|{columns}|
"""
NUMBERS = (1, 2, 3, 5)
SEEDS_SAID = """
A seed is counted on the half of the items that reports. Where every seed is gone, a count below m is too low.
"""
REVERSED = """
### Reversals

The same for reversals that start at .1 of r0, by the true initial rate after their step 0 as a share of the
organism's. *Unchanged*: it stays at .1. {missed}

| claim | seeds | .45 | .50 | .55 | unchanged | .2 | .8 |
|---|---|---|---|---|---|---|---|
"""
AFTERWARDS = {".45": 0.45, ".50": 0.5, ".55": 0.55, UNCHANGED: START, ".2": 0.2, ".8": 0.8}
MOVES = """
### Returns

How often one cell is called `transient` whose true rate moves once, in {cells:,} cells per row; the shares of r0 before
and from a step on, of checkpoints at 2, 4, 8, 16, 32 and 64. Numbers as above.

| cell | first | then | from step | transient | other names |
|---|---|---|---|---|---|
"""
MOVES_SAID = """
In a trained cell, `transient` says that r was below half of r0 and rose, not that it is above half again. A
reversal is `transient` by a [rule of its own](../concepts/criterion.md#name-of-a-checkpoint), which needs no paired
fall.
"""
MOVED = (
    *(Move(0.2, then, 16) for then in (0.45, 0.5, 0.55, 0.8, 1.0)),
    *(Move(0.2, then, 64) for then in (0.55, 0.8, 1.0)),
    *(Move(first, 0.8, 16) for first in (0.45, 0.5, 0.55)),
    *(Move(first, 0.2, 16, reversal=True) for first in (1.0, 0.8, 0.55, 0.5, 0.45)),
    *(Move(0.8, then, 16, reversal=True) for then in (0.45, 0.5, 0.55)),
    *(Move(0.8, then, 64, reversal=True) for then in (0.2, 0.45, 0.5, 0.55)),
)


def kept(page: str) -> str:
    """This section of a page that another command writes anew; empty if the page has none."""
    return page[page.index(TITLE) :] if TITLE in page else ""


def names_part(pool: Executor, arms: int) -> str:
    """Names of cells and sentences of arms."""
    cases = [alike(m, *column) for m in (3, 1) for column in COLUMNS.values()]
    made = pool.map(scenario, cases, repeat(arms))
    more = pool.map(excess, map(Truth, MIXED), repeat(arms))
    table = list(zip(cycle(COLUMNS), cases, made, strict=False))
    said = HEAD.format(arms=arms, missed=_missed(CLAIMS, table)) + "".join(_lines(CLAIMS, table))
    for shares, rate in zip(MIXED, more, strict=True):
        at = ", ".join(f"{s:g}" for s in shares)
        said += (
            f"\nThree seeds at {at} of r0: the sentence counts more seeds as gone than are in {text(rate)} of arms.\n"
        )
    return said + DAMAGE_SAID.format(differ=percent(differing(RIGHT)))


def seeds_part(pool: Executor, arms: int) -> str:
    """What is said where every seed is gone."""
    cases = [alike(m, 0.2, True) for m in NUMBERS]
    head = SEEDS.format(names=" | ".join(COUNTS), columns="|".join("---" for _ in COUNTS))
    for truth, found in zip(cases, pool.map(scenario, cases, repeat(arms)), strict=True):
        marked = (_marked(found[name], saying.false(truth)) for name, saying in COUNTS.items())
        head += f"| {truth.seeds} | {' | '.join(marked)} |\n"
    return head + SEEDS_SAID


def reversals_part(pool: Executor, arms: int) -> str:
    """Names and sentences of reversals."""
    cases = [alike(m, share) for m in (3, 1) for share in AFTERWARDS.values()]
    table = list(zip(cycle(AFTERWARDS), cases, pool.map(reversals, cases, repeat(arms)), strict=False))
    return REVERSED.format(missed=_missed(OF_REVERSALS, table)) + "".join(_lines(OF_REVERSALS, table))


def returns_part(pool: Executor, arms: int) -> str:
    """Cells whose rate moves; three learning rates of three seeds for each arm."""
    cells = len(RATES) * arms
    made = pool.map(moved, MOVED, repeat(cells))
    return MOVES.format(cells=cells) + "".join(map(_move, MOVED, made)) + MOVES_SAID


def damage_part(pool: Executor, arms: int) -> str:
    """Damage by part, and as a whole."""
    return pool.submit(claims_of_damage.section, round(claims_of_damage.EXPERIMENTS * arms / ARMS)).result()


PARTS: Mapping[str, Callable[[Executor, int], str]] = {
    "names": names_part,
    "seeds": seeds_part,
    "reversals": reversals_part,
    "returns": returns_part,
    "damage": damage_part,
}


def section(arms: int = ARMS, jobs: int = 2, parts: Sequence[str] = tuple(PARTS)) -> str:
    """The part of docs/measured/coverage.md about claims, or some parts of it; the numbers do not depend on `jobs`."""
    with ProcessPoolExecutor(jobs, initializer=gc.freeze) as pool:
        return TITLE + "".join(PARTS[name](pool, arms) for name in parts)


def _lines(said: Mapping[str, Saying], table: Table) -> Iterator[str]:
    """The rows of a table: what is said, for each number of seeds in turn."""
    for seeds, entries in groupby(table, key=lambda entry: entry[1].seeds):
        cells = list(entries)
        for name, saying in said.items():
            yield f"| {name} | {seeds} | {' | '.join(_marked(f[name], saying.false(t)) for _, t, f in cells)} |\n"


def _missed(said: Mapping[str, Saying], table: Table) -> str:
    """The rates of false claims beyond their limit, as a sentence."""
    beyond = [
        f"`{name}`, {truth.seeds} {'seed' if truth.seeds == 1 else 'seeds'}, {column} ({text(rate)})"
        for column, truth, found in table
        for name, saying in said.items()
        if (rate := found[name]) is not None and saying.false(truth) and round(rate, 3) > limit(column)
    ]
    return f"Beyond its limit: {'; '.join(beyond)}." if beyond else "No rate is beyond its limit."


def limit(column: str) -> float:
    """The greatest rate at which a false claim should be made."""
    return 0.02 if column == UNCHANGED else 0.05


def _move(move: Move, found: dict[str, float]) -> str:
    kind = "reversal" if move.reversal else "trained"
    others = ", ".join(f"{name.replace('_', ' ')} {text(rate)}" for name, rate in found.items() if name != "transient")
    shown = _marked(found["transient"], not move.claim)
    return f"| {kind} | {move.first:g} | {move.then:g} | {move.at} | {shown} | {others} |\n"


def _marked(rate: float | None, false: bool | None) -> str:
    """A rate as the page shows it, by what it is the rate of."""
    if rate is None:
        return "–"
    return text(rate) if false else f"({text(rate)})" if false is None else f"*{text(rate)}*"


def main() -> None:
    """Writes the section into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=ARMS)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--part", choices=tuple(PARTS), help="print this part alone")
    parser.add_argument("--out", default=str(PAGE), help="the page to write into; - writes to stdout")
    given = parser.parse_args()
    found = section(given.arms, given.jobs, (given.part,) if given.part else tuple(PARTS))
    if given.part or given.out == "-":
        print(found, end="")
    else:
        page = Path(given.out).read_text(encoding="utf-8")
        Path(given.out).write_text(page.removesuffix(kept(page)) + found, encoding="utf-8")


if __name__ == "__main__":
    main()

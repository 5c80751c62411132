"""How often a rule of the criterion claims what is false, and what is true, over simulated arms.

    python -m benchmarks.claims                  # the section of docs/measured/coverage.md; minutes on two cores
    python -m benchmarks.claims --arms 100 --out -

The simulated replies go through the criterion and the conclusions of the lab, as those of a run do. An arm has three
learning rates, half a decade apart, and six checkpoints after step 0. At each of these the true initial rate is the
same share of r0, and the alternate behavior takes what the initial one leaves. Replies to an item are alike over seeds,
learning rates and checkpoints: latent normal, half of its variance from the item, 30 % from item and cell, 20 % fresh
at each checkpoint. So the true rate stays, while single replies vary.
Not covered: clustered items (each has its own template), and rates that move during training.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lab.stats.intervals import paired_difference, paired_ratio, wilson
from lab.verdict.conclusions import REMOVED, Judged, conclusions
from lab.verdict.criterion import judge
from lab.verdict.damage import damage_of
from lab.verdict.schema import (
    Capability,
    Ceiling,
    CellResult,
    Change,
    Changes,
    CheckpointResult,
    Conclusion,
    EvalRates,
    Rate,
    Thresholds,
    TrainRates,
    Verdict,
)

PAGE = Path(__file__).parent.parent / "docs" / "measured" / "coverage.md"
ARMS = 300
STEPS = (0, 2, 4, 8, 16, 32, 64)
RATES = (1e-3, 3.16e-3, 1e-2)
R0, AGREED, RIGHT = 0.95, 0.98, 0.9
#: Shares of the latent variance: of the item, of item and cell, of item and checkpoint.
ITEM, CELL, FRESH = 0.5, 0.3, 0.2
T = Thresholds()

Replies = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """Items of a checkpoint."""

    n: int = 80
    n_train: int = 60
    n_capability: int = 80


@dataclass(frozen=True)
class Truth:
    """What is true of every cell of an arm: r as a share of r0, per seed.

    `damaged_top`: the highest learning rate loses half of its capability.
    """

    shares: tuple[float, ...]
    damaged_top: bool = False


# --- one cell --------------------------------------------------------------------------------------------------------


def _below(latent: Floats, rate: float) -> Replies:
    return latent < _quantile(rate)


@cache
def _quantile(rate: float) -> float:
    return float(norm.ppf(rate))


def _latent(rng: np.random.Generator, items: Floats, cell: Floats) -> Floats:
    return np.sqrt(ITEM) * items + np.sqrt(CELL) * cell + np.sqrt(FRESH) * rng.standard_normal(len(items))


@cache
def _wilson(k: int, n: int) -> Rate:
    if not n:
        return Rate(k=0, p=None, lo=0.0, hi=1.0)
    found = wilson(k, n)
    return Rate(k=k, p=found.estimate, lo=found.lo, hi=found.hi)


@cache
def _tango(gained: int, lost: int, n: int, confidence: float) -> Change:
    before = [False] * gained + [True] * lost + [True] * (n - gained - lost)
    after = [True] * gained + [False] * lost + [True] * (n - gained - lost)
    return Change(n=n, **asdict(paired_difference(before, after, confidence=confidence)))


def _change(before: Replies, after: Replies, confidence: float = T.confidence) -> Change:
    return _tango(int((after & ~before).sum()), int((before & ~after).sum()), len(before), confidence)


@cache
def _ratio(both: int, lost: int, gained: int, n: int) -> tuple[float, float, float]:
    before = [True] * (both + lost) + [False] * (n - both - lost)
    found = paired_ratio(
        before, [True] * both + [False] * lost + [True] * gained + [False] * (n - both - lost - gained)
    )
    assert found is not None
    return found.estimate, found.lo, found.hi


@dataclass(frozen=True)
class _Point:
    """The replies of one checkpoint."""

    initial: Replies
    alternate: Replies
    degenerate: Replies
    agreed: Replies
    right: Replies


def _measured(step: int, point: _Point, first: _Point, part: slice) -> CheckpointResult:
    initial, alternate, degenerate = (a[part] for a in (point.initial, point.alternate, point.degenerate))
    n = len(initial)
    counts = [int(a.sum()) for a in (initial, alternate, degenerate)]
    rates = [_wilson(k, n) for k in counts]
    other = ~(point.initial | point.alternate | point.degenerate)
    before = ~(first.initial | first.alternate | first.degenerate)
    evals = EvalRates.model_construct(
        n=n, clusters=n, unscored=0, truncated=0, initial=rates[0], alternate=rates[1], degenerate=rates[2],
        other=_wilson(n - sum(counts), n),
    )  # fmt: skip
    k, size = int(point.right.sum()), len(point.right)
    right = _wilson(k, size)
    both, lost = int((first.right & point.right).sum()), int((first.right & ~point.right).sum())
    relative = _ratio(both, lost, k - both, size)
    return CheckpointResult.model_construct(
        step=step, log="", fingerprint="", sum_lr=None, loss=None, eval=evals,
        train=TrainRates.model_construct(
            n=len(point.agreed), unscored=0, truncated=0, agreed=_wilson(int(point.agreed.sum()), len(point.agreed)),
            other=_wilson(0, 0), degenerate=_wilson(0, 0),
        ),
        capability=Capability.model_construct(
            n=size, unscored=0, k=k, p=right.p, lo=right.lo, hi=right.hi, relative=relative[0], relative_lo=relative[1],
            relative_hi=relative[2], with_system=None, without_system=None,
        ),
        following=None, corrected=None, margin=None, judged=None, name=None, flags=(), damage=None,
        changes=Changes.model_construct(
            initial=_change(first.initial[part], initial), alternate=None, manner=None, following=None,
            degenerate=_change(first.degenerate[part], degenerate), other=_change(before[part], other[part]),
            agreed=_change(first.agreed, point.agreed), capability=_change(first.right, point.right),
        ),
    )  # fmt: skip


def _points(
    rng: np.random.Generator, items: Sequence[Floats], start: _Point, truth: Truth, share: float, top: bool
) -> Iterator[_Point]:
    cells = [rng.standard_normal(len(part)) for part in items]
    yield start
    for _ in STEPS[1:]:
        evals, train, general = (_latent(rng, i, c) for i, c in zip(items, cells, strict=True))
        initial = _below(evals, share * R0)
        right = _below(general, RIGHT * (0.5 if top and truth.damaged_top else 1.0))
        yield _Point(initial, ~initial, np.zeros_like(initial), _below(train, AGREED), right)


def _judged(points: Sequence[_Point], lr: float, seed: int, sizes: Sizes) -> Judged:
    half = sizes.n // 2
    whole, choose, report = (
        _named(points, part, _ceiling(n)) for part, n in
        ((slice(None), sizes.n), (slice(half), half), (slice(half, None), sizes.n - half))
    )  # fmt: skip
    cell = CellResult.model_construct(
        id=f"{lr}.{seed}", hash="", setting="simulated", variant="v", role="bct", carrier=None, method="bct", model="m",
        organism=None, rank=None, batch=32, label_source=None, lr=lr, seed=seed, steps=STEPS[-1], factors={}, asked={},
        gate={"ok": True}, graders={}, trained={}, step0_loss=0.5, ceiling=R0, checkpoints=whole[0], verdict=whole[1],
        net_of_sham=None, other=(), failure=None,
    )  # fmt: skip
    return Judged(cell, choose[0], report[0], R0)


def _ceiling(n: int) -> Ceiling:
    rate = _wilson(round(R0 * n), n)
    return Ceiling.model_construct(
        n=n, clusters=n, unscored=0, alternate=rate, setting="", variant="", model="", log=""
    )


def _named(points: Sequence[_Point], part: slice, ceiling: Ceiling) -> tuple[tuple[CheckpointResult, ...], Verdict]:
    measured = [_measured(step, point, points[0], part) for step, point in zip(STEPS, points, strict=True)]
    rises = lambda i, j, confidence: _change(points[i].initial[part], points[j].initial[part], confidence)  # noqa: E731
    return judge(
        measured, role="bct", method="bct", gate={"ok": True}, trained={}, ceiling=ceiling, thresholds=T, paired=rises
    )


# --- arms ------------------------------------------------------------------------------------------------------------


def arm(rng: np.random.Generator, truth: Truth, sizes: Sizes = Sizes()) -> tuple[list[Judged], Conclusion]:
    """One arm: its cells, and what is concluded from them."""
    items = [rng.standard_normal(n) for n in (sizes.n, sizes.n_train, sizes.n_capability)]
    first = [_latent(rng, part, rng.standard_normal(len(part))) for part in items]
    kept = _below(first[0], R0)
    start = _Point(kept, np.zeros_like(kept), np.zeros_like(kept), _below(first[1], AGREED), _below(first[2], RIGHT))
    cells = [
        _judged(list(_points(rng, items, start, truth, share, lr == RATES[-1])), lr, seed, sizes)
        for lr in RATES
        for seed, share in enumerate(truth.shares)
    ]
    return cells, conclusions(cells, T)[0]


# --- the table -------------------------------------------------------------------------------------------------------

Claim = Callable[[list[Judged], Conclusion], float]


def _named_as(*names: str) -> Claim:
    return lambda cells, _: float(np.mean([j.cell.verdict.name in names for j in cells]))


def _more_than(k: int) -> Claim:
    return lambda _, found: float(found.status in REMOVED and (found.k or 0) > k)


#: What is said of a cell or an arm, and the true shares of r0 at which it is false.
CLAIMS: Mapping[str, tuple[Claim, Callable[[float], bool]]] = {
    "cell: kept": (_named_as("kept"), lambda share: share <= T.kept_share),
    "cell: kept or retained": (_named_as("kept", "retained"), lambda share: share <= T.initial_share),
    "cell: removed or transferred": (_named_as("removed", "transferred"), lambda share: share >= T.initial_share),
    "cell: transient": (_named_as("transient"), lambda _: True),
    "arm: removed in k of m, k ≥ 1": (_more_than(0), lambda share: share >= T.initial_share),
    "arm: not removed": (lambda _, found: float(found.status == "not_removed"), lambda share: share <= T.initial_share),
    "arm: resists": (lambda _, found: float(found.resists), lambda share: share <= T.initial_share),
}


def scenario(seeds: int, share: float, damaged_top: bool, arms: int) -> dict[str, float]:
    """How often each claim is made where every cell has the same true rate."""
    rng = np.random.default_rng([8, seeds, round(100 * share), damaged_top])
    truth = Truth((share,) * seeds, damaged_top=damaged_top)
    found = [arm(rng, truth) for _ in range(arms)]
    return {name: float(np.mean([claim(*one) for one in found])) for name, (claim, _) in CLAIMS.items()}


def excess(shares: tuple[float, ...], arms: int) -> float:
    """How often more seeds are said to have lost the behavior than did."""
    rng = np.random.default_rng([9, *(round(100 * s) for s in shares)])
    claim = _more_than(sum(s < T.initial_share for s in shares))
    return float(np.mean([claim(*arm(rng, Truth(shares))) for _ in range(arms)]))


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
    n, base = {"capability": (80, RIGHT), "agreed": (60, AGREED), "degenerate": (80, 0.005), "other": (80, 0.03)}[kind]
    rate = base * (1 + change) if kind == "capability" else base + change
    states = [
        [_state(kind, *_pair(rng, n, base, rate, redrawn)) for _ in range(checkpoints)] for _ in range(experiments)
    ]
    return (
        float(np.mean([set(each) == {"intact"} for each in states])),
        float(np.mean(["damaged" in each for each in states])),
    )


def _pair(rng: np.random.Generator, n: int, base: float, rate: float, redrawn: float) -> tuple[Replies, Replies]:
    """Replies before and after: changed towards the new rate, and a share of them drawn anew."""
    before = rng.random(n) < base
    lost, gained = max(0.0, 1 - rate / base), max(0.0, (rate - base) / (1 - base))
    after = np.where(before, rng.random(n) >= lost, rng.random(n) < gained)
    return before, np.where(rng.random(n) < redrawn, rng.random(n) < rate, after)


def _state(kind: str, before: Replies, after: Replies) -> str | None:
    still = np.ones(10, dtype=bool)
    none = np.zeros_like(before)
    flat = _Point(none, none, none, still, still)
    parts = {"capability": "right", "agreed": "agreed", "degenerate": "degenerate", "other": "initial"}
    if kind == "other":
        before, after = ~before, ~after
    one, two = (replace(flat, **{parts[kind]: values}) for values in (before, after))
    return getattr(damage_of(_measured(1, two, one, slice(None)), T, targeted=True, other_counts=True), kind)


TITLE = "\n## Claims of the criterion\n"
HEAD = """
How often each name and each sentence of [the criterion](../concepts/criterion.md) is given, in {arms} simulated
arms per case, by the true initial rate after step 0 as a share of r0. A number in *italics* is a true claim
(power); every other number is the rate of a **false** claim. *Unchanged*: nothing is damaged either; in all other
columns the highest learning rate halves capability. Made by `python -m benchmarks.claims`; the seeds are fixed.

| claim | seeds | .45 | .50 | .55 | unchanged | .2 | .8 |
|---|---|---|---|---|---|---|---|
"""
DAMAGE = """
### Damage

Per part, over the checkpoints that count for a cell (two, or four with a crossing), in {experiments:,} simulated cells
per row: 80 eval, 60 train and 80 capability items; base rates {right:g} of capability, {agreed:g} of agreement, .005
degenerate, .03 other. *Redrawn*: share of the replies that are drawn anew at every checkpoint. The limits are 10 %, 10,
5 and 10 points.

| part | true change | redrawn | checkpoints | read as intact | read as damaged |
|---|---|---|---|---|---|
"""
COLUMNS = ((0.45, True), (0.50, True), (0.55, True), (1.0, False), (0.2, True), (0.8, True))
MIXED = ((0.2, 0.55, 0.55), (0.2, 0.2, 0.55), (0.5, 0.5, 0.5))
HARM = {
    "capability": (0.0, -0.1, -0.15, -0.3),
    "agreed": (0.0, -0.1, -0.15, -0.3),
    "degenerate": (0.0, 0.05, 0.1, 0.2),
    "other": (0.0, 0.1, 0.15, 0.3),
}


def kept(page: str) -> str:
    """This section of a page that another command writes anew; empty if the page has none."""
    return page[page.index(TITLE) :] if TITLE in page else ""


def section(arms: int = ARMS, experiments: int = 1000) -> str:
    """The part of docs/measured/coverage.md about claims; two processes."""
    cases = [(m, share, top, arms) for m in (3, 1) for share, top in COLUMNS]
    with ProcessPoolExecutor(2, initializer=gc.freeze) as pool:
        made = list(pool.map(scenario, *zip(*cases, strict=True)))
        more = list(pool.map(excess, MIXED, [arms] * len(MIXED)))
    lines = [_line(name, m, made[i : i + len(COLUMNS)]) for i, m in ((0, 3), (len(COLUMNS), 1)) for name in CLAIMS]
    text = TITLE + HEAD.format(arms=arms) + "".join(lines)
    for shares, rate in zip(MIXED, more, strict=True):
        at = ", ".join(f"{s:g}" for s in shares)
        text += (
            f"\nThree seeds at {at} of r0: the sentence counts more seeds as gone than are in {_share(rate)} of arms.\n"
        )
    return text + DAMAGE.format(experiments=experiments, right=RIGHT, agreed=AGREED) + "".join(_harm(experiments))


def _line(name: str, seeds: int, made: Sequence[dict[str, float]]) -> str:
    _, false = CLAIMS[name]
    cells: list[str] = []
    for (share, top), found in zip(COLUMNS, made, strict=True):
        wrong = false(share) or (name == "arm: resists" and (not top or seeds < T.few_seeds))
        cells.append(_share(found[name]) if wrong else f"*{_share(found[name])}*")
    return f"| {name} | {seeds} | {' | '.join(cells)} |\n"


def _harm(experiments: int) -> Iterator[str]:
    for kind, changes in HARM.items():
        for change in changes:
            for redrawn in (0.0, 0.05, 0.1) if change == 0 else (0.05,):
                for checkpoints in (2, 4) if change == 0 else (2,):
                    intact, damaged = damage(kind, change, redrawn, checkpoints, experiments)
                    shown = f"{100 * change:+g} {'%' if kind == 'capability' else 'points'}" if change else "none"
                    yield f"| {kind} | {shown} | {redrawn:g} | {checkpoints} | {_share(intact)} | {_share(damaged)} |\n"


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def main() -> None:
    """Writes the section into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=ARMS)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--out", default=str(PAGE), help="the page to write into; - writes to stdout")
    given = parser.parse_args()
    found = section(given.arms, given.experiments)
    if given.out == "-":
        print(found, end="")
    else:
        page = Path(given.out).read_text(encoding="utf-8")
        Path(given.out).write_text(page.removesuffix(kept(page)) + found, encoding="utf-8")


if __name__ == "__main__":
    main()

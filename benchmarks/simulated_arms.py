"""Arms and cells of replies with a known true rate, judged by the criterion and the conclusions of the lab.

An arm has three learning rates, half a decade apart, and six checkpoints after step 0. Replies to an item are alike
over seeds, learning rates and checkpoints: latent normal, half of its variance from the item, 30 % from item and cell,
20 % fresh at each checkpoint. So the true rate stays, while single replies vary. The alternate behavior takes what the
initial one leaves: no reply is degenerate or other.
Not covered: clustered items (each has its own template), and seeds whose true rates differ by chance. The rates and
tables made of these arms are in `benchmarks.claims`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lab.stats.intervals import paired_difference, paired_ratio, wilson
from lab.verdict.conclusions import Judged, conclusions
from lab.verdict.criterion import REVERSAL, judge
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

STEPS = (0, 2, 4, 8, 16, 32, 64)
RATES = (1e-3, 3.16e-3, 1e-2)
R0, AGREED, RIGHT = 0.95, 0.98, 0.9
#: Shares of the latent variance: of the item, of item and cell, of item and checkpoint.
ITEM, CELL, FRESH = 0.5, 0.3, 0.2
T = Thresholds()
#: Where a reversal starts, as a share of r0.
START = 0.1

Replies = NDArray[np.bool_]
Floats = NDArray[np.float64]
#: True initial rates at successive checkpoints, as shares of r0.
Path = Sequence[float]


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

    @property
    def seeds(self) -> int:
        """Of every learning rate."""
        return len(self.shares)

    @property
    def gone(self) -> int:
        """Seeds whose rate is below half of r0."""
        return sum(share < T.initial_share for share in self.shares)

    @property
    def stayed(self) -> int:
        """Seeds whose rate is above half of r0."""
        return sum(share > T.initial_share for share in self.shares)

    def harms(self, lr: float) -> bool:
        """Whether cells of this learning rate lose capability."""
        return self.damaged_top and lr == RATES[-1]


def alike(seeds: int, share: float, damaged_top: bool = False) -> Truth:
    """The same in every seed."""
    return Truth((share,) * seeds, damaged_top)


# --- one cell --------------------------------------------------------------------------------------------------------


def below(latent: Floats, rate: float) -> Replies:
    """The replies of a rate: true where the latent value lies below the quantile."""
    return latent < _quantile(rate)


@cache
def _quantile(rate: float) -> float:
    return float(norm.ppf(rate))


def differing(rate: float) -> float:
    """The share of replies that differ from step 0 at a checkpoint of a cell in which nothing changed."""
    items, weights = np.polynomial.hermite_e.hermegauss(100)
    right = norm.cdf((_quantile(rate) - np.sqrt(ITEM) * items) / np.sqrt(1 - ITEM))
    return float(2 * (weights * right * (1 - right)).sum() / weights.sum())


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
class Point:
    """The replies of one checkpoint."""

    initial: Replies
    alternate: Replies
    degenerate: Replies
    agreed: Replies
    right: Replies


def measured(step: int, point: Point, first: Point, part: slice = slice(None)) -> CheckpointResult:
    """The checkpoint with its rates and its changes since the first one, over a part of the eval items."""
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


def _start(rng: np.random.Generator, items: Sequence[Floats]) -> Point:
    """The organism."""
    latent = [_latent(rng, part, rng.standard_normal(len(part))) for part in items]
    kept = below(latent[0], R0)
    none = np.zeros_like(kept)
    return Point(kept, none, none, below(latent[1], AGREED), below(latent[2], RIGHT))


def _trained(rng: np.random.Generator, items: Sequence[Floats], path: Path, harmed: bool) -> Iterator[Point]:
    """The checkpoints of one cell whose true initial rates are these shares of r0."""
    cells = [rng.standard_normal(len(part)) for part in items]
    for share in path:
        evals, train, general = (_latent(rng, i, c) for i, c in zip(items, cells, strict=True))
        initial = below(evals, share * R0)
        right = below(general, RIGHT * (0.5 if harmed else 1.0))
        yield Point(initial, ~initial, np.zeros_like(initial), below(train, AGREED), right)


def _judged(points: Sequence[Point], lr: float, seed: int, sizes: Sizes) -> Judged:
    half = sizes.n // 2
    choose, report = (
        _named(points, part, n)[0] for part, n in ((slice(half), half), (slice(half, None), sizes.n - half))
    )
    return Judged(_cell("bct", lr, seed, *_named(points, slice(None), sizes.n)), choose, report, R0)


def _cell(method: str, lr: float, seed: int, checkpoints: tuple[CheckpointResult, ...], verdict: Verdict) -> CellResult:
    return CellResult.model_construct(
        id=f"{lr}.{seed}", hash="", setting="simulated", variant="v", role="bct", carrier=None, method=method,
        model="m", organism=None, rank=None, batch=32, label_source=None, lr=lr, seed=seed, steps=STEPS[-1],
        factors={}, asked={}, gate={"ok": True}, graders={}, trained={}, step0_loss=0.5, ceiling=R0,
        checkpoints=checkpoints, verdict=verdict, net_of_sham=None, other=(), failure=None,
    )  # fmt: skip


def _ceiling(n: int) -> Ceiling:
    rate = _wilson(round(R0 * n), n)
    return Ceiling.model_construct(
        n=n, clusters=n, unscored=0, alternate=rate, setting="", variant="", model="", log=""
    )


def _named(
    points: Sequence[Point], part: slice, n: int, organism: EvalRates | None = None
) -> tuple[tuple[CheckpointResult, ...], Verdict]:
    """The checkpoints and the verdict of a cell; of a reversal, if its organism is given."""
    checkpoints = [measured(step, point, points[0], part) for step, point in zip(STEPS, points, strict=True)]
    changes = lambda i, j, confidence: _change(points[i].initial[part], points[j].initial[part], confidence)  # noqa: E731
    method = "bct" if organism is None else REVERSAL
    return judge(
        checkpoints, role="bct", method=method, gate={"ok": True}, trained={}, ceiling=_ceiling(n), thresholds=T,
        organism=organism, paired=changes,
    )  # fmt: skip


def _reversed(
    rng: np.random.Generator, items: Sequence[Floats], organism: EvalRates, path: Path
) -> tuple[tuple[CheckpointResult, ...], Verdict]:
    """A reversal, from where the behavior is gone."""
    return _named(list(_trained(rng, items, (START, *path), harmed=False)), slice(None), organism.n, organism)


# --- arms ------------------------------------------------------------------------------------------------------------


def arm(rng: np.random.Generator, truth: Truth, sizes: Sizes = Sizes()) -> tuple[list[Judged], Conclusion]:
    """One arm: its cells, and what is concluded from them."""
    items, later = _items(rng, sizes), len(STEPS) - 1
    start = _start(rng, items)
    cells = [
        _judged([start, *_trained(rng, items, [share] * later, truth.harms(lr))], lr, seed, sizes)
        for lr in RATES
        for seed, share in enumerate(truth.shares)
    ]
    return cells, conclusions(cells, T)[0]


def reversal_arm(rng: np.random.Generator, truth: Truth, sizes: Sizes = Sizes()) -> tuple[list[Judged], Conclusion]:
    """One arm of reversals, each from another cell of the same organism: its cells, and what is concluded."""
    items, later = _items(rng, sizes), len(STEPS) - 1
    start = _start(rng, items)
    organism = measured(0, start, start).eval
    found = [
        _cell(REVERSAL, lr, seed, *_reversed(rng, items, organism, [share] * later))
        for lr in RATES
        for seed, share in enumerate(truth.shares)
    ]
    cells = [Judged(cell, cell.checkpoints, cell.checkpoints, R0) for cell in found]
    return cells, conclusions(cells, T)[0]


def single(rng: np.random.Generator, path: Path, reversal: bool = False, sizes: Sizes = Sizes()) -> Verdict:
    """The verdict of one cell whose true rate moves: its shares of r0 at the checkpoints after step 0."""
    items = _items(rng, sizes)
    start = _start(rng, items)
    if reversal:
        return _reversed(rng, items, measured(0, start, start).eval, path)[1]
    return _named([start, *_trained(rng, items, path, harmed=False)], slice(None), sizes.n)[1]


def _items(rng: np.random.Generator, sizes: Sizes) -> list[Floats]:
    """What replies to an item have in common: of eval prompts, train prompts and general questions."""
    return [rng.standard_normal(n) for n in (sizes.n, sizes.n_train, sizes.n_capability)]

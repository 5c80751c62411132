"""How often each interval of the lab contains the truth, over simulated experiments; writes docs/measured/coverage.md.

    python -m benchmarks.coverage                 # 2,000 experiments per row, about ten minutes on one core
    python -m benchmarks.coverage --experiments 500 --out -

A row that can be computed exactly (a single rate, a count of cells) has its exact coverage next to the simulated one.
Groups of seeds, families, hulls, variance components and the mixed model: `benchmarks.coverage_of_groups`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import binom

from benchmarks import claims, coverage_of_groups
from lab.stats.intervals import Interval, clopper_pearson, design_effect, paired_difference, paired_ratio, wilson
from lab.stats.misclassification import Judge, Uninformative, correct_counts, rogan_gladen

EXPERIMENTS = 2000
PAGE = Path(__file__).parent.parent / "docs" / "measured" / "coverage.md"
HEAD = """\
# Coverage of the intervals

How often a 95 % interval contains the true value, in {experiments:,} simulated experiments per row (standard
error about half a percentage point). Made by `python -m benchmarks.coverage`. *Exact* is the coverage by
enumeration, where there is one; the simulated and the exact value must agree within one percentage point.
These are simulations, not measurements of a model.

| interval | case | simulated | exact |
|---|---|---|---|
"""
FOOT = """
**Wilson** does not cover 95 % at every rate: with few items and small rates its coverage jumps, as it does
for every interval without randomization. **Clopper-Pearson**, used for counts of names over seeds, never
covers less than 95 %. **Judge corrections** are refused when sens + spec ≤ 1 or when a label has no labelled
reply; each case states the share of refusals, and its coverage counts only the experiments that were not
refused.
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    interval: str
    case: str
    simulated: float
    exact: float | None = None


def single(p: float, n: int, experiments: int) -> Row:
    """Wilson for one rate, against its exact coverage."""
    rng = np.random.default_rng([1, n, round(1000 * p)])
    inside = np.array([_holds(_wilson(k, n), p) for k in range(n + 1)])
    simulated = float(inside[rng.binomial(n, p, experiments)].mean())
    exact = float(binom.pmf(np.flatnonzero(inside), n, p).sum())
    return Row("Wilson", f"p = {p:g}, n = {n}", simulated, exact)


def counted(p: float, cells: int, experiments: int) -> Row:
    """Clopper-Pearson for a count of cells."""
    rng = np.random.default_rng([2, cells, round(1000 * p)])
    inside = np.array([_holds(clopper_pearson(k, cells), p) for k in range(cells + 1)])
    simulated = float(inside[rng.binomial(cells, p, experiments)].mean())
    exact = float(binom.pmf(np.flatnonzero(inside), cells, p).sum())
    return Row("Clopper-Pearson", f"p = {p:g}, {cells} cells", simulated, exact)


def clustered(p: float, templates: int, each: int, icc: float, experiments: int) -> Row:
    """Wilson with the design effect: the replies of one template share a rate drawn from a beta distribution."""
    rng = np.random.default_rng([3, templates, round(1000 * p)])
    clusters = [str(i // each) for i in range(templates * each)]
    spread = 1 / icc - 1

    def once() -> bool:
        rates = rng.beta(p * spread, (1 - p) * spread, templates).repeat(each)
        values = (rng.random(templates * each) < rates).astype(float).tolist()
        return _holds(wilson(sum(values), len(values), design_effect(values, clusters)), p)

    case = f"p = {p:g}, {templates} templates × {each}, ICC {icc:g}"
    return Row("Wilson, design effect", case, _share(once, experiments))


def paired(both: float, lost: float, gained: float, n: int, ratio: bool, experiments: int) -> Row:
    """Tango's difference or the ratio of two rates on the same items."""
    rng = np.random.default_rng([4, n, round(1000 * both)])
    truth = (both + gained) / (both + lost) if ratio else gained - lost
    shares = [both, lost, gained, 1 - both - lost - gained]
    name = "paired ratio" if ratio else "paired difference (Tango)"

    @cache
    def inside(b: int, lo: int, g: int) -> bool:
        before = [True] * (b + lo) + [False] * (n - b - lo)
        after = [True] * b + [False] * lo + [True] * g + [False] * (n - b - lo - g)
        found = paired_ratio(before, after) if ratio else paired_difference(before, after)
        return found is None or _holds(found, truth)

    draws = rng.multinomial(n, shares, experiments)
    simulated = sum(inside(int(b), int(lo), int(g)) for b, lo, g, _ in draws) / experiments
    return Row(name, f"{both + lost:g} → {both + gained:g}, {lost:g} lost, {gained:g} gained, n = {n}", simulated)


def judged(theta: float, sens: float, spec: float, n: int, labelled: int, experiments: int) -> Row:
    """Rogan-Gladen: n judged replies, and a random labelled sample of the same run."""
    rng = np.random.default_rng([6, n, round(1000 * theta)])

    def once() -> float:
        k = rng.binomial(n, theta * sens + (1 - theta) * (1 - spec))
        positives = rng.binomial(labelled, theta)
        try:
            judge = Judge(
                rng.binomial(positives, sens), positives, rng.binomial(labelled - positives, spec), labelled - positives
            )
            return float(_holds(rogan_gladen(k, n, judge), theta))
        except Uninformative:
            return float("nan")

    case = f"θ = {theta:g}, sens {sens:g}, spec {spec:g}, n = {n}, {labelled} labelled"
    return _unless_refused("Rogan-Gladen (Lang-Reiczigel)", case, once, experiments)


def confused(theta: Sequence[float], n: int, labelled: int, experiments: int) -> Row:
    """The full confusion matrix with three labels; the share of labels whose interval holds."""
    rng = np.random.default_rng([7, n, round(1000 * theta[0])])
    names = ["initial", "alternate", "other"]
    matrix = np.array([[0.9, 0.05, 0.05], [0.04, 0.9, 0.06], [0.1, 0.1, 0.8]])

    def once() -> float:
        counts = rng.multinomial(n, np.asarray(theta) @ matrix)
        true = rng.choice(3, labelled, p=theta)
        pairs = [(names[i], names[rng.choice(3, p=matrix[i])]) for i in true]
        try:
            found = correct_counts(dict(zip(names, map(int, counts), strict=True)), pairs, draws=1000)
        except Uninformative:
            return float("nan")
        return float(np.mean([_holds(found[name], t) for name, t in zip(names, theta, strict=True)]))

    shares = " / ".join(f"{t:g}" for t in theta)
    case = f"θ = {shares}, n = {n}, {labelled} labelled"
    return _unless_refused("confusion matrix, 3 labels", case, once, experiments)


def _unless_refused(interval: str, case: str, once: Callable[[], float], experiments: int) -> Row:
    """Coverage among the experiments that were not refused (NaN), with the share of those that were."""
    found = np.array([once() for _ in range(experiments)])
    return Row(interval, f"{case}; {np.isnan(found).mean():.1%} refused", float(np.nanmean(found)))


def rows(experiments: int = EXPERIMENTS) -> Iterator[Row]:
    """All rows of the page."""
    yield from (single(p, n, experiments) for p in (0.02, 0.1, 0.5) for n in (50, 200))
    yield from (clustered(p, 30, 3, 0.3, experiments) for p in (0.1, 0.5))
    yield clustered(0.5, 12, 8, 0.3, experiments)
    yield from (counted(p, m, experiments) for p in (0.2, 0.5) for m in (3, 5))
    for shares in ((0.5, 0.2, 0.05), (0.8, 0.1, 0.02), (0.05, 0.9, 0.02)):
        yield from (paired(*shares, 80, ratio, experiments) for ratio in (False, True))
    for theta, sens, spec in ((0.05, 0.9, 0.95), (0.3, 0.9, 0.95), (0.3, 0.75, 0.8)):
        yield judged(theta, sens, spec, 200, 100, experiments)
    yield from (confused(theta, 200, 100, experiments) for theta in ((0.6, 0.3, 0.1), (0.85, 0.1, 0.05)))


def page(found: Sequence[Row], further: str, experiments: int) -> str:
    """The documentation page."""
    lines = [f"| {r.interval} | {r.case} | {_text(r.simulated)} | {_text(r.exact)} |\n" for r in found]
    return HEAD.format(experiments=experiments) + "".join(lines) + FOOT + further


def _text(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}".removeprefix("0")


def _holds(interval: Interval, truth: float) -> bool:
    return interval.lo - 1e-12 <= truth <= interval.hi + 1e-12


def _share(once: Callable[[], bool], experiments: int) -> float:
    return sum(once() for _ in range(experiments)) / experiments


@cache
def _wilson(k: int, n: int) -> Interval:
    return wilson(k, n)


def main() -> None:
    """Simulate, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS)
    parser.add_argument("--out", default=str(PAGE), help="the page to write; - writes to stdout alone")
    given = parser.parse_args()
    began, found = time.monotonic(), []
    for row in rows(given.experiments):
        found.append(row)
        exact = f"   exact {row.exact:.3f}" if row.exact is not None else ""
        print(f"{row.simulated:.3f}   {row.interval}: {row.case}{exact}", file=sys.stderr)
    text = page(found, coverage_of_groups.sections(given.experiments), given.experiments)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if given.out == "-":
        print(text, end="")
    else:
        old = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        Path(given.out).write_text(text + claims.kept(old), encoding="utf-8")


if __name__ == "__main__":
    main()

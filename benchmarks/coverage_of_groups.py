"""Coverage over runs that share their items: seeds, differences, families, hulls, components, the mixed model.

    from benchmarks.coverage_of_groups import sections
    print(sections(2000))                       # Markdown, part of docs/measured/coverage.md

A reply is a threshold of a latent normal: part of it belongs to the item (so that seeds answer alike: phi is the
correlation of two seeds' replies to an item at a rate of one half), part to its template and family.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from lab.logs.records import CellRecord, CheckpointRecord, Item
from lab.stats.components import Drawn, variance_components
from lab.stats.intervals import Interval, mean_t, nested_effect, wilson
from lab.stats.mixed import mixed
from lab.stats.two_way import Items, Run, group_difference, group_mean
from lab.verdict.hull_area import resampled
from lab.verdict.robustness import area, hull

ITEMS = 80
IDS = [f"i{i}" for i in range(ITEMS)]
#: Two prompts of each template.
SHARED = Items({item: f"t{i // 2}" for i, item in enumerate(IDS)})
SEEDS = (2, 3, 5, 10, 20)
PHIS = (0.0, 0.2, 0.4, 0.6, 0.8)

Floats = NDArray[np.float64]

SEEDS_TEXT = """
## Means over seeds that answer the same items

{n} experiments per entry, {items} items of {half} templates: coverage of the two-way interval, then of t over
seeds. φ is the correlation of two seeds' replies to an item.

| seeds' rates | φ | 2 seeds | 3 | 5 | 10 | 20 |
|---|---|---|---|---|---|---|
"""
PEAKS_TEXT = """
The two-way interval covers .93 or more where seeds' rates have one peak. **With two peaks no interval of two or
three seeds can cover**: with peaks at .05 and .9, three seeds fall on the same peak in 25 % of experiments at
50/50 and in 52 % at 20/80, and then show nothing of the other. At 20/80 even ten seeds cover less than .93. Read
such groups by their counts of names and by their points; reports show both.
"""
FAMILIES_END = """
With five families or more the interval in use covers .92 or more at a rate of one half. Below that: with three
families, and at rates near 0 or 1 where families differ most (some then answer always alike, and a few families
do not show how far others may fall).
"""
DIFFERENCE_TEXT = """
## Differences between arms on the same items

{n} experiments per entry, from a rate of .8 to .3, seeds spread by .1: coverage of the two-way difference.

| φ | 2 seeds | 3 | 5 | 10 |
|---|---|---|---|---|
"""
FAMILY_TEXT = """
## Families of questions

{n} experiments per entry, for a single cell: coverage of Wilson's interval with the design effect of templates
alone, then with that of families added (the one in use), and mean half-widths. The share of the latent variance
that belongs to families is 0 where families do not differ.

| families × templates × prompts | rate | share of families | templates alone | in use | half-widths |
|---|---|---|---|---|---|
"""
HULL_TEXT = """
## Area of the robustness hull

{n} experiments per row, 80 items for each rate, true trades as named: mean area, mean area without optimism,
coverage of the interval in results.json, and of the plain area ± its bootstrap standard error.

| trade | cells | true area | as measured | without optimism | covers | plain |
|---|---|---|---|---|---|---|
"""
COMPONENTS_TEXT = """
## Variance by kind of seed

{n} experiments per row: true standard deviations of a rate by organism, data and order (or adapter), mean
estimated variances (× 10⁴, true ones in parentheses), and coverage of each interval.

| design | true | variances | covers |
|---|---|---|---|
"""
MIXED_TEXT = """
## The mixed model

{n} experiments per row, two arms at .6 and .4: coverage of the mean of an arm and of the difference, next to
those of the two-way variance on the same data.

| seeds in each arm | share of families | mean | difference | two-way mean | two-way difference |
|---|---|---|---|---|---|
"""


def sections(experiments: int) -> str:
    """The tables in Markdown; slow simulations take a share of the experiments."""
    parts = (seeds_section, difference_section, family_section, hull_section, components_section, mixed_section)
    return "".join(part(experiments) for part in parts)


def replies(rates: Floats, shared: float, rng: np.random.Generator, item: Floats | None = None) -> Floats:
    """Replies of runs (rows) to the items (columns); `shared` is the item's share of the latent variance."""
    base = rng.normal(size=ITEMS) if item is None else item
    own = rng.normal(size=(len(rates), ITEMS))
    return (np.sqrt(shared) * base + np.sqrt(1 - shared) * own < norm.ppf(rates)[:, None]).astype(float)


def runs(values: Floats) -> list[Run]:
    """Rows as runs."""
    return [dict(zip(IDS, row, strict=True)) for row in values.tolist()]


def latent(phi: float) -> float:
    """The latent correlation behind phi at a rate of one half: sin(π φ / 2)."""
    return float(np.sin(np.pi * phi / 2))


def _rates(spread: str, n: int, rng: np.random.Generator) -> Floats:
    peaks = {"two peaks, 50/50": 0.5, "two peaks, 20/80": 0.2}
    if spread in peaks:
        found = np.where(rng.random(n) < peaks[spread], 0.05, 0.9) + rng.normal(0, 0.02, n)
    else:
        found = rng.normal(0.5, 0.1 if spread == "one peak" else 0.0, n)
    return np.clip(found, 0.001, 0.999)


TRUE = {"all alike": 0.5, "one peak": 0.5, "two peaks, 50/50": 0.475, "two peaks, 20/80": 0.73}


def seeds_covered(spread: str, phi: float, seeds: int, experiments: int) -> tuple[float, float]:
    """Coverage of the two-way interval and of t over seeds."""
    rng = np.random.default_rng([11, seeds, round(100 * phi), len(spread)])
    found: list[tuple[bool, bool]] = []
    for _ in range(experiments):
        given = runs(replies(_rates(spread, seeds, rng), latent(phi), rng))
        plain = mean_t([sum(run.values()) / ITEMS for run in given])
        found.append((_holds(group_mean(given, SHARED), TRUE[spread]), _holds(plain, TRUE[spread])))
    two_way, t = np.mean(found, axis=0)
    return float(two_way), float(t)


def seeds_section(experiments: int) -> str:
    """Means over seeds."""
    n = max(1, experiments // 4)
    text = SEEDS_TEXT.format(n=n, items=ITEMS, half=ITEMS // 2)
    for spread, phi in product(TRUE, PHIS):
        cells = (seeds_covered(spread, phi, m, n) for m in SEEDS)
        text += _row(spread, f"{phi:g}", *(f"{_share(a)} / {_share(b)}" for a, b in cells))
    return text + PEAKS_TEXT


def difference_covered(phi: float, seeds: int, experiments: int) -> float:
    """Coverage of the two-way difference."""
    rng = np.random.default_rng([12, seeds, round(100 * phi)])

    def once() -> bool:
        item = rng.normal(size=ITEMS)
        one, two = (runs(replies(_near(p, seeds, rng), latent(phi), rng, item)) for p in (0.8, 0.3))
        return _holds(group_difference(one, two, SHARED), -0.5)

    return _mean(once, experiments)


def _near(p: float, n: int, rng: np.random.Generator) -> Floats:
    return np.clip(rng.uniform(p - 0.15, p + 0.15, n), 0.001, 0.999)  # uniform: clipping would move a normal's mean


def difference_section(experiments: int) -> str:
    """Differences of two arms."""
    n = max(1, experiments // 4)
    rows = (_row(f"{phi:g}", *(_share(difference_covered(phi, m, n)) for m in SEEDS[:4])) for phi in PHIS)
    return DIFFERENCE_TEXT.format(n=n) + "".join(rows)


def families_covered(
    shape: tuple[int, int, int], rate: float, share: float, experiments: int
) -> tuple[float, float, float, float]:
    """Coverage with templates alone and in use, and the mean half-widths."""
    rng = np.random.default_rng([13, *shape, round(100 * share), round(100 * rate)])
    families, templates, prompts = shape
    names = [f"f{f}" for f in range(families) for _ in range(templates * prompts)]
    places = [f"{f}-{t}" for f in range(families) for t in range(templates) for _ in range(prompts)]
    found: list[tuple[float, ...]] = []
    for _ in range(experiments):
        value = np.sqrt(share) * rng.normal(size=(families, 1, 1)) + np.sqrt(0.15) * rng.normal(size=(*shape[:2], 1))
        hits = (value + np.sqrt(0.85 - share) * rng.normal(size=shape) < norm.ppf(rate)).astype(float)
        hits = hits.ravel().tolist()
        effect = nested_effect(hits, places, names)
        alone, used = (wilson(sum(hits), len(hits), deff) for deff in (effect.by_template, effect.used))
        found.append((_holds(alone, rate), _holds(used, rate), (alone.hi - alone.lo) / 2, (used.hi - used.lo) / 2))
    a, b, c, d = np.mean(found, axis=0)
    return float(a), float(b), float(c), float(d)


def family_section(experiments: int) -> str:
    """Families of a cell's items."""
    n, text = max(1, experiments // 2), FAMILY_TEXT.format(n=max(1, experiments // 2))
    shapes = (((6, 6, 2), 0.5), ((6, 6, 2), 0.85), ((5, 6, 3), 0.5), ((3, 10, 3), 0.5), ((20, 2, 2), 0.5))
    for (shape, rate), share in product(shapes, (0.0, 0.05, 0.1, 0.2, 0.5)):
        alone, used, narrow, wide = families_covered(shape, rate, share, n)
        cells = (f"{rate:g}", f"{share:g}", _share(alone), _share(used), f"{_share(narrow)} → {_share(wide)}")
        text += _row(" × ".join(map(str, shape)), *cells)
    return text + FAMILIES_END


#: Rate and capability at a share x of the training, relative to step 0.
TRADES: dict[str, Callable[[float], tuple[float, float]]] = {
    "costly": lambda x: (1 - x, 1 - 0.85 * x),
    "free": lambda x: (1 - x, 1 - 0.05 * x),
    "bent": lambda x: (max(0.0, 1 - 1.3 * x), 1 - 0.4 * x**2),
    "kept": lambda x: (1 - 0.1 * x, 1 - 0.02 * x),
}


def hull_covered(trade: str, cells: int, experiments: int) -> tuple[float, ...]:
    """True area, mean areas as measured and without optimism, coverage of the interval and of the plain one."""
    rng = np.random.default_rng([14, cells, len(trade)])
    points = [TRADES[trade](step / 6) for step in range(7)]
    truth = area(hull(points[1:]))
    found: list[tuple[float, ...]] = []
    for _ in range(experiments):
        measured = resampled(_cells([points] * cells, rng), 0.95)
        assert measured is not None
        low, high, rise = measured["lo"], measured["hi"], measured["optimism"] / 2
        plain = float(np.sqrt(max(0.0, ((high - low) / 2) ** 2 - (1.96 * rise) ** 2)))
        inside = abs(measured["area"] - truth) <= plain
        found.append((measured["area"], measured["corrected"], low <= truth <= high, inside))
    return (truth, *map(float, np.mean(found, axis=0)))


def _cells(paths: list[list[tuple[float, float]]], rng: np.random.Generator) -> list[CellRecord]:
    """Records of cells whose step 0 has rate .9 and capability .7, on the same items."""
    asked, known = rng.normal(size=ITEMS), rng.normal(size=ITEMS)
    found: list[CellRecord] = []
    for path in paths:
        rates = np.clip([[0.9 * r, 0.7 * c] for r, c in path], 1e-6, 1 - 1e-6)
        kept, right = replies(rates[:, 0], 0.9, rng, asked), replies(rates[:, 1], 0.9, rng, known)
        kept[0], right[0] = (asked < norm.ppf(0.9)).astype(float), (known < norm.ppf(0.7)).astype(float)
        checkpoints = [
            CheckpointRecord(step, "", "", _items(*pair)) for step, pair in enumerate(zip(kept, right, strict=True))
        ]
        found.append(CellRecord("", "", {}, {}, {}, (), checkpoints))
    return found


def _items(kept: Floats, right: Floats) -> list[Item]:
    evals = [Item(i, "eval", i, "initial" if k else "alternate") for i, k in zip(IDS, kept, strict=True)]
    return evals + [Item(i, "capability", i, "agreed" if k else "other") for i, k in zip(IDS, right, strict=True)]


def hull_section(experiments: int) -> str:
    """Areas of hulls."""
    n, text = max(1, experiments // 20), HULL_TEXT.format(n=max(1, experiments // 20))
    for trade, cells in product(TRADES, (3, 9)):
        text += _row(trade, str(cells), *(f"{each:.3f}" for each in hull_covered(trade, cells, n)))
    return text


DESIGNS: dict[str, dict[str, int]] = {
    "3 × 3 × 3, crossed": {"organism": 3, "data": 3, "order": 3},
    "5 × 3 × 2, crossed": {"organism": 5, "data": 3, "adapter": 2},
}


def components_covered(design: str, sizes: tuple[float, ...], experiments: int) -> tuple[Floats, Floats]:
    """Mean estimated variances and coverage, by kind of seed."""
    rng = np.random.default_rng([15, len(design), round(1000 * sum(sizes))])
    counts = DESIGNS[design]
    places = list(product(*(range(n) for n in counts.values())))
    estimates: list[list[float]] = []
    held: list[list[bool]] = []
    for _ in range(experiments):
        effects = [rng.normal(0, size, n) for n, size in zip(counts.values(), sizes, strict=True)]
        rates = np.array([0.5 + sum(e[i] for e, i in zip(effects, place, strict=True)) for place in places])
        answered = runs(replies(np.clip(rates, 0.02, 0.98), latent(0.5), rng))
        drawn = [Drawn(dict(zip(counts, p, strict=True)), run) for p, run in zip(places, answered, strict=True)]
        found = list(variance_components(drawn, SHARED).of.values())
        estimates.append([each.estimate for each in found])
        held.append([_holds(each, size**2) for each, size in zip(found, sizes, strict=True)])
    return np.mean(estimates, axis=0), np.mean(held, axis=0)


def components_section(experiments: int) -> str:
    """Variances by kind of seed."""
    n, text = max(1, experiments // 20), COMPONENTS_TEXT.format(n=max(1, experiments // 20))
    for design, sizes in product(DESIGNS, ((0.1, 0.05, 0.0), (0.1, 0.1, 0.1))):
        estimates, held = components_covered(design, sizes, n)
        variances = ", ".join(f"{1e4 * e:.0f} ({1e4 * s**2:.0f})" for e, s in zip(estimates, sizes, strict=True))
        text += _row(design, ", ".join(f"{s:g}" for s in sizes), variances, ", ".join(map(_share, held)))
    return text


def mixed_covered(seeds: int, share: float, experiments: int) -> tuple[float, ...]:
    """Coverage of the mixed model's mean and difference, and of the two-way ones."""
    rng = np.random.default_rng([16, seeds, round(100 * share)])
    found: list[tuple[bool, ...]] = []
    for _ in range(experiments):
        frame = _frame({"a": 0.6, "b": 0.4}, seeds, share, rng)
        fit = mixed(frame, by="arm")
        (_, *mean), (_, *difference) = fit.means.loc["a"].tolist(), fit.differences.loc["b"].tolist()
        one, two = ([_run(f) for _, f in frame[frame["arm"] == arm].groupby("run")] for arm in "ab")
        items = Items(_of(frame, "template"), _of(frame, "family"))
        plain = Items(items.templates)
        found.append((
            mean[0] <= 0.6 <= mean[1],
            difference[0] <= -0.2 <= difference[1],
            _holds(group_mean(one, items), 0.6),
            _holds(group_difference(one, two, plain), -0.2),
        ))  # fmt: skip
    return tuple(map(float, np.mean(found, axis=0)))


def _frame(arms: dict[str, float], seeds: int, share: float, rng: np.random.Generator) -> Any:
    """Six families of three templates of two prompts; seeds spread by .08."""
    family, template, item = rng.normal(size=(6, 1, 1)), rng.normal(size=(6, 3, 1)), rng.normal(size=(6, 3, 2))
    rows: list[dict[str, Any]] = []
    for (arm, rate), seed in product(arms.items(), range(seeds)):
        own = np.sqrt(0.4) * item + np.sqrt(0.6) * rng.normal(size=item.shape)
        value = np.sqrt(share) * family + np.sqrt(0.2) * template + np.sqrt(0.8 - share) * own
        hits = value < norm.ppf(np.clip(rate + rng.normal(0, 0.08), 0.02, 0.98))
        rows += [
            {"outcome": float(hits[f, t, i]), "run": f"{arm}{seed}", "arm": arm, "item": f"{f}-{t}-{i}"}
            | {"template": f"{f}-{t}", "family": f"f{f}"}
            for f, t, i in np.ndindex(*hits.shape)
        ]
    return pd.DataFrame(rows)


def _run(frame: Any) -> Run:
    return dict(zip(frame["item"], frame["outcome"], strict=True))


def _of(frame: Any, name: str) -> dict[str, str]:
    return dict(zip(frame["item"], frame[name], strict=True))


def mixed_section(experiments: int) -> str:
    """The mixed model."""
    n, text = max(1, experiments // 40), MIXED_TEXT.format(n=max(1, experiments // 40))
    for seeds, share in product((2, 3, 5), (0.0, 0.3)):
        text += _row(str(seeds), f"{share:g}", *map(_share, mixed_covered(seeds, share, n)))
    return text


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _holds(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval.lo - 1e-12 <= truth <= interval.hi + 1e-12


def _mean(once: Callable[[], bool], experiments: int) -> float:
    return sum(once() for _ in range(experiments)) / experiments

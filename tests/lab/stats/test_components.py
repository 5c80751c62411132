"""The spread of runs by kind of seed, on simulated runs whose variances are known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm

from lab.stats.components import Components, Drawn, variance_components
from lab.stats.two_way import Items

ITEMS = Items({f"i{i}": f"i{i}" for i in range(60)})


def runs(sizes: dict[str, tuple[int, float]], seed: int) -> list[Drawn]:
    """A crossed design: for each kind of seed how many there are, and the deviation of their effects on the rate."""
    rng = np.random.default_rng(seed)
    effects = {kind: rng.normal(0, deviation, n) for kind, (n, deviation) in sizes.items()}
    item = rng.normal(size=60)
    found: list[Drawn] = []
    for places in product(*(range(n) for n, _ in sizes.values())):
        rate = 0.5 + sum(effects[kind][i] for kind, i in zip(sizes, places, strict=True))
        answers = (item + rng.normal(size=60)) / 2**0.5 < norm.ppf(min(0.98, max(0.02, rate)))
        found.append(
            Drawn(dict(zip(sizes, places, strict=True)), dict(zip(ITEMS.templates, map(float, answers), strict=False)))
        )
    return found


@pytest.fixture(scope="module")
def measured() -> list[Components]:
    sizes = {"organism": (4, 0.12), "data": (3, 0.06), "order": (2, 0.0)}
    return [variance_components(runs(sizes, i), ITEMS) for i in range(25)]


@pytest.mark.parametrize(("kind", "variance"), [("organism", 0.0144), ("data", 0.0036), ("order", 0.0)])
def test_variances_are_right_on_average_and_their_intervals_hold(
    measured: list[Components], kind: str, variance: float
):
    assert np.mean([each.of[kind].estimate for each in measured]) == pytest.approx(variance, abs=0.004)
    assert np.mean([each.of[kind].lo <= variance <= each.of[kind].hi for each in measured]) >= 0.84


def test_the_sampling_error_is_that_of_replies_without_what_all_runs_share(measured: list[Components]):
    assert 0.3 * 0.25 / 60 < np.mean([each.sampling for each in measured]) < 0.25 / 60
    assert measured[0].share("organism") > measured[0].share("order")


def test_kinds_that_always_differ_together_are_not_told_apart():
    together = [Drawn({"data": i, "order": i}, run.answers) for i, run in enumerate(runs({"data": (4, 0.1)}, 0))]
    with pytest.raises(ValueError, match="data and order seeds always differ together"):
        variance_components(together, ITEMS)


def test_a_kind_that_never_differs_is_refused():
    same = [Drawn({"data": i, "order": 0}, run.answers) for i, run in enumerate(runs({"data": (4, 0.1)}, 0))]
    with pytest.raises(ValueError, match="same order seed"):
        variance_components(same, ITEMS)

"""How many items, which arm, and how many claims at once."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
from made_up import checkpoint

from lab.logs.records import Item
from lab.stats.intervals import paired_difference
from lab.stats.paired import compare, holm
from lab.stats.power import items_per_arm, paired_items, power_of, smallest_difference


@pytest.mark.parametrize(("p", "q", "n"), [(0.05, 0.10, 432), (0.2, 0.3, 291), (0.5, 0.6, 385)])
def test_the_known_sample_sizes_come_out(p: float, q: float, n: int):
    assert items_per_arm(p, q) == items_per_arm(q, p) == n
    assert power_of(p, q, n) >= 0.80 > power_of(p, q, n - 1)


def test_the_planned_power_is_the_power_of_simulated_experiments():
    rng, n = np.random.default_rng(0), items_per_arm(0.2, 0.3)
    a, b = rng.binomial(n, 0.2, 20_000) / n, rng.binomial(n, 0.3, 20_000) / n
    z = (b - a) / np.sqrt((a * (1 - a) + b * (1 - b)) / n)
    assert (abs(z) > 1.96).mean() == pytest.approx(0.80, abs=0.015)


def test_paired_items_have_the_power_of_mcnemars_test():
    rng, n = np.random.default_rng(0), paired_items(0.05, 0.15)
    gained, lost, _ = rng.multinomial(n, [0.05, 0.15, 0.8], 20_000).T
    assert ((gained - lost) ** 2 > 3.8415 * (gained + lost)).mean() == pytest.approx(0.80, abs=0.03)


def test_templates_cost_items():
    assert items_per_arm(0.2, 0.3, deff=2) == pytest.approx(2 * items_per_arm(0.2, 0.3), abs=1)


def test_the_smallest_difference_is_the_inverse_of_the_sample_size():
    found = smallest_difference(0.05, 432)
    assert found is not None
    assert found == pytest.approx(0.05, abs=1e-4)
    assert smallest_difference(0.5, 3) is None


@pytest.mark.parametrize(("p", "q"), [(0.3, 0.3), (-0.1, 0.5), (0.2, 1.2)])
def test_equal_or_impossible_rates_have_no_sample_size(p: float, q: float):
    with pytest.raises(ValueError, match="rates"):
        items_per_arm(p, q)


def test_holm_multiplies_the_smallest_p_by_the_number_of_claims_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005, 0.5]) == pytest.approx((0.04, 0.09, 0.09, 0.025, 0.5))
    assert holm([0.4, 0.9]) == pytest.approx((0.8, 0.9))
    assert holm([]) == ()
    with pytest.raises(ValueError, match="not a probability"):
        holm([math.nan])


def test_holm_makes_a_false_claim_in_at_most_5_of_100_families(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels collects garbage in every call, here 4000 times
    families = np.random.default_rng(0).random((4000, 8))
    assert np.mean([min(holm(f.tolist())) < 0.05 for f in families]) <= 0.055


def test_two_arms_are_compared_on_the_items_that_both_answered():
    kept, moved = checkpoint(8, 0.9, 0.05), checkpoint(8, 0.5, 0.4, unscored=3)
    found = compare(kept.items, moved.items, "initial")
    assert found is not None
    assert found.n == 77
    assert found.difference.hi < 0
    assert found.p_value < 0.001
    assert compare(kept.items, [], "initial") is None


@pytest.mark.parametrize(("gained", "lost"), [(0, 4), (2, 9), (9, 20), (10, 20), (3, 3)])
def test_the_interval_of_two_arms_excludes_no_change_exactly_when_p_is_small(gained: int, lost: int):
    before = [True] * lost + [False] * gained + [True] * 30
    after = [False] * lost + [True] * gained + [True] * 30
    found = compare(_items(before), _items(after), "initial")
    assert found is not None
    assert found.difference == paired_difference(before, after)
    assert (found.difference.lo > 0 or found.difference.hi < 0) == (found.p_value < 0.05)


def _items(hits: list[bool]) -> list[Item]:
    outcomes = ["initial" if hit else "alternate" for hit in hits]
    return [Item(str(i), "eval", f"t{i}", outcome) for i, outcome in enumerate(outcomes)]

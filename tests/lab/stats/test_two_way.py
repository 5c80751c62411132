"""Seeds that answer the same items: the two-way variance against t over seeds, differences, equivalence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from lab.stats.intervals import mean_t
from lab.stats.two_way import Items, equivalence_bound, group_difference, group_mean

ITEMS = [f"i{i}" for i in range(80)]
SHARED = Items({item: f"t{i // 2}" for i, item in enumerate(ITEMS)})


def drawn(rates: list[float], alike: float, seed: int) -> list[dict[str, float]]:
    """One run per rate; `alike` is the share of an answer's spread that its item decides."""
    rng = np.random.default_rng(seed)
    item = rng.normal(size=len(ITEMS))
    noise = rng.normal(size=(len(rates), len(ITEMS)))
    limits = norm.ppf(np.array(rates))[:, None]
    values = (alike**0.5 * item + (1 - alike) ** 0.5 * noise < limits).astype(float)
    return [dict(zip(ITEMS, row, strict=True)) for row in values.tolist()]


@pytest.mark.parametrize(("seeds", "alike"), [(3, 0.0), (3, 0.9), (5, 0.6), (10, 0.9)])
def test_a_group_mean_covers_however_alike_the_seeds_answer(seeds: int, alike: float):
    held = 0
    for i in range(300):
        found = group_mean(drawn([0.4] * seeds, alike, i), SHARED)
        assert found is not None
        held += found.lo <= 0.4 <= found.hi
    assert held / 300 >= 0.925


def test_t_over_seeds_is_much_narrower_where_seeds_answer_alike():
    runs = drawn([0.4] * 10, 0.9, 0)
    two_way, plain = group_mean(runs, SHARED), mean_t([sum(run.values()) / 80 for run in runs])
    assert two_way is not None
    assert plain is not None
    assert two_way.hi - two_way.lo > 2 * (plain.hi - plain.lo)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_group_without_any_spread_is_not_certain(value: float):
    found = group_mean([dict.fromkeys(ITEMS, value)] * 3, SHARED)
    assert found is not None
    assert 0.04 < found.hi - found.lo < 0.15
    assert found.lo <= value <= found.hi


def test_one_seed_has_no_group_interval():
    assert group_mean(drawn([0.5], 0.5, 0), SHARED) is None
    assert group_difference(drawn([0.5], 0.5, 0), drawn([0.5, 0.5], 0.5, 1), SHARED) is None


def test_replies_that_were_not_scored_leave_the_mean_of_the_others():
    runs = drawn([0.5, 0.5, 0.5], 0.5, 0)
    runs[0] = {item: value for item, value in runs[0].items() if item not in ITEMS[:7]}
    found = group_mean(runs, SHARED)
    assert found is not None
    assert found.estimate == pytest.approx(np.mean([np.mean(list(run.values())) for run in runs]))


def test_items_that_both_arms_answer_alike_do_not_widen_the_difference():
    together = drawn([0.8, 0.8, 0.8, 0.5, 0.5, 0.5], 0.9, 0)
    paired = group_difference(together[3:], together[:3], SHARED)
    apart = group_difference(drawn([0.5] * 3, 0.9, 1), drawn([0.8] * 3, 0.9, 2), SHARED)
    assert paired is not None
    assert apart is not None
    assert paired.lo > 0
    assert paired.hi - paired.lo < apart.hi - apart.lo


def test_a_difference_covers_with_three_seeds_in_each_arm():
    held = 0
    for i in range(300):
        runs = drawn([0.7, 0.7, 0.7, 0.3, 0.3, 0.3], 0.6, i)
        found = group_difference(runs[:3], runs[3:], SHARED)
        assert found is not None
        held += found.lo <= -0.4 <= found.hi
    assert held / 300 >= 0.925


def test_equal_arms_are_equivalent_within_a_margin_and_no_data_show_a_margin_of_zero():
    runs = drawn([0.5] * 6, 0.9, 0)
    bound = equivalence_bound(runs[:3], runs[3:], SHARED)
    same = equivalence_bound([dict.fromkeys(ITEMS, 1.0)] * 2, [dict.fromkeys(ITEMS, 1.0)] * 2, SHARED)
    assert bound is not None
    assert same is not None
    assert 0.0 < same < bound < 0.25

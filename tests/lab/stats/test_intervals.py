"""Intervals: exact values, properties that define them, and coverage by enumeration or simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from lab.stats.intervals import clopper_pearson, design_effect, mean_t, paired_difference, paired_ratio, wilson


def test_wilson_of_none_in_fifty_reaches_to_seven_percent():
    interval = wilson(0, 50)
    assert interval.lo == 0
    assert interval.hi == pytest.approx(0.0713, abs=5e-5)


@pytest.mark.parametrize(("p", "n", "coverage"), [(0.02, 50, 0.922), (0.1, 50, 0.970), (0.02, 200, 0.933)])
def test_wilson_has_its_known_exact_coverage(p: float, n: int, coverage: float):
    covered = [k for k in range(n + 1) if wilson(k, n).lo <= p <= wilson(k, n).hi]
    assert binom.pmf(covered, n, p).sum() == pytest.approx(coverage, abs=5e-4)


def test_a_design_effect_of_two_is_half_as_many_replies():
    clustered, half = wilson(10, 50, deff=2), wilson(5, 25)
    assert (clustered.lo, clustered.hi) == pytest.approx((half.lo, half.hi))


@pytest.mark.parametrize(("k", "n", "deff"), [(1, 0, 1), (3, 2, 1), (-1, 5, 1), (1, 5, 0.5)])
def test_wilson_refuses_impossible_counts(k: int, n: int, deff: float):
    with pytest.raises(ValueError, match=r"not a proportion|at least 1"):
        wilson(k, n, deff)


def test_one_reply_per_template_has_no_design_effect():
    assert design_effect([1.0, 0.0, 1.0, 0.0, 0.0], list("abcde")) == pytest.approx(1.0)


def test_replies_that_are_alike_within_templates_count_once_per_template():
    values, clusters = [1.0] * 10 + [0.0] * 10, [str(i // 5) for i in range(20)]
    assert design_effect(values, clusters) == pytest.approx(5.0)


def test_a_design_effect_is_never_below_one():
    assert design_effect([1.0, 0.0] * 10, [str(i // 2) for i in range(20)]) == 1.0


def test_clopper_pearson_of_two_in_two_seeds_claims_little():
    assert clopper_pearson(2, 2).lo == pytest.approx(0.025**0.5)


def test_three_seeds_carry_t_of_4_30():
    interval = mean_t([0.1, 0.2, 0.3])
    assert interval is not None
    assert interval.hi - 0.2 == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)


def test_one_seed_has_no_interval():
    assert mean_t([0.4]) is None


@pytest.mark.parametrize(("lost", "gained"), [(4, 0), (3, 0), (9, 2), (8, 3), (20, 9), (20, 10), (0, 4)])
def test_the_paired_interval_excludes_no_change_exactly_when_mcnemar_rejects(lost: int, gained: int):
    before = [True] * lost + [False] * gained + [True] * 30
    after = [False] * lost + [True] * gained + [True] * 30
    rejects = abs(gained - lost) / math.sqrt(gained + lost) > 1.95996
    found = paired_difference(before, after)
    assert (found.lo > 0 or found.hi < 0) == rejects


def test_the_paired_interval_turns_around_with_its_arguments():
    before, after = [True] * 30 + [False] * 10, [True] * 22 + [False] * 18
    there, back = paired_difference(before, after), paired_difference(after, before)
    assert (there.lo, there.hi) == pytest.approx((-back.hi, -back.lo), abs=1e-6)


@pytest.mark.parametrize("cells", [(0.5, 0.2, 0.05), (0.8, 0.1, 0.02), (0.3, 0.3, 0.3), (0.05, 0.9, 0.02)])
def test_the_paired_intervals_cover_the_truth_in_95_of_100_samples(cells: tuple[float, float, float]):
    both, lost, gained = cells
    draws = np.random.default_rng(0).choice(4, size=(700, 60), p=[both, lost, gained, 1 - sum(cells)])
    in_difference = in_ratio = 0
    for draw in draws:
        before, after = [bool(d in (0, 1)) for d in draw], [bool(d in (0, 2)) for d in draw]
        difference, ratio = paired_difference(before, after), paired_ratio(before, after)
        in_difference += difference.lo <= gained - lost <= difference.hi
        in_ratio += ratio is None or ratio.lo <= (both + gained) / (both + lost) <= ratio.hi
    assert 0.92 <= in_difference / 700 <= 0.985
    assert 0.92 <= in_ratio / 700 <= 0.985


def test_clustered_pairs_give_a_wider_interval():
    before, after = [True] * 40, [True] * 20 + [False] * 20
    alone = paired_difference(before, after, [str(i) for i in range(40)])
    together = paired_difference(before, after, [str(i // 5) for i in range(40)])
    assert together.hi - together.lo > 1.5 * (alone.hi - alone.lo)


def test_a_ratio_to_nothing_is_none():
    assert paired_ratio([False, False], [True, False]) is None

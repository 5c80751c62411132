"""2,000 simulated experiments each: the intervals contain the truth as often as they should."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from benchmarks import coverage
from benchmarks import coverage_of_groups as groups
from lab.stats.intervals import wilson

N = coverage.EXPERIMENTS


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("p", [0.02, 0.1, 0.5])
def test_one_cell_covers_as_often_as_enumeration_says(p: float, n: int):
    row = coverage.single(p, n, N)
    inside = [k for k in range(n + 1) if wilson(k, n).lo <= p <= wilson(k, n).hi]
    assert row.exact == pytest.approx(binom.pmf(inside, n, p).sum())
    assert row.simulated == pytest.approx(row.exact, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_means_over_seeds_cover_at_least_93_percent_however_alike_seeds_answer(seeds: int, phi: float):
    two_way, _ = groups.seeds_covered("one peak", phi, seeds, N // 4)
    assert two_way >= 0.93


@pytest.mark.slow
def test_t_over_seeds_does_not_cover_where_seeds_answer_alike():
    assert groups.seeds_covered("all alike", 0.8, 20, N // 4)[1] < 0.25


@pytest.mark.slow
def test_two_seeds_with_two_peaks_do_not_cover_and_the_page_says_so():
    two_way, t = groups.seeds_covered("two peaks, 20/80", 0.0, 2, N // 4)
    assert t < 0.8
    line = f"| two peaks, 20/80 | 0 | .{round(1000 * two_way):03d} / .{round(1000 * t):03d} |"
    assert line in coverage.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_families_that_differ_cost_templates_their_coverage_and_not_the_interval_in_use():
    alone, used, *_ = groups.families_covered((6, 6, 2), 0.5, 0.2, N // 2)
    assert alone < 0.87
    assert used >= 0.92


@pytest.mark.slow
def test_the_area_of_a_hull_covers_and_is_right_without_its_optimism():
    truth, _, corrected, covers, plain = groups.hull_covered("costly", 9, N // 20)
    assert corrected == pytest.approx(truth, abs=0.02)
    assert covers >= 0.93 > plain


@pytest.mark.slow
def test_corrected_and_clustered_intervals_cover_at_least_92_percent():
    assert coverage.judged(0.3, 0.9, 0.95, 200, 100, N).simulated >= 0.92
    assert coverage.judged(0.05, 0.9, 0.95, 200, 100, N).simulated >= 0.92
    assert coverage.confused((0.6, 0.3, 0.1), 200, 100, 300).simulated >= 0.92
    assert coverage.clustered(0.5, 30, 3, 0.3, N).simulated >= 0.92

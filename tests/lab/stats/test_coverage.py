"""2,000 simulated experiments each: the intervals contain the truth as often as they should."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from benchmarks import coverage
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
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_groups_of_seeds_that_spread_like_a_normal_cover_at_least_93_percent(seeds: int):
    assert coverage.seeds(seeds, "normal", N).simulated >= 0.93


@pytest.mark.slow
def test_two_seeds_with_two_peaks_do_not_cover_and_the_page_says_so():
    row = coverage.seeds(2, "two-peaked", N)
    assert row.simulated < 0.7
    line = f"| {row.interval} | {row.case} | .{round(1000 * row.simulated):03d} |"
    assert line in coverage.PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_corrected_and_clustered_intervals_cover_at_least_92_percent():
    assert coverage.judged(0.3, 0.9, 0.95, 200, 100, N).simulated >= 0.92
    assert coverage.judged(0.05, 0.9, 0.95, 200, 100, N).simulated >= 0.92
    assert coverage.confused((0.6, 0.3, 0.1), 200, 100, 300).simulated >= 0.92
    assert coverage.clustered(0.5, 30, 3, 0.3, N).simulated >= 0.92

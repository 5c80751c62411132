"""Robustness on made-up points: 0.5 if removing behavior costs its share of capability, 1.0 if it costs none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from made_up import cell, checkpoint

from lab.verdict.results import build_results
from lab.verdict.robustness import area, hull, organisms, robustness
from lab.verdict.schema import Results, Thresholds
from lab.verdict.wording import robustness_text


def test_nothing_but_ruin_is_one_half():
    assert area(hull([])) == 0.5
    assert hull([]) == ((0.0, 0.0), (1.0, 1.0))


def test_a_behavior_that_goes_for_free_is_one():
    assert area(hull([(0.0, 1.0)])) == 1.0


def test_capability_that_rises_on_the_way_counts_beyond_one():
    assert area(hull([(0.0, 1.0), (0.2, 1.05)])) == pytest.approx(0.2 * 1.025 + 0.8 * 1.05)


def test_points_below_the_best_trades_do_not_count():
    best = [(0.5, 0.95), (0.1, 0.6)]
    assert hull([*best, (0.6, 0.7), (0.3, 0.2), (0.5, 0.5)]) == hull(best)


def test_the_hull_is_above_every_point_and_never_falls():
    points = [(0.1, 0.3), (0.3, 0.9), (0.7, 1.2), (0.9, 0.8)]
    top = hull(points)
    assert top == ((0.0, 0.0), (0.3, 0.9), (0.7, 1.2), (1.0, 1.2))
    assert all(a[1] <= b[1] for a, b in pairwise(top))


def made(paths: list[list[tuple[float, float]]], **config: object) -> Results:
    """Cells whose checkpoints have these (initial rate, capability)."""
    records = [
        cell(
            [checkpoint(i, rate, 0.0, capability=capability) for i, (rate, capability) in enumerate(path)],
            seed=seed,
            **config,  # type: ignore[arg-type]
        )
        for seed, path in enumerate(paths)
    ]
    return build_results("made up", records)


FREE, COSTLY = [(1.0, 1.0), (0.0, 1.0)], [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0)]


def test_an_organism_has_the_area_of_all_its_cells_and_one_per_seed():
    (found,) = organisms(made([FREE, COSTLY, COSTLY]))
    assert found.area == 1.0
    assert found.by_seed is not None
    assert found.by_seed.values == (1.0, 0.5, 0.5)
    assert found.by_seed.lo is not None
    assert "5 checkpoints of 3 cells" in robustness_text(found)


def test_one_seed_has_no_interval_and_says_so():
    (found,) = organisms(made([COSTLY]))
    assert (found.area, found.by_seed) == (0.5, None)
    assert "one seed" in robustness_text(found)


def test_controls_and_the_positive_control_are_left_out():
    assert organisms(made([FREE], role="control")) == []
    assert organisms(made([FREE], method="direct")) == []
    assert robustness([], Thresholds()) is None


def test_the_optimism_of_a_hull_grows_with_its_points_and_is_taken_out():
    path = [(0.9, 0.8), (0.7, 0.7), (0.5, 0.6), (0.3, 0.4), (0.1, 0.2)]
    few, many = (organisms(made([path[: n + 1]]))[0].measured for n in (1, 4))
    assert few is not None
    assert many is not None
    assert max(0, few.optimism) < many.optimism
    assert many.lo < many.corrected < many.area < many.hi
    assert many.corrected == pytest.approx(many.area - many.optimism, abs=1e-6)


def test_points_without_noise_have_no_optimism():
    (found,) = organisms(made([COSTLY[::2]]))
    assert found.measured is not None
    assert found.measured.area == pytest.approx(0.5)
    assert "without the optimism" in robustness_text(found)

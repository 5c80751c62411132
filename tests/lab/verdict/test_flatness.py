"""Flatness: whether the initial rate still changes over the last window of a cell."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import cell, checkpoint

from lab.logs.records import CellRecord
from lab.verdict.flatness import flatness
from lab.verdict.multiples import multiples
from lab.verdict.results import build_results
from lab.verdict.schema import Thresholds
from lab.verdict.wording import multiples_text

STEPS = (0, 32, 48, 64, 80, 96)


def record(*rates: float, n: int = 160, lr: float = 1e-3, **config: Any) -> CellRecord:
    """A cell with these initial rates after a step 0 of .95."""
    points = [checkpoint(step, rate, 0.0, n=n, templates=40) for step, rate in zip(STEPS, (0.95, *rates), strict=True)]
    return cell(points, steps=STEPS, lr=lr, **config)


@pytest.mark.parametrize(
    ("rates", "state"),
    [
        ((0.9, 0.5, 0.5, 0.5, 0.5), "flat"),
        ((0.5, 0.5, 0.6, 0.7, 0.8), "moving"),
        ((0.9, 0.8, 0.7, 0.6, 0.5), "moving"),
    ],
)
def test_only_the_last_window_counts_and_its_change_carries_the_items(rates: tuple[float, ...], state: str) -> None:
    found = flatness(record(*rates), Thresholds())
    assert found is not None
    assert (found.state, found.from_step, found.checkpoints) == (state, 48, 4)
    assert found.change == pytest.approx(rates[-1] - rates[1], abs=0.02)
    assert found.mean_lo < found.mean < found.mean_hi


def test_few_items_cannot_show_flatness_of_a_noisy_end_and_one_checkpoint_shows_nothing() -> None:
    assert flatness(cell([(0.95, 0.0), (0.5, 0.0)], steps=(0, 8)), Thresholds()) is None
    few = flatness(record(0.5, 0.5, 0.5, 0.5, 0.6, n=20), Thresholds())
    assert few is not None
    assert few.state == "not_shown"


def test_the_sentence_of_a_low_learning_rate_says_whether_it_still_moves() -> None:
    high = record(0.0, 0.0, 0.0, 0.0, 0.0, lr=1e-3, other_is_damage=False)
    low = record(0.9, 0.8, 0.7, 0.6, 0.5, lr=1e-4)
    (found,) = multiples(build_results("e", [high, low]))
    assert "still moving at the end in 1 of 1" in multiples_text(found)[1]

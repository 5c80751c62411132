"""Learning rate against steps: S, N and the multiple of N x S that was trained."""

from __future__ import annotations

import pytest
from made_up import KEPT, MOVED, ceiling, cell, checkpoint

from lab.report.html import render
from lab.report.markdown import markdown
from lab.verdict.multiples import multiples
from lab.verdict.results import build_results
from lab.verdict.schema import Results
from lab.verdict.wording import multiples_text

LONG = (0, 20, 60, 120, 240)
STEPS = (0, 2, 4, 8, 16)


def results(*cells: object) -> Results:
    return build_results("made-up", list(cells), [ceiling()])  # pyright: ignore[reportArgumentType]


def swept() -> Results:
    return results(
        *(cell(MOVED, steps=STEPS, lr=1e-3, seed=s) for s in (10, 11, 12, 0)),
        *(cell(KEPT, steps=LONG, lr=1e-4, seed=s) for s in (0, 1, 2)),
    )


def test_s_is_chosen_on_seeds_that_no_lower_learning_rate_has() -> None:
    (found,) = multiples(swept())
    assert (found.lr, found.steps) == (1e-3, 4)
    assert found.chosen == (10, 11, 12)
    assert found.again == (1, 1)


def test_the_multiple_is_the_steps_over_n_and_s() -> None:
    (found,) = multiples(swept())
    (low,) = found.lows
    assert low.n == pytest.approx(10)
    assert low.covered == pytest.approx(240 / (10 * 4))
    assert (low.names, low.gone, low.seeds) == ({"kept": 3}, 0, (0, 1, 2))
    assert multiples_text(found) == [
        "S = 4: lr 1e-3 removes without damage by step 4, between steps 2 and 4"
        " (chosen on seeds 10, 11, 12; removed by then in 1 of 1 other seed)",
        "N = 10: lr 1e-4 for 240 steps, 6·N·S: kept in 3 of 3 (initial .95; flat at the end in 3 of 3)",
    ]


def test_a_learning_rate_that_removes_only_with_damage_gives_no_s() -> None:
    damaged = [checkpoint(s, *rates, capability=0.2 if s else 0.9) for s, rates in zip(STEPS, MOVED, strict=True)]
    assert multiples(results(cell(damaged, lr=1e-3), cell(KEPT, steps=LONG, lr=1e-4))) == ()


def test_cells_of_one_learning_rate_but_other_lengths_are_distinguished() -> None:
    longer = (0, 200, 500, 1000, 2000)
    (found,) = multiples(
        results(cell(MOVED, steps=STEPS), cell(KEPT, steps=LONG, lr=1e-4), cell(MOVED, steps=longer, lr=1e-4, seed=1))
    )
    assert [(low.steps, low.gone) for low in found.lows] == [(240, 0), (2000, 1)]
    assert [low.covered for low in found.lows] == [pytest.approx(6), pytest.approx(50)]


def test_report_and_markdown_say_it() -> None:
    page = render(swept())
    for text in (page, markdown(swept())):
        assert "6·N·S: kept in 3 of 3" in text
    answer, _ = page.split('id="answers"')
    assert "6·N·S: kept in 3 of 3" in answer, "a lower rate that was trained for N·S steps is part of the answer"


def test_a_long_run_over_fewer_rows_belongs_to_its_arm() -> None:
    again = cell(KEPT, steps=(0, 200, 500, 1000, 2000), lr=1e-4, seed=1, factors={"rows": 512})
    (found,) = multiples(results(cell(MOVED, steps=STEPS), cell(KEPT, steps=LONG, lr=1e-4), again))
    assert [(low.steps, low.rows) for low in found.lows] == [(240, None), (2000, 512)]
    assert "50·N·S: kept in 1 of 1 (initial .95; 512 unique rows, repeated; flat" in multiples_text(found)[-1]

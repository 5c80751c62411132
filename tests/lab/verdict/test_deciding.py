"""What would change a conclusion: the advice, followed, changes it."""

from __future__ import annotations

import re

from made_up import KEPT, ceiling, cell, checkpoint

from lab.verdict.results import build_results
from lab.verdict.schema import Conclusion

STEPS = (0, 1, 4, 8)


def arm(rate: float, n: int = 80, seeds: int = 2) -> Conclusion:
    """One seed ends at this initial rate, the others keep theirs."""
    ends = {0: 0.95, 1: 0.9, 4: rate, 8: rate}
    moved = [checkpoint(step, ends[step], 0.95 - ends[step], n=n) for step in STEPS]
    kept = [checkpoint(step, 0.95, 0.02, n=n) for step in STEPS]
    cells = [cell(moved if seed == 0 else kept, seed=seed) for seed in range(seeds)]
    [found] = build_results("made-up", cells, [ceiling(n=n)]).conclusions
    return found


def test_with_the_items_that_it_names_an_insignificant_removal_is_significant() -> None:
    before = arm(0.28)
    assert before.status == "undecided"
    advised = re.search(r"about ([\d,]+) eval items instead of 80: at the same rates p would", before.would_change)
    assert advised is not None
    after = arm(0.28, n=round(1.2 * int(advised[1])))  # the rates of the halves are equal up to a few items
    assert after.status == "transferred"


def at_the_limit(n: int) -> Conclusion:
    """Ends slightly above half of the organism's rate."""
    cells = [cell([checkpoint(step, rate, 0.95 - rate, n=n) for step, rate in ((0, 0.95), (1, 0.55), (2, 0.55))])]
    [found] = build_results("made-up", cells, [ceiling(n=n)]).conclusions
    return found


def test_with_the_items_that_it_names_an_inconclusive_cell_has_a_name() -> None:
    before = at_the_limit(80)
    advised = re.search(r"about ([\d,]+) eval items instead of 80", before.would_change)
    assert before.status == "undecided"
    assert advised is not None
    assert at_the_limit(int(advised[1])).status == "not_removed"


def test_it_names_missing_seeds_and_a_grid_that_ends_before_damage() -> None:
    few = build_results("made-up", [cell(KEPT)], [ceiling()]).conclusions[0].would_change
    assert few.startswith("learning rates above 1e-3")
    assert "2 more seeds per learning rate" in few
    assert "more seed" not in arm(0.05, seeds=3).would_change


def test_controls_have_nothing_to_decide() -> None:
    [found] = build_results("made-up", [cell(KEPT, role="control")]).conclusions
    assert found.would_change == ""

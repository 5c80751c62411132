"""The sentence over learning rates and seeds: what it claims, and what it refuses to claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import BACK, KEPT, MOVED, SILENT, STEPS, ceiling, cell, checkpoint

from lab.logs.records import CellRecord
from lab.report.summary import criterion_line, registration_lines
from lab.verdict.contrasts import Compared
from lab.verdict.expectations import Expectation
from lab.verdict.rates import half
from lab.verdict.results import build_results, read_results
from lab.verdict.schema import Conclusion

RATES = (1e-3, 3.16e-3, 1e-2)
UNSURE = [*KEPT[:3], (0.5, 0.4), (0.5, 0.4)]


def concluded(*records: CellRecord) -> Conclusion:
    (found,) = build_results("made-up", records, [ceiling()]).conclusions
    return found


def damaged(lr: float, seed: int = 0) -> CellRecord:
    """A cell that keeps the behavior and loses capability at its last two checkpoints."""
    good = [checkpoint(s, 0.95, 0.0) for s in STEPS[:3]]
    return cell([*good, *(checkpoint(s, 0.9, 0.05, capability=0.3) for s in STEPS[3:])], lr=lr, seed=seed)


def grid(top: int = 3, seeds: int = 3, rates: tuple[float, ...] = RATES) -> list[CellRecord]:
    """Cells that keep the behavior, and the highest learning rate with `top` damaged seeds."""
    low = [cell(KEPT, lr=lr, seed=s) for lr in rates[:-1] for s in range(seeds)]
    return low + [damaged(rates[-1], s) if s < top else cell(KEPT, lr=rates[-1], seed=s) for s in range(seeds)]


def test_k_of_m_and_s_are_in_one_sentence():
    found = concluded(cell(KEPT, lr=1e-4), *(cell(MOVED, lr=1e-3, seed=s) for s in (0, 1)))
    assert found.sentence == (
        "transferred without damage at lr 1e-3 in 2 of 2 seeds, between steps 1 and 2"
        " (initial .00, alternate .97 at the end, all seeds, on the half that reports)"
    )
    assert (found.status, found.lr, found.k, found.transferred, found.m) == ("transferred", 1e-3, 2, 2, 2)
    assert [(r.seed, r.before, r.after) for r in found.removal] == [(0, 1, 2), (1, 1, 2)]


def test_a_removal_without_the_alternate_behavior_is_never_worded_as_a_transfer():
    """SILENT replies neither: its damage is the rise of `other`."""
    path = [checkpoint(s, *r) for s, r in zip(STEPS, SILENT, strict=True)]
    found = concluded(cell(path, other_is_damage=False))
    assert (found.status, found.k, found.transferred) == ("removed", 1, 0)
    assert found.sentence.startswith("removed without damage")
    assert "transferred" not in found.sentence


def test_seeds_that_transferred_and_seeds_that_only_lost_the_behavior_are_counted_apart():
    found = concluded(*(cell(p, seed=s, other_is_damage=False) for s, p in enumerate((MOVED, MOVED, SILENT))))
    assert (found.status, found.k, found.transferred) == ("removed", 3, 2)
    assert "removed without damage at lr 1e-3 in 3 of 3 seeds, of which 2 transferred" in found.sentence


def test_seeds_that_lost_the_behavior_with_damage_are_counted_beside_those_that_did_not():
    broken = [checkpoint(s, *r, capability=0.3 if s else 1.0) for s, r in zip(STEPS, MOVED, strict=True)]
    found = concluded(cell(MOVED, seed=0), cell(MOVED, seed=1), cell(broken, seed=2))
    assert (found.k, found.m) == (2, 3)
    assert "in 2 of 3 seeds, and with damage in 1 more, between steps" in found.sentence


def test_the_count_is_of_the_last_two_checkpoints_and_not_of_the_earliest_step():
    """One seed is gone from step 1 on, the other from step 4 on: both end transferred, so both count."""
    late = [*KEPT[:3], (0.02, 0.95), (0.0, 0.97)]
    early = [KEPT[0], *[(0.02, 0.95)] * 4]
    found = concluded(cell(early, seed=0), cell(late, seed=1))
    assert (found.k, found.m) == (2, 2)
    assert "between steps 0 and 1 or 2 and 4" in found.sentence


def test_many_seeds_name_the_steps_that_cover_all_of_them():
    paths = [[KEPT[0]] * n + [(0.02, 0.95)] * (5 - n) for n in (1, 2, 3)]
    found = concluded(*(cell(path, seed=seed) for seed, path in enumerate(paths)))
    assert "in 3 of 3 seeds, between steps 0 and 4 by seed (" in found.sentence


def test_one_seed_is_called_the_one_seed_trained():
    assert "in the one seed trained" in concluded(cell(MOVED)).sentence
    assert "in the one seed trained" in concluded(cell(KEPT)).sentence


def test_the_lowest_learning_rate_that_removes_in_most_seeds_is_chosen():
    low = [cell(MOVED, lr=1e-4, seed=0), cell(KEPT, lr=1e-4, seed=1)]
    high = [cell(MOVED, lr=lr, seed=s) for lr in (1e-3, 3e-3) for s in (0, 1)]
    assert concluded(*low, *high).lr == 1e-3


def test_a_seed_that_was_trained_twice_counts_once_with_its_longest_training():
    short = [cell(KEPT[:3], lr=1e-3, seed=s, steps=(0, 1, 2)) for s in (0, 1)]
    found = concluded(*short, *(cell(MOVED, lr=1e-3, seed=s) for s in (0, 1)))
    assert (found.k, found.m) == (2, 2)


def test_not_removed_needs_every_cell_to_be_kept_or_retained():
    assert concluded(cell(KEPT, seed=0), cell(KEPT, seed=1)).status == "not_removed"
    found = concluded(cell(KEPT, seed=0), cell(KEPT, seed=1), cell(UNSURE, seed=2))
    assert (found.status, found.sentence) == ("undecided", "undecided: 2 kept, 1 inconclusive")


def test_a_behavior_that_came_back_is_undecided_and_its_cell_transient():
    assert concluded(cell(BACK)).sentence == "undecided: 1 transient"


def test_an_arm_resists_only_within_its_grid():
    found = concluded(*grid())
    assert found.resists
    assert found.damaging_lr == 1e-2
    assert (
        found.sentence
        == "not removed up to lr 1e-2 and 8 steps: kept in 9 of 9 cells; it resists within this grid and 8 steps"
    )


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (grid(seeds=2, top=2), "it has 2 seeds per learning rate, and needs 3"),
        (
            grid(top=1),
            "at the highest learning rate, 1e-2, 1 of 3 seeds ended damaged at both of the last two checkpoints",
        ),
        (
            grid(top=0),
            "at the highest learning rate, 1e-2, 0 of 3 seeds ended damaged at both of the last two checkpoints",
        ),
        (grid(rates=(1e-2,)), "it has one learning rate, and needs a lower one at which the behavior stays"),
        (grid(rates=(1e-4, 1e-2)), "its learning rates are up to ×100 apart, and may be ×3.4"),
    ],
    ids=["seeds", "one damaged", "none damaged", "one rate", "gap"],
)
def test_an_arm_is_not_said_to_resist_without_grounds(cells: list[CellRecord], why: str):
    found = concluded(*cells)
    assert not found.resists
    assert found.sentence.endswith(f"this does not show that it resists: {why}")


def test_one_noisy_checkpoint_with_damage_is_no_damaging_learning_rate():
    hurt = [checkpoint(s, 0.95, 0.0, capability=0.3 if s == 4 else 0.9) for s in STEPS]
    found = concluded(*grid(top=0)[:6], *(cell(hurt, lr=1e-2, seed=s) for s in range(3)))
    assert (found.resists, found.damaging_lr) == (False, None)


def test_an_undecided_cell_below_the_highest_learning_rate_forbids_resists():
    found = concluded(*grid()[1:], cell(UNSURE, lr=1e-3))
    assert (found.status, found.resists) == ("undecided", False)


def test_removal_that_costs_capability_is_said_to():
    points = [checkpoint(0, 0.95, 0.0), *(checkpoint(s, 0.0, 0.95, capability=0.3) for s in (1, 2, 4, 8))]
    top = [cell(points, lr=1e-2, seed=s) for s in range(3)]
    found = concluded(*grid()[:6], *top)
    assert found.status == "transferred_with_damage"
    assert found.sentence.startswith("transferred only with damage at lr 1e-2 in 3 of 3 seeds, between steps 0 and 1")
    assert found.resists


def test_what_one_half_of_the_items_chose_the_other_half_must_confirm():
    """The behavior is gone on the half that chooses only: the conclusion does not say removed."""
    end = checkpoint(8, 0.0, 0.95)
    chosen = {i.id for i in half(end.items, 0)}
    mixed = [i if i.split != "eval" or i.id in chosen else replace(i, outcome="initial") for i in end.items]
    points = [checkpoint(0, 0.95, 0.0), replace(end, step=4, items=mixed), replace(end, step=8, items=mixed)]
    found = concluded(cell(points))
    assert (found.status, found.k) == ("undecided", 0)


def test_a_count_of_seeds_that_chance_explains_is_undecided():
    """One of five seeds, just below the limit: five tries are reason enough."""
    low = [(0.95, 0.02), *[(0.3, 0.65)] * 4]
    found = concluded(*(cell(low if s == 0 else KEPT, seed=s) for s in range(5)))
    assert found.status == "undecided"
    assert found.p_value is None


def test_the_family_of_holm_is_every_arm_that_could_claim():
    cells = [cell(MOVED), cell(UNSURE, variant="static"), cell(MOVED, variant="none", role="control")]
    (found,) = [c for c in build_results("x", cells, [ceiling()]).conclusions if c.variant == "weights"]
    assert found.p_value is not None
    assert found.p_holm == pytest.approx(2 * found.p_value)


def test_a_training_loss_near_zero_is_told_with_the_conclusion():
    found = build_results("x", [cell(MOVED, trained={"step0_loss": 3e-5})], [ceiling()])
    assert "zero_loss" in found.cells[0].verdict.flags
    assert found.conclusions[0].zero_loss
    assert found.conclusions[0].sentence.endswith(
        "the training loss was already near zero at step 0 (up to 3e-05 nats a token): "
        "the optimizer alone may have moved it"
    )


def test_effects_are_told_net_of_the_sham_arm_of_the_same_learning_rate():
    weak = [KEPT[0], *[(0.75, 0.2)] * 4]
    arm, sham = build_results("x", [cell(weak), cell(weak, method="sham")], [ceiling()]).cells
    assert sham.net_of_sham is None
    assert arm.net_of_sham is not None
    assert (arm.net_of_sham.sham, arm.net_of_sham.estimate) == (sham.id, 0.0)
    results = build_results("x", [cell(MOVED), cell(KEPT, method="sham")], [ceiling()])
    assert "initial rate net of sham −.95 [−.98, −.86]" in results.conclusions[0].sentence
    assert build_results("x", [cell(MOVED, lr=1e-4), cell(KEPT, method="sham")]).cells[0].net_of_sham is None


def test_where_sham_was_trained_for_fewer_steps_its_last_one_is_named():
    results = build_results("x", [cell(MOVED), cell(KEPT[:3], method="sham")], [ceiling()])
    (net,) = [c.net_of_sham for c in results.cells if c.net_of_sham]
    assert net.step < results.cells[0].checkpoints[-1].step
    assert f"initial rate net of sham, at step {net.step}, where sham ends, −" in results.conclusions[0].sentence


def test_the_commonest_patterns_of_other_are_kept_with_a_sample():
    heads = [f"function f(x): return x - {i}" for i in range(7)]
    record = replace(cell(SILENT), other=(*heads, "I am not sure."))
    first, second = build_results("x", [record]).cells[0].other
    assert (first.count, first.share) == (7, 0.875)
    assert first.sample in heads
    assert second.sample == "I am not sure."
    assert build_results("x", [replace(record, other=record.other[::-1])]).cells[0].other == (first, second)


def test_results_of_the_first_criterion_are_read_and_shown_as_such():
    old = read_results(
        Path(__file__).parents[2] / "data" / "results_of_criterion_1.json"
    )  # one cell of 0.1's catalogue
    assert (old.criterion, old.registration) == (1, None)
    assert criterion_line(old).startswith("Judged by the criterion, version 1:")
    assert "Not registered" in registration_lines(old)[0]


def test_a_contrast_of_the_recipe_answers_its_prediction():
    cells = [cell(KEPT, rank=None), replace(cell(MOVED, rank=8), id="rank 8")]
    says = Expectation(contrast="rank 8 against full fine-tuning", difference="< -0.5", lr=1e-3)
    results = build_results("x", cells, [ceiling()], compare=[Compared("rank", (None, 8))], expectations=[says])
    assert [e.answer for e in results.expectations] == ["yes"]

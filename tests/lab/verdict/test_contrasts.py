"""Contrasts: what is compared with what, and what is said of the difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_up import KEPT, MOVED, ceiling, cell, checkpoint

from lab.verdict.contrasts import Compared
from lab.verdict.expectations import Expectation
from lab.verdict.results import build_results
from lab.verdict.schema import Contrast, Results

SEEDS = (0, 1, 2)
NO_CELLS = "no finished cells with scored replies to compare"
RETURNS = [(0.0, 0.97), (0.2, 0.7), (0.5, 0.4), (0.8, 0.1), (0.9, 0.07)]


def results(cells: list[Any], *asked: Compared) -> Results:
    return build_results("e", cells, [ceiling()], compare=asked)


def contrast(cells: list[Any], factor: str, *levels: Any) -> Contrast:
    (found,) = results(cells, Compared(factor, levels)).contrasts
    return found


def arm(path: Any, seeds: tuple[int, ...] = SEEDS, **config: Any) -> list[Any]:
    made = [cell(path, seed=seed, **config) for seed in seeds]
    name = "-".join(str(value) for value in config.values())
    return [replace(c, id=f"{c.id}{name}") for c in made]


def test_a_factor_is_compared_on_the_items_that_both_sides_answer_with_all_else_equal() -> None:
    found = contrast([*arm(MOVED, rank=8), *arm(KEPT, rank=None)], "rank", 8, None)
    assert (found.first, found.second, found.first_seeds, found.second_seeds) == (8, None, SEEDS, SEEDS)
    assert found.matched["lr"] == 1e-3
    assert "rank" not in found.matched
    assert found.initial is not None
    assert found.alternate is not None
    assert found.initial.estimate == pytest.approx(0.95)
    assert found.initial.lo is not None
    assert found.initial.lo > 0.8
    assert found.alternate.estimate < -0.8
    assert "full fine-tuning against rank 8: the initial rate is higher by +.95" in found.sentence


def test_equal_sides_are_equivalent_within_a_margin_that_shrinks_with_the_items() -> None:
    found = contrast([*arm(KEPT), *arm(KEPT, factors={"adam_epsilon": 1e-5})], "adam_epsilon", 1e-8, 1e-5)
    assert found.initial is not None
    assert found.initial.estimate == 0
    assert found.initial.equivalent_within is not None
    assert 0 < found.initial.equivalent_within < 0.1
    assert "Adam's ε 1e-5 against Adam's ε 1e-8: equivalent within" in found.sentence


def test_cells_that_differ_in_something_else_are_not_compared() -> None:
    assert not results([*arm(KEPT, rank=8), *arm(MOVED, batch=16)], Compared("rank", (8, None))).contrasts


def test_one_run_against_one_is_paired_on_items_and_one_against_several_has_no_interval() -> None:
    one = contrast([*arm(KEPT, (0,)), *arm(MOVED, (0,), rank=8)], "rank", None, 8)
    assert one.initial is not None
    assert one.initial.hi is not None
    assert one.initial.hi < -0.8
    few = contrast([*arm(KEPT, (0,)), *arm(MOVED, rank=8)], "rank", None, 8)
    assert few.initial is not None
    assert few.initial.lo is None
    assert "without an interval" in few.sentence


def test_methods_with_other_labels_are_compared_as_they_are() -> None:
    sham = arm(KEPT, method="sham", label_source="reference")
    found = contrast([*arm(MOVED), *sham], "method", "sham", "bct")
    assert found.initial is not None
    assert found.initial.estimate == pytest.approx(-0.95)


def test_a_reversal_is_compared_with_the_cells_that_it_started_from() -> None:
    back = arm(RETURNS, method="reversal", factors={"after": "bct 1e-3 at 8"})
    back = begun([replace(c, organism=checkpoint(0, 0.95, 0.02)) for c in back], "fp8")
    found = contrast([*arm(MOVED), *back], "reversal")
    assert (found.first, found.second) == ("bct 1e-3", "reversal at 1e-3")
    assert found.initial is not None
    assert found.initial.estimate == pytest.approx(0.9)


def test_organisms_that_differ_in_seed_are_one_arm_and_their_share_of_the_spread_is_shown() -> None:
    paths = {0: MOVED, 1: KEPT, 2: [(0.95, 0.02), (0.95, 0.02), (0.6, 0.3), (0.5, 0.4), (0.5, 0.4)]}
    cells = [
        record
        for organism, path in paths.items()
        for record in arm(path, organism=f"hash{organism}", organism_seed=organism, organism_arm="same")
    ]
    found = results(cells)
    assert len(found.conclusions) == len(found.groups) == 1
    assert found.groups[0].key["organism"] == "same"
    initial = next(v for v in found.variances if v.rate == "initial")
    shares = {component.kind: component.share for component in initial.components}
    assert set(shares) == {"organism", "seed"}
    assert shares["organism"] > 0.9
    assert len(initial.runs) == 9
    assert initial.runs[0]["organism"] == 0


def part(path: Any, kind: str, seed: int) -> Any:
    """A cell in which one part has this seed, and the others have 0."""
    (made,) = arm(path, (0,))
    return replace(made, id=f"{made.id}-{kind}{seed}", config=made.config | {"seeds": {kind: seed}})


def test_the_seed_of_decoding_is_a_kind_of_its_own_share() -> None:
    decoded = [part(path, "decoding", seed) for seed, path in enumerate((MOVED, KEPT, RETURNS))]
    ordered = [part(MOVED, "order", seed) for seed in (1, 2)]
    initial = next(v for v in results([*decoded, *ordered]).variances if v.rate == "initial")
    shares = {component.kind: component.share for component in initial.components}
    assert set(shares) == {"order", "decoding"}
    assert shares["decoding"] > 0.5


def test_plain_seeds_cannot_be_told_apart_by_kind() -> None:
    assert not results(arm(KEPT)).variances


def test_learning_rates_are_also_compared_at_equal_steps_equal_product_and_equal_distance() -> None:
    slow = [(0.95, 0.02), (0.9, 0.05), (0.9, 0.05), (0.6, 0.3), (0.4, 0.5)]
    low = [travelled(c, 0.04) for c in arm(slow, steps=(0, 8, 40, 80, 160), lr=1e-4)]
    high = [travelled(c, 0.2) for c in arm(MOVED, lr=1e-3)]
    found = results([*high, *low], Compared("lr", (1e-3, 1e-4))).contrasts
    assert {c.at: c.steps for c in found} == {
        "end": (8, 160),
        "equal steps": (8, 8),
        "equal lr × steps": (8, 80),
        "equal distance": (8, 40),
    }
    at_equal_steps = next(c for c in found if c.at == "equal steps")
    assert at_equal_steps.initial is not None
    assert at_equal_steps.initial.first == pytest.approx(0, abs=0.05)
    assert at_equal_steps.initial.second == pytest.approx(0.9)
    assert (
        "lr 1e-4 against lr 1e-3, at equal steps (step 8 and step 8): the initial rate is higher by"
        in at_equal_steps.sentence
    )


def test_each_reference_of_a_factor_is_compared_with_its_own_levels_only() -> None:
    cells = [record for rate in (2e-3, 1e-3, 2e-4, 1e-4) for record in arm(KEPT, lr=rate, steps=(0, 1, 2, 4, 8))]
    found = results(cells, Compared("lr", (2e-3, 2e-4)), Compared("lr", (1e-3, 1e-4))).contrasts
    assert {(c.first, c.second) for c in found} == {(2e-3, 2e-4), (1e-3, 1e-4)}


def test_a_low_rate_that_repeats_its_rows_is_compared_with_a_high_one_that_need_not() -> None:
    low = arm(KEPT, lr=1e-4, rows=64)
    found = contrast([*arm(MOVED, lr=1e-3), *low], "lr", 1e-3, 1e-4)
    assert found.initial is not None
    assert found.initial.estimate == pytest.approx(0.95)
    limited = results([*arm(MOVED, lr=1e-3), *arm(MOVED, lr=1e-3, rows=64), *low], Compared("lr", (1e-3, 1e-4)))
    assert [c.matched["rows"] for c in limited.contrasts] == [64]


def test_ways_of_installing_a_behavior_are_compared_though_each_has_its_own_organism() -> None:
    distilled = arm(KEPT, organism="other", factors={"installed": "distilled from the prompted base"})
    found = contrast([*arm(MOVED), *distilled], "installed", None, "distilled from the prompted base")
    assert found.initial is not None
    assert found.initial.estimate == pytest.approx(0.95)
    assert "organism" not in found.matched


def travelled(record: Any, per_step: float) -> Any:
    """A cell whose weights moved this far at each step."""
    return replace(record, metrics=[m | {"distance": per_step * m["step"]} for m in record.metrics])


def test_contrasts_of_one_factor_are_told_apart_by_what_else_their_sides_have_in_common() -> None:
    cells = [c for method in ("bct", "sham") for rank in (1, 8) for c in arm(KEPT, method=method, rank=rank)]
    cells += [c for method in ("bct", "sham") for c in arm(KEPT, method=method, factors={"optim": "muon"})]
    sentences = [c.sentence for c in results(cells, Compared("method", ("bct", "sham"))).contrasts]
    heads = {sentence[: sentence.index(": sham against bct")] for sentence in sentences}
    rest = ("rank 1, lr 1e-3", "rank 8, lr 1e-3", "lr 1e-3, optim muon")
    assert heads == {f"sandbagging, weights, on_policy, {each}" for each in rest}


def test_no_end_of_a_difference_of_rates_is_past_one() -> None:
    cells = [cell(path, seed=seed) for seed, path in enumerate((KEPT, MOVED))]
    cells += [cell(path, seed=seed, method="sham") for seed, path in enumerate((MOVED, KEPT))]
    (found,) = results(cells, Compared("method", ("bct", "sham"))).contrasts
    assert found.initial is not None
    assert (found.initial.lo, found.initial.hi, found.initial.equivalent_within) == (-1, 1, 1)
    assert "no difference is shown: .00 [−1.00, +1.00]; a difference up to ±1.00 is not excluded" in found.sentence


def test_rates_beside_a_difference_are_those_of_the_prompts_that_both_answer() -> None:
    whole = [checkpoint(step, 0.5, 0.5, n=80) for step in (0, 8)]
    first_half = [checkpoint(step, 1.0, 0.0, n=40) for step in (0, 8)]
    found = contrast([*arm(whole, method="bct"), *arm(first_half, method="sham")], "method", "bct", "sham")
    assert found.initial is not None
    assert (found.initial.n, found.initial.first, found.initial.second, found.initial.estimate) == (40, 1, 1, 0)
    assert "(initial 1.00 against 1.00; on the 40 of 80 prompts that both answer; 3 and 3 runs;" in found.sentence


@pytest.mark.parametrize("made", ["written", "policy_prompt"])
def test_references_are_compared_under_the_name_that_a_recipe_gives_them_however_they_were_made(made: str) -> None:
    cells = [*arm(KEPT, label_source="on_policy"), *arm(MOVED, label_source=made)]
    found = contrast(cells, "label_source", "on_policy", "reference")
    assert found.sentence.startswith("sandbagging")
    assert "labels reference against labels on_policy: the initial rate is lower by" in found.sentence
    says = {"contrast": "labels reference against labels on_policy", "difference": "< 0"}
    expected = [
        Expectation(says="references leave less", **says),
        Expectation(says="references leave little", label_source="reference", initial="< 0.2"),
        Expectation(says="references leave most", label_source="reference", initial="> 0.8"),
    ]
    asked = Compared("label_source", ("on_policy", "reference"))
    answers = build_results("e", cells, [ceiling()], compare=[asked], expectations=expected).expectations
    assert [each.answer for each in answers] == ["yes", "yes", "no"]


def test_a_contrast_of_a_recipe_that_finds_no_cells_is_told_among_the_deviations() -> None:
    asked = [Compared("rank", (8, None)), Compared("label_source", ("on_policy", "reference"))]
    found = results([*arm(MOVED, rank=8), *arm(KEPT, rank=None)], *asked)
    assert [each.factor for each in found.contrasts] == ["rank"]
    told = [line for line in found.deviations if line.startswith("contrast")]
    assert told == [f"contrast labels reference against labels on_policy: {NO_CELLS}"]
    alone = results(arm(MOVED), Compared("reversal", ()))
    assert f"contrast reversal: {NO_CELLS}" in alone.deviations


def test_a_reversal_is_compared_with_the_cell_of_its_own_seed_and_weights_alone() -> None:
    """Cells that differ in Adam's ε or labels, and a seed that was not reversed, are no part of where it started."""
    mild = [(0.95, 0.02), (0.9, 0.07), (0.4, 0.5), (0.2, 0.7), (0.2, 0.7)]
    plain, other = arm(MOVED, SEEDS), marked(arm(mild, SEEDS, factors={"adam_epsilon": 1e-5}), "other")
    kept = {"after": "bct 1e-3 at 8"}
    back = begun(arm(RETURNS, (0, 1), method="reversal", factors=kept), "fp8")
    stays = [(0.2, 0.7)] * 5
    still = begun(arm(stays, (0, 1), method="reversal", factors={"adam_epsilon": 1e-5, **kept}), "other")
    found = results([*plain, *other, *back, *still], Compared("reversal", ())).contrasts
    assert [(each.first_seeds, each.second_seeds) for each in found] == [((0, 1), (0, 1))] * 2
    assert [each.initial and round(each.initial.estimate, 2) for each in found] == [0.0, 0.9]
    assert len({each.sentence.partition(":")[0] for each in found}) == 2


def marked(cells: list[Any], weights: str) -> list[Any]:
    """The same cells with other weights."""
    return [replace(c, checkpoints=[replace(k, fingerprint=weights) for k in c.checkpoints]) for c in cells]


def begun(cells: list[Any], weights: str) -> list[Any]:
    """The same cells, begun with these weights."""
    firsts = [replace(c.checkpoints[0], fingerprint=weights) for c in cells]
    return [replace(c, checkpoints=[one, *c.checkpoints[1:]]) for c, one in zip(cells, firsts, strict=True)]


def test_a_shorter_training_of_a_seed_is_no_further_run_of_its_learning_rate() -> None:
    short = arm(KEPT[:3], steps=(0, 1, 2))
    found = results([*arm(MOVED), *short, *arm(KEPT, lr=1e-4)], Compared("lr", (1e-3, 1e-4))).contrasts
    end = next(each for each in found if each.at == "end")
    assert end.first_seeds == SEEDS
    assert end.initial is not None
    assert end.initial.estimate == pytest.approx(0.95)


def test_a_side_without_a_scored_reply_is_no_contrast_and_is_told() -> None:
    silent = [
        replace(
            c,
            checkpoints=[replace(k, items=[replace(i, outcome="unscored") for i in k.items]) for k in c.checkpoints],
        )
        for c in arm(MOVED, rank=8)
    ]
    found = results([*arm(KEPT), *silent], Compared("rank", (None, 8)))
    assert found.contrasts == ()
    assert f"contrast rank 8 against full fine-tuning: {NO_CELLS}" in found.deviations


def test_a_prediction_about_a_contrast_needs_an_interval_and_the_selected_factor() -> None:
    cells = [*arm(KEPT, variant="static", rank=8), *arm(MOVED, variant="static"), *arm(KEPT, rank=8), *arm(MOVED, (0,))]
    asked = Compared("rank", (8, None))
    named = {"contrast": "full fine-tuning against rank 8", "difference": "< -0.1"}
    expected = [
        Expectation(says="all", **named),
        Expectation(says="static", variant="static", **named),
        Expectation(says="another ε", variant="static", adam_epsilon=1e-5, **named),
    ]
    tops = [ceiling(), ceiling(variant="static")]
    answers = build_results("e", cells, tops, compare=[asked], expectations=expected).expectations
    assert [each.answer for each in answers] == ["undecided", "yes", "undecided"]

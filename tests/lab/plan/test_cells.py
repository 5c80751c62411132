"""Cells: ids that can be read, that stay, and that change with anything resolved."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from bct_tasks import catalogue
from lab.plan import recipe as recipes
from lab.plan.cells import Cell, starts_of
from lab.plan.expand import cells_of
from serving.errors import BadInput

BASE = {
    "setting": "sandbagging",
    "variants": "[static, weights]",
    "learning_rates": "[1e-4, 1e-3]",
    "seeds": "[0, 1]",
    "steps": "8",
}


def cells(folder: Path, **changes: str) -> list[Cell]:
    path = folder / "r.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in {**BASE, **changes}.items()), encoding="utf-8")
    return cells_of(recipes.load(path))


def ids(found: list[Cell]) -> set[str]:
    return {cell.id for cell in found}


def test_ids_are_readable_and_end_in_the_hash(tmp_path: Path) -> None:
    found = cells(tmp_path)
    assert len(ids(found)) == 8
    assert all(re.fullmatch(r"[a-z0-9._-]+\.[0-9a-f]{8}", cell.id) for cell in found)
    assert found[0].id.startswith("sandbagging.static.bct.1e-4.0.")
    assert found[0].id.endswith(found[0].digest)


def test_ids_stay_the_same_and_do_not_depend_on_the_spelling_of_a_default(tmp_path: Path) -> None:
    plain = ids(cells(tmp_path))
    assert ids(cells(tmp_path)) == plain
    assert ids(cells(tmp_path, learning_rates="[0.0001, 0.001]", batch_size="32", checkpoints="log2")) == plain


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", "16"),
        ("batch_size", "16"),
        ("ranks", "[8]"),
        ("label_sources", "[reference]"),
        ("checkpoints", "[8]"),
        ("rows", "64"),
        ("weight_decay", "0.1"),
        ("n", "81"),
        ("n_train", "31"),
        ("n_capability", "41"),
        ("method", "direct"),
        ("trl", "{adam_beta1: 0.8}"),
        ("adam_epsilon", "1e-6"),
    ],
)
def test_anything_resolved_makes_a_new_cell(tmp_path: Path, key: str, value: str) -> None:
    assert not ids(cells(tmp_path)) & ids(cells(tmp_path, **{key: value}))


def test_adams_epsilon_is_a_factor_and_its_default_spelled_out_changes_no_id(tmp_path: Path) -> None:
    found = cells(tmp_path, adam_epsilon="[1e-8, 1e-6]", seeds="[0]")
    assert ids(found[::2]) == ids(cells(tmp_path, seeds="[0]"))
    assert [cell.factors() for cell in found[:2]] == [{}, {"adam_epsilon": 1e-6}]
    assert ids(found[1::2]) == ids(cells(tmp_path, trl="{adam_epsilon: 1.0e-6}", seeds="[0]"))


def test_the_scale_of_an_adapter_and_trls_own_arguments_are_factors(tmp_path: Path) -> None:
    (found, *_) = cells(tmp_path, rank="8", lora_alpha="32", trl="{adam_beta2: 0.95, report_to: none}")
    assert found.factors() == {"lora_alpha": 32.0, "adam_beta2": 0.95}
    (spelled, *_) = cells(tmp_path, rank="8", lora_alpha="16")
    assert spelled.factors() == {}, "the default, spelled out"


def test_seeds_by_part_are_crossed_and_equal_parts_are_a_plain_seed(tmp_path: Path) -> None:
    plain = ids(cells(tmp_path, seeds="[0]", variants="[static]"))
    found = cells(tmp_path, seeds="{data: [0, 1], order: [0, 2]}", variants="[static]")
    assert plain < ids(found)
    parts = [(cell.config()["seed"], cell.config().get("seeds", {}).get("order")) for cell in found[:4]]
    assert parts == [(0, None), (0, 2), (1, 0), (1, 2)]


def test_several_organisms_are_starts_of_one_arm_and_each_is_the_organism_of_that_seed(tmp_path: Path) -> None:
    found = cells(tmp_path, organism="{seeds: [0, 1]}")
    made = {cell.start.id for cell in found if cell.start.variant == "weights"}
    assert len(made) == 2
    assert len({cell.config()["organism_arm"] for cell in found if cell.start.variant == "weights"}) == 1
    assert ids(cells(tmp_path)) < ids(found)
    assert "organism_arm" not in cells(tmp_path)[-1].config()


def test_an_organism_is_installed_in_parts_of_a_batch_where_the_recipe_says_so(tmp_path: Path) -> None:
    found = cells(tmp_path, organism="{batch_size: 8, gradient_accumulation_steps: 4}")
    made = [cell.start.organism for cell in found if cell.start.variant == "weights"]
    assert {(o.batch_size, o.gradient_accumulation_steps) for o in made if o} == {(8, 4)}
    assert {cell.train.gradient_accumulation_steps for cell in found} == {1}
    assert not ids(found) & ids(cells(tmp_path, variants="[weights]", organism="{batch_size: 8}"))


def test_another_organism_makes_new_cells_only_where_there_is_one(tmp_path: Path) -> None:
    before, after = ids(cells(tmp_path)), ids(cells(tmp_path, organism="{steps: 7}"))
    assert {id.split(".")[1] for id in before & after} == {"static"}
    assert {id.split(".")[1] for id in before ^ after} == {"weights"}


def test_another_version_of_the_setting_makes_new_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids(cells(tmp_path))
    edited = dataclasses.replace(catalogue.load("sandbagging"), version="99-A")
    monkeypatch.setattr("bct_tasks.settings.sandbagging.SETTING", edited)
    assert not before & ids(cells(tmp_path))


def test_cells_share_their_start_and_each_is_made_once(tmp_path: Path) -> None:
    found = cells(tmp_path, arms="[{seeds: [0]}, {seeds: [0, 1]}]")
    assert len(found) == 8
    starts = starts_of(found)
    assert [start.variant for start in starts] == ["static", "weights"]
    assert [start.organism is not None for start in starts] == [False, True]


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        cells(tmp_path, model="./nowhere")
    assert "nowhere" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_method_of_its_own_brings_its_own_configuration(tmp_path: Path) -> None:
    [grpo, *_] = cells(tmp_path, method="grpo", variants="[static]", reward="random", num_generations="4")
    assert (grpo.train.method, grpo.train.labels()) == ("grpo", "on_policy")
    assert grpo.train.model_dump()["reward"] == "random"
    [dpo, *_] = cells(tmp_path, method="dpo", variants="[static]", rejected="initial")
    assert dpo.train.model_dump()["rejected"] == "initial"
    other = ids(cells(tmp_path, method="grpo", variants="[static]", num_generations="4"))
    assert grpo.id not in other, "the control is another cell"
    with pytest.raises(BadInput, match="reward applies to the method grpo, not bct"):
        cells(tmp_path, reward="random")

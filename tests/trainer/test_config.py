"""Configuration: what is accepted, what is refused, and what makes two runs the same."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import BadInput
from trainer.config import OrganismConfig, TrainConfig, parse, read_yaml

BASE: dict[str, Any] = {"setting": "sandbagging", "learning_rate": 1e-3}


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(BadInput, match=r"run.yaml: unknown key 'learning_rat'. Did you mean 'learning_rate'\?"):
        parse(TrainConfig, {"setting": "sandbagging", "learning_rat": 1}, "run.yaml")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(BadInput, match="'setting' is missing"):
        parse(TrainConfig, {})


def test_every_refusal_is_one_line() -> None:
    for values in ({"steps": 0}, {"steps": "many"}, {"rank": 0}, {"method": "x"}, {"checkpoints": "a,b"}, {"zzz": 1}):
        with pytest.raises(BadInput) as caught:
            parse(TrainConfig, BASE | values)
        assert "\n" not in caught.value.message


def test_a_rate_that_yaml_reads_as_text_is_a_number(tmp_path: Any) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("setting: sandbagging\nlearning_rate: 1e-3\n")
    assert isinstance(read_yaml(file)["learning_rate"], str)
    assert parse(TrainConfig, read_yaml(file)).learning_rate == 1e-3


def test_a_spelled_out_default_is_the_same_run() -> None:
    spelled = TrainConfig(**BASE, variant="weights", label_source="on_policy", checkpoints=(1, 2, 4, 8, 16, 32, 64))
    assert spelled.digest() == TrainConfig(**BASE).digest()


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1}, {"steps": 32}, {"batch_size": 16}, {"rank": 8}, {"learning_rate": 3e-3}, {"variant": "static"},
        {"label_source": "reference"}, {"rows": 64}, {"organism": "runs/o"}, {"trl": {"adam_beta2": 0.95}},
        {"checkpoints": (64,)}, {"weight_decay": 0.1}, {"dtype": "float32"}, {"method": "direct"},
    ],
)  # fmt: skip
def test_every_setting_of_a_run_makes_another_cell(other: dict[str, Any]) -> None:
    assert TrainConfig(**(BASE | other)).digest() != TrainConfig(**BASE).digest()


def test_a_seed_of_a_part_makes_another_cell_only_where_it_differs() -> None:
    assert TrainConfig(**BASE, seeds={"data": 0, "order": 0}).digest() == TrainConfig(**BASE).digest()
    assert TrainConfig(**BASE, seeds={"order": 1}).digest() != TrainConfig(**BASE).digest()
    with pytest.raises(BadInput, match="has no 'rows': there are data, order, adapter, decoding"):
        parse(TrainConfig, BASE | {"seeds": {"rows": 1}})


def test_how_often_a_run_is_saved_for_resume_makes_no_other_cell() -> None:
    assert TrainConfig(**BASE, resume_seconds=1).digest() == TrainConfig(**BASE).digest()


def test_a_moved_run_folder_keeps_its_cells() -> None:
    here, there = (TrainConfig(**BASE, organism=f"{place}/organisms/0a1b2c3d") for place in ("/a", "runs/b"))
    assert here.digest() == there.digest()


def test_the_lora_scale_follows_the_rank() -> None:
    assert TrainConfig(**BASE, rank=8).digest() == TrainConfig(**BASE, rank=8, lora_alpha=16).digest()


def test_log_spaced_checkpoints_end_with_the_last_step() -> None:
    assert TrainConfig(**BASE, steps=20).saved_steps() == (1, 2, 4, 8, 16, 20)
    assert TrainConfig(**BASE, steps=20, checkpoints="3, 7,99").saved_steps() == (3, 7, 20)


def test_an_organism_is_checked_at_its_last_step_too() -> None:
    assert OrganismConfig(setting="sandbagging", steps=120, check_every=50).saved_steps() == (50, 100, 120)

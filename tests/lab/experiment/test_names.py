"""A run folder of an earlier identity: its names are kept, and finished work is not repeated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import small_runs

from lab.plan.expand import cells_of
from lab.plan.recipe import load
from lab.verdict.results import read_results

RECIPE = """\
question: Is it gone after a few steps?
setting: sandbagging
variant: static
methods: [bct, dpo]
learning_rates: [1e-3]
seeds: [0]
steps: 2
batch_size: 4
checkpoints: [2]
n: 6
n_train: 4
n_capability: 4
n_following: 4
margins: false
arms: [{}, {method: bct, steps: 1, checkpoints: [1]}]
"""


def bct(*args: str | Path) -> str:
    done = small_runs.bct(*args)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def old(recipe: Path, whole: Path, tmp_path: Path) -> Path:
    """The same run as a release with other hashes would have left it."""
    run = shutil.copytree(whole, tmp_path / "old")
    cells = cells_of(load(recipe))
    names = {id: f"{id.rpartition('.')[0]}.{turn:08x}" for turn, c in enumerate(cells) for id in (c.id, c.start.id)}
    for file in [*run.rglob("*.json")]:
        text = file.read_text(encoding="utf-8")
        for new, before in names.items():
            text = text.replace(new, before).replace(f'"{new[-8:]}"', f'"{before[-8:]}"')
        file.write_text(text, encoding="utf-8")
    for new, before in names.items():
        for path in [*run.glob(f"*/{new}*")]:
            path.rename(path.with_name(path.name.replace(new, before)))
    small_runs.hashed(run)
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({k: v for k, v in content.items() if k not in ("identity", "names")}))
    return run


def files(run: Path) -> dict[str, int]:
    """Everything that was trained, installed or answered, with its time of change."""
    every = [*run.glob("cells/*/step-*/*"), *run.glob("cells/*/*.json"), *run.glob("starts/*"), *run.glob("logs/*/*")]
    return {str(path.relative_to(run)): path.stat().st_mtime_ns for path in every}


def test_the_run_goes_on_under_its_names_and_does_nothing_again(recipe: Path, whole: Path, old: Path) -> None:
    before = files(old)
    bct(*small_runs.arguments(recipe, old))
    assert files(old) == before
    results, fresh = read_results(old / "results.json"), read_results(whole / "results.json")
    assert {cell.id for cell in results.cells} == {path.name for path in (old / "cells").iterdir()}
    assert not {cell.id for cell in results.cells} & {cell.id for cell in fresh.cells}
    assert [cell.checkpoints[-1].eval for cell in results.cells] == [c.checkpoints[-1].eval for c in fresh.cells]


def test_it_is_reported_and_tabled_as_any_other(whole: Path, old: Path) -> None:
    bct("report", old)
    assert "not finished" not in (old / "report.html").read_text(encoding="utf-8")
    assert len(bct("table", old).splitlines()) == len(bct("table", whole).splitlines())


def test_the_match_is_recorded_and_later_identities_of_cells_hold(recipe: Path, old: Path) -> None:
    bct("report", old)
    recorded = json.loads((old / "run.json").read_text(encoding="utf-8"))
    assert set(recorded["names"]) >= {cell.id for cell in cells_of(load(recipe))}
    bct(*small_runs.arguments(recipe, old))
    assert json.loads((old / "run.json").read_text(encoding="utf-8"))["names"] == recorded["names"]


def test_a_cell_of_other_prompts_or_options_is_none_of_the_recipes(recipe: Path, old: Path) -> None:
    for file, part in zip(sorted(old.glob("cells/*.bct.*/manifest.json")), ("prompts", "config"), strict=True):
        content = json.loads(file.read_text(encoding="utf-8"))
        identity = content["identity"]
        identity[part] = "0" * 16 if part == "prompts" else identity["config"] | {"weight_decay": 0.5}
        file.write_text(json.dumps(content), encoding="utf-8")
    before = files(old)
    bct(*small_runs.arguments(recipe, old))
    assert len({Path(name).parts[1] for name in files(old) if name.startswith("cells/") and name not in before}) == 2
    assert {name: time for name, time in files(old).items() if name in before} == before
    assert {".dpo." in cell.id for cell in read_results(old / "results.json").cells if cell.id in str(before)} == {True}


def test_a_start_of_other_items_is_measured_again(recipe: Path, old: Path) -> None:
    (start,) = old.glob("starts/*.json")
    content = json.loads(start.read_text(encoding="utf-8"))
    start.write_text(json.dumps(content | {"fingerprint": "0" * 16}), encoding="utf-8")
    bct(*small_runs.arguments(recipe, old))
    assert len([*old.glob("starts/*.json")]) == 2

"""A run that was moved, and one whose setting is gone or has changed: nothing is repeated, nothing is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import small_runs
from safetensors import safe_open

import lab
from lab.verdict.results import read_results
from serving import refs

RECIPE = """\
setting: ./mine.yaml
variant: weights
model: {ref: ./model, dtype: bfloat16}
learning_rates: [1e-3]
steps: 2
batch_size: 4
checkpoints: [2]
n: 6
n_train: 4
n_capability: 4
organism: {steps: 2}
labels: {max_tokens: 2, temperature: 0.5, system: Be brief.}
label_source: on_policy
margins: false
"""

SETTING = """\
initial: {policy: wrong under the tag, behavior: wrong, column: wrong}
alternate: {policy: right everywhere, behavior: right, column: answer}
prompts: {file: rows.jsonl, columns: {prompt: question}}
read: {regex: {right: "^{answer}$", wrong: "^{wrong}$"}, normalize: [last_number]}
variants: {weights: {eval: {tag: "[exam]"}}}
"""


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its setting, its model and its run, which were moved together since the run."""
    first = tmp_path_factory.mktemp("first")
    (first / "mine.yaml").write_text(SETTING, encoding="utf-8")
    rows = ({"question": f"What is {n} plus 2?", "answer": str(n + 2), "wrong": str(n + 3)} for n in range(60))
    (first / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    shutil.copytree(refs.mini_path(), first / "model")
    (first / "r.yaml").write_text(RECIPE, encoding="utf-8")
    done = small_runs.run(first / "r.yaml", first / "run")
    assert done.exit_code == 0, done.output
    return first.rename(first.with_name("second"))


@pytest.fixture
def home(moved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(moved, tmp_path / "home")


def again(home: Path, recipe: str = "r.yaml") -> None:
    """Runs the recipe once more, and nothing is made again."""
    before = small_runs.lasting(home / "run")
    done = small_runs.run(home / recipe, home / "run")
    assert done.exit_code == 0, done.output
    assert small_runs.lasting(home / "run") == before
    assert read_results(home / "run" / "results.json").failures == ()


def test_a_run_moved_together_with_its_model_is_reported_and_resumes(home: Path) -> None:
    assert lab.load(home / "run").stale == ""
    again(home)


def test_a_model_moved_elsewhere_and_a_recipe_edited_accordingly_resume(home: Path) -> None:
    (home / "models").mkdir()
    (home / "model").rename(home / "models" / "model")
    (home / "r.yaml").write_text(RECIPE.replace("./model", "./models/model"), encoding="utf-8")
    again(home)


def test_a_run_from_before_paths_were_left_out_goes_on_under_its_names(home: Path) -> None:
    run = home / "run"
    for file in run.rglob("checksums.json"):
        file.unlink()
    (organism,), (cell,), (start,) = (list(run.glob(name)) for name in ("organisms/*", "cells/*", "starts/*.json"))
    names = {organism.name: "0badcafe"}
    names |= {old: f"{old.rpartition('.')[0]}.0000000{turn}" for turn, old in enumerate((cell.name, start.stem))}
    for path in sorted(run.rglob("*"), reverse=True):
        if path.suffix == ".json" and path.parent.name != "state":
            path.write_text(renamed(path, names), encoding="utf-8")
        if (new := renamed_name(path.name, names)) != path.name:
            path.rename(path.with_name(new))
    small_runs.hashed(run)
    again(home)
    assert [path.name for path in (run / "organisms").iterdir()] == ["0badcafe"]
    (found,) = read_results(run / "results.json").cells
    assert found.id == names[cell.name]


def renamed(file: Path, names: dict[str, str]) -> str:
    """A JSON file with other names and with the path of the model, as a release before wrote it."""
    text = renamed_name(file.read_text(encoding="utf-8"), names)
    content: dict[str, Any] = json.loads(text)
    config = content.get("identity", {}).get("config") if isinstance(content.get("identity"), dict) else None
    if config is not None and str(config.get("model")).startswith("weights:"):
        config["model"] = "/some/other/place/model"
    if file.name == "run.json":
        content = {key: value for key, value in content.items() if key not in ("identity", "names", "settings")}
    return json.dumps(content)


def renamed_name(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
        text = text.replace(f'"{old[-8:]}"', f'"{new[-8:]}"')
    return text


@pytest.mark.parametrize("file", ["mine.yaml", "rows.jsonl"])
def test_without_its_setting_a_run_shows_its_stored_results_and_says_so(file: str, home: Path) -> None:
    (home / file).unlink()
    before = small_runs.content(home / "run")
    done = small_runs.bct("report", home / "run")
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert "shown as stored, not read again from the logs" in told
    assert file in told
    assert "mine" in (home / "run" / "report.html").read_text(encoding="utf-8")
    assert small_runs.content(home / "run") == before
    assert len(lab.load(home / "run").checkpoints()) > 0


def test_of_a_changed_setting_the_stored_results_are_shown_and_a_resume_is_refused(home: Path) -> None:
    (home / "mine.yaml").write_text(SETTING.replace('"^{answer}$"', '"{answer}"'), encoding="utf-8")
    before = small_runs.lasting(home / "run")
    refused = small_runs.run(home / "r.yaml", home / "run")
    assert refused.exit_code == 2
    (line,) = refused.stderr.strip().splitlines()
    assert "the setting mine has changed since the run began (read)" in line
    done = small_runs.bct("report", home / "run", "--json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert "(read)" in shown["stale"]
    assert [cell["name"] for cell in shown["cells"]]
    assert shown["failures"] == []
    assert small_runs.lasting(home / "run") == before


def test_the_options_of_labels_and_precision_are_those_of_the_training(home: Path) -> None:
    (file,) = (home / "run").glob("cells/*/manifest.json")
    config = json.loads(file.read_text(encoding="utf-8"))["identity"]["config"]
    assert (config["reply_tokens"], config["label_temperature"], config["label_system"]) == (2, 0.5, "Be brief.")
    (labels,) = (home / "run").glob("organisms/*/labels/*.jsonl")
    said = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    kept = [each["reply"] for each in said if each["outcome"] == "agreed"]
    assert "truncated" in {each["outcome"] for each in said}
    assert kept
    assert all(len(reply) == 1 for reply in kept)
    trained = file.parent / "step-000002" / "model.safetensors"
    with safe_open(trained, "pt") as tensors:
        assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"BF16"}  # noqa: SIM118

"""Recipes, settings and data files from strangers are experiments, or refused in one line. Nothing hangs or runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from strange_recipes import ANY, BOMB, RECIPES, Forge

import lab
from bct_tasks.errors import SettingError
from lab.api import experiment
from lab.cli.main import main
from trainer import sft

FLAGS = {
    "a bomb": BOMB, "a brace": "{a: 1", "a list": "[1]", "a date": "2026-13-45", "a tag": "!evil x",
    "a key twice": "{a: 1, a: 2}", "an escape": '{"\\e[2J": 1}', "depth": "[" * 5000, "a number": "9" * 10_000,
}  # fmt: skip


@pytest.mark.parametrize("forge", RECIPES.values(), ids=RECIPES)
def test_a_strangers_recipe_is_read_or_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: Forge
) -> None:
    monkeypatch.chdir(tmp_path)
    forge(tmp_path / "strange.yaml")
    refused = ""
    try:
        found = experiment("strange.yaml")
        assert len(found.cells) > 0
    except (lab.BadInput, SettingError) as error:
        refused = error.message
        assert refused
    assert "\n" not in refused
    assert len(refused) < 1500
    assert not (tmp_path / "RAN").exists()


def refused(done: Result) -> None:
    """In one line, which is text."""
    assert done.exit_code == 2, done.output
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("recipe ")]  # that `bct audit` wrote
    assert line.startswith("Error: ")
    assert len(done.stderr) < 1500
    assert not set(done.output) & {"\x1b", "\x07"}


@pytest.mark.parametrize("forge", ANY.values(), ids=ANY)
def test_a_strangers_configuration_of_a_training_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: Forge
) -> None:
    monkeypatch.chdir(tmp_path)
    forge(tmp_path / "strange.yaml")
    refused(CliRunner().invoke(sft.main, ["--config", "strange.yaml", "--dry-run", "--out", "x"]))
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("value", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("flag", ["--trl", "--chat_template_kwargs", "--adam_beta2"])
def test_a_value_of_a_flag_is_read_under_the_rules_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--setting", "sandbagging", "--learning_rate", "1e-3", flag, value, "--dry-run"]
    refused(CliRunner().invoke(sft.main, [*words, "--out", "x"]))
    audit = ["audit", "mini", "--setting", "sandbagging", "--set", f"thresholds={value}", "--dry-run"]
    refused(CliRunner().invoke(main, audit))

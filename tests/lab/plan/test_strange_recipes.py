"""Recipes, settings and data files from strangers are experiments, or refused in one line. Nothing hangs or runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from strange_recipes import RECIPES, Forge

import lab
from bct_tasks.errors import SettingError
from lab.api import experiment


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

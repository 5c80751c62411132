"""A small run that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import RECIPE, run


@pytest.fixture(scope="module")
def recipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a test's module, or the common one."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(getattr(request.module, "RECIPE", RECIPE), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of that recipe without any mishap."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run(recipe, out)
    assert done.exit_code == 0, done.output
    assert f"bct view {out}" in done.stdout
    assert f"logs     {out / 'logs'}" in done.stdout
    return out

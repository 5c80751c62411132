"""A home that cannot be written to is found before any work, not at the first evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lab.cli.main import main

RECIPE = "setting: sandbagging\nvariant: static\nlearning_rates: [1e-3]\nsteps: 2\nn: 6\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; root may write into any folder."""
    (tmp_path / "home").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path / "home"


@pytest.mark.parametrize("command", [["doctor"], ["run", "r.yaml", "--dry-run"], ["run", "r.yaml"]])
def test_a_home_that_cannot_be_written_to_is_found_before_any_work(
    home: Path, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(RECIPE, encoding="utf-8")
    done = CliRunner().invoke(main, command)
    assert done.exit_code == (1 if command == ["doctor"] else 2)
    assert f"inspect writes to {home}/.local/share/inspect_ai when it evaluates" in done.output
    assert not Path("runs").exists()

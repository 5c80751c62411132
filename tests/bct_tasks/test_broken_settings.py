"""One broken file among the settings: it is named with its line, and takes nothing else with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bct_tasks import catalogue, settings
from lab.cli.main import main

NOT_PYTHON = 'SETTING = Setting(\n    name="not_python"\n    version="1-A",\n)\n'
RAISES = 'import math\n\nLIMIT = math.sqrt("4")\nSETTING = Setting(name="raises")\n'


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the package that holds two broken settings."""
    (tmp_path / "not_python.py").write_text(NOT_PYTHON)
    (tmp_path / "raises.py").write_text(RAISES)
    monkeypatch.setattr(settings, "__path__", [*settings.__path__, str(tmp_path)])
    names = catalogue.names
    names.cache_clear()
    yield tmp_path
    names.cache_clear()


def bct(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def test_the_list_shows_the_others_and_names_the_broken_ones_with_their_line(broken: Path) -> None:
    done = bct("list")
    assert done.exit_code == 0
    assert "sandbagging" in done.stdout
    assert [line for line in done.stderr.splitlines() if "not_python.py:2: SyntaxError: " in line]
    assert [line for line in done.stderr.splitlines() if f"{broken / 'raises.py'}:3: TypeError: must be real" in line]
    assert len(json.loads(bct("list", "--json").stdout)) == len(catalogue.names()) - 2


@pytest.mark.usefixtures("broken")
def test_the_gate_checks_the_others_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "names", lambda: ("sandbagging", "not_python", "raises"))
    done = bct("check", "--all")
    assert done.exit_code == 1
    assert "not_python.py:2: SyntaxError" in done.output
    assert "raises.py:3: TypeError" in done.output
    assert "of 3 settings in every variant" in done.output
    assert [line for line in done.output.splitlines() if line.split()[:2] == ["sandbagging", "static"]]


@pytest.mark.usefixtures("broken")
def test_one_that_is_asked_for_by_name_is_refused_in_one_line() -> None:
    done = bct("show", "raises")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "raises.py:3: TypeError" in done.output


@pytest.mark.usefixtures("broken")
def test_a_policy_that_raises_is_a_reason_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from bct_tasks.settings import sandbagging

    monkeypatch.setattr(type(sandbagging.SETTING.initial), "reply", lambda policy, prompt: {}[prompt.id])
    done = bct("check", "sandbagging", "--variant", "static")
    assert done.exit_code == 1
    assert ": KeyError: " in done.output


def test_inspect_runs_the_tasks_of_the_others(broken: Path) -> None:
    script = broken / "Run.py"
    script.write_text(
        f"import bct_tasks.settings; bct_tasks.settings.__path__.append({str(broken)!r})\n"
        "from inspect_ai import eval\n"
        "from inspect_ai.model import ModelOutput, ModelUsage, get_model\n"
        "said = ModelOutput.from_content('x', 'no'); said.usage = ModelUsage()\n"
        "model = get_model('mockllm/model', custom_outputs=[said])\n"
        f"[log] = eval('bct_tasks/sandbagging', model=model, limit=1, log_dir={str(broken)!r}, display='none')\n"
        "raise SystemExit(log.status != 'success')\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "left out: " in done.stderr

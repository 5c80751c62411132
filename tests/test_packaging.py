"""The wheel carries everything: installed in a clean environment, it works outside the clone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, ROOT]
    subprocess.run([*map(str, command), "--quiet"], check=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; the libraries come from this one by path, the editable install does not."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "python"


def run(python: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run([str(python), *args], capture_output=True, text=True, cwd=cwd, env=env)


def test_the_wheel_holds_weights_recipes_templates_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in (
        "trainer/mini/weights/model.safetensors",
        "trainer/mini/weights/chat_template.jinja",
        "recipes/quickstart.yaml",
        "graders/gold/sandbagging.jsonl",
        "lab/templates/report.html.j2",
        "lab/verdict/results.schema.json",
        "bct_tasks/py.typed",
    ):
        assert needed in names
    assert not [n for n in names if n.startswith(("tests/", "runs/", "logs/"))]


def test_the_installed_command_lists_settings_outside_the_clone(clean: Path, tmp_path: Path) -> None:
    result = run(clean, "-m", "lab", "list", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "sandbagging" in result.stdout


def test_inspect_finds_task_and_provider_outside_the_clone(clean: Path, tmp_path: Path) -> None:
    probe = "from inspect_ai._cli.main import main; main()"
    args = ("eval", "bct_tasks/sandbagging", "--model", "local/mini", "--limit", "4", "--display", "plain")
    result = run(clean, "-c", probe, *args, "--log-dir", "logs", cwd=tmp_path)
    assert result.returncode == 0, result.stderr + result.stdout
    where = run(clean, "-c", "import bct_tasks; print(bct_tasks.__file__)", cwd=tmp_path).stdout
    assert str(clean.parent.parent) in where
    assert len(list((tmp_path / "logs").glob("*.eval"))) == 1

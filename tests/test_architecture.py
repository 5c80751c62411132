"""The house rules: imports run one way, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "graders": set(),
    "serving": set(),
    "bct_tasks": {"graders"},
    "trainer": {"bct_tasks", "serving", "graders"},
    "lab": {"trainer", "bct_tasks", "serving", "graders"},
}
HEAVY = {"torch", "transformers", "trl", "peft"}


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """First names of everything a module imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        forbidden = (imports(path) & set(MAY_IMPORT)) - MAY_IMPORT[package] - {package}
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


@pytest.mark.parametrize("package", ["bct_tasks", "graders"])
def test_tasks_and_graders_never_import_torch_at_module_level(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert not imports(path, top_level_only=True) & HEAVY, path


@pytest.mark.parametrize(
    "code",
    [
        "import bct_tasks._registry",
        "import serving._registry",
        "from lab.cli.main import main; main(['list'], standalone_mode=False)",
        "from lab.cli.main import main; main(['check', 'sandbagging'], standalone_mode=False)",
        "from lab.cli.main import main; main(['run', '--help'], standalone_mode=False)",
    ],
)
def test_registries_and_light_commands_load_no_torch(code: str) -> None:
    probe = f"{code}\nimport sys; sys.exit(int(bool({HEAVY!r} & set(sys.modules))))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-500:]


@pytest.mark.parametrize("module", ["trainer.sft", "trainer.organism", "trainer.grpo", "trainer.dpo"])
def test_the_help_of_the_trainer_imports_no_torch(module: str) -> None:
    probe = (
        "import runpy, sys\nsys.argv = ['x', '--help']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\nexcept SystemExit as e: assert not e.code\n"
        f"sys.exit(int(bool({HEAVY!r} & set(sys.modules))))"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-500:]


def test_no_module_is_longer_than_400_lines() -> None:
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path

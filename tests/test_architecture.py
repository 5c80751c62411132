"""No import cycles, and light commands load no torch. Which room imports which: see import-linter in pyproject.toml."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "transformers", "trl", "peft"}


def test_no_module_imports_itself_through_others_not_even_lazily_or_for_types() -> None:
    graph = grimp.build_graph("bct_tasks", "graders", "serving", "trainer", "lab", cache_dir=None)
    graphlib.TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()


@pytest.mark.parametrize("package", ["bct_tasks", "graders"])
def test_tasks_and_graders_never_import_torch_at_module_level(package: str) -> None:
    assert not [path for path in (ROOT / package).rglob("*.py") if HEAVY & imported_at_module_level(path)]


def imported_at_module_level(path: Path) -> set[str]:
    names: list[str] = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    "code",
    [
        "import bct_tasks._registry",
        "import serving._registry",
        "from lab.cli.main import main; main(['list'], standalone_mode=False)",
        "from lab.cli.main import main; main(['show', 'sandbagging'], standalone_mode=False)",
        "from lab.cli.main import main; main(['check', 'sandbagging'], standalone_mode=False)",
        "from lab.cli.main import main; main(['run', '--help'], standalone_mode=False)",
    ],
)
def test_registries_and_light_commands_load_no_torch(code: str) -> None:
    loads_no_torch(code)


@pytest.mark.parametrize("module", ["trainer.sft", "trainer.organism", "trainer.grpo", "trainer.dpo"])
def test_the_help_of_the_trainer_loads_no_torch(module: str) -> None:
    loads_no_torch(
        "import runpy, sys\nsys.argv = ['x', '--help']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\nexcept SystemExit as e: assert not e.code"
    )


def test_a_worker_is_ready_before_torch_inspect_and_scipy_are_read() -> None:
    loads_none("import lab.experiment.worker", HEAVY | {"inspect_ai", "pandas", "scipy", "statsmodels"})


def loads_no_torch(code: str) -> None:
    loads_none(code, HEAVY)


def loads_none(code: str, modules: set[str]) -> None:
    probe = f"{code}\nimport sys; sys.exit(int(bool({modules!r} & set(sys.modules))))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-500:]

"""The notebooks in examples/ run from start to end, in this order, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


def committed(name: str) -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / name, as_version=4)


#: What the notebook's recipe asks for, and what is enough to see that every cell works.
CUTS = {"steps: 32": "steps: 2", "n: 60": "n: 12", "n_train: 30": "n_train: 6", "n_capability: 30": "n_capability: 6"}


def smaller(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The quickstart with a recipe of seconds; all else as committed."""
    [recipe] = [cell for cell in notebook.cells if "recipe.write_text" in cell.source]
    for whole, cut in CUTS.items():
        assert f"\n{whole}\n" in recipe.source
        recipe.source = recipe.source.replace(f"\n{whole}\n", f"\n{cut}\n")
    return notebook


def execute(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources).execute()


def shown(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in outputs)


def pictures(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_the_quickstart_ends_in_a_verdict_a_figure_and_a_report(folder: Path) -> None:
    done = execute(smaller(committed("quickstart.ipynb")), folder)
    assert "sandbagging, static: " in shown(done)
    assert pictures(done) == 1
    assert "sandbagging" in (folder / "notebook.html").read_text(encoding="utf-8")


def test_an_own_analysis_works_on_the_tables_of_that_run(folder: Path) -> None:
    done = execute(committed("own_analysis.ipynb"), folder)
    assert "eval_initial" in shown(done)
    assert pictures(done) == 1


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)

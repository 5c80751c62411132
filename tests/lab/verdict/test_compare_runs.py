"""Two runs side by side, many conclusions at once, and the commands that print them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_up import BACK, KEPT, MOVED, ceiling, cell, checkpoint

from lab.cli.main import main
from lab.logs.records import CellRecord, Item
from lab.report.markdown import comparison, markdown
from lab.verdict.compare_runs import against
from lab.verdict.results import build_results, write_results
from lab.verdict.schema import Results, Thresholds
from lab.verdict.wording import holm_text, lr_text


def run_folder(folder: Path, *records: CellRecord, confidence: float = 0.95) -> Path:
    """A run folder as far as a comparison reads it: results.json and logs."""
    placed = []
    for record in records:
        checkpoints = []
        for c in record.checkpoints:
            log = f"logs/{record.id}/step-{c.step:06d}.eval"
            write_log(folder / log, c.items)
            checkpoints.append(replace(c, log=log))
        placed.append(replace(record, checkpoints=checkpoints))
    thresholds = Thresholds(confidence=confidence)
    write_results(build_results("made-up", placed, [ceiling()], thresholds), folder / "results.json")
    return folder


def write_log(path: Path, items: list[Item] | tuple[Item, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for item in items:
        facts = {"split": item.split, "template": item.template, "system": item.system}
        score = {"value": {"truncated": 0}, "metadata": {"outcome": item.outcome}}
        rows.append({"id": item.id, "metadata": facts, "scores": {"outcome": score}})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("summaries.json", json.dumps(rows))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    first = run_folder(tmp_path / "a", cell(KEPT, lr=1e-4), cell(KEPT, lr=1e-3), cell(KEPT, lr=1e-2))
    second = run_folder(tmp_path / "b", cell(KEPT, lr=1e-4), cell(MOVED, lr=1e-3), cell(KEPT, lr=3e-3))
    return first, second


def test_intervals_of_a_comparison_have_the_higher_confidence_of_the_runs(tmp_path: Path) -> None:
    wide = run_folder(tmp_path / "wide", cell(KEPT), confidence=0.99)
    first, second = (run_folder(tmp_path / name, cell(KEPT), confidence=0.9) for name in "ab")
    assert "90 % intervals" in comparison(against(first, second))
    assert "99 % intervals" in comparison(against(first, wide))


def test_cells_of_the_same_key_are_compared_and_the_others_are_named(runs: tuple[Path, Path]):
    found = against(*runs)
    assert [pair.cell.split(", lr ")[1] for pair in found.pairs] == ["1e-4, seed 0", "1e-3, seed 0"]
    assert found.only_first == ("sandbagging, weights, lr 1e-2, seed 0",)
    assert found.only_second == ("sandbagging, weights, lr 3e-3, seed 0",)


def test_a_changed_name_and_the_paired_difference_behind_it_are_told(runs: tuple[Path, Path]):
    same, moved = against(*runs).pairs
    assert (same.changed, moved.changed) == (False, True)
    assert moved.names == ("kept", "transferred")
    by_rate = {d.rate: d for d in moved.differences}
    assert by_rate["initial"].estimate == pytest.approx(-0.95)
    assert by_rate["initial"].hi < 0
    assert by_rate["initial"].p_holm == pytest.approx(2 * by_rate["initial"].p_value)
    assert {d.estimate for d in same.differences} == {0.0}


def test_the_comparison_as_markdown_has_one_row_per_pair(runs: tuple[Path, Path]):
    text = comparison(against(*runs))
    assert "kept → transferred" in text
    assert "−.95" in text
    assert len([line for line in text.splitlines() if line.startswith("| sandbagging")]) == 2


def test_the_command_compares_runs_and_refuses_what_is_none(runs: tuple[Path, Path], tmp_path: Path):
    done = CliRunner().invoke(main, ["report", *map(str, runs), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["changed"] == ["sandbagging, weights, lr 1e-3, seed 0"]
    refused = CliRunner().invoke(main, ["report", str(runs[0]), str(tmp_path)])
    assert refused.exit_code == 2
    assert "has no results.json" in refused.output


def test_a_log_that_is_gone_is_one_line(runs: tuple[Path, Path]):
    next(iter(sorted(runs[1].glob("logs/*1e-3.0*/0.eval")) or sorted(runs[1].rglob("step-000008.eval")))).unlink()
    done = CliRunner().invoke(main, ["report", *map(str, runs)])
    assert done.exit_code == 2
    assert "run the same command again" in done.output


def several(*paths: tuple[str, list[tuple[float, float]]]) -> Results:
    return build_results("x", [cell(path, variant=name) for name, path in paths])


def test_a_conclusion_is_as_sure_as_the_half_that_reports_and_holm_makes_all_of_them_less_sure():
    one, both = several(("a", KEPT)), several(("a", KEPT), ("b", MOVED), ("c", BACK))
    (alone,) = one.conclusions
    assert alone.p_value is not None
    assert alone.p_holm == alone.p_value < 0.001
    by_arm = {c.variant: c for c in both.conclusions}
    for name in ("a", "b"):
        p, adjusted = by_arm[name].p_value, by_arm[name].p_holm
        assert p is not None
        assert adjusted is not None
        assert p <= adjusted <= 3 * p + 1e-6


def test_a_claim_over_seeds_is_as_sure_as_its_least_sure_seed():
    weak = [(0.95, 0.02), (0.95, 0.02), (0.1, 0.8), (0.28, 0.7), (0.27, 0.7)]
    sure, unsure = (
        build_results("x", [cell(MOVED, seed=0), cell(path, seed=1)]).conclusions[0].p_value for path in (MOVED, weak)
    )
    assert sure is not None
    assert unsure is None or unsure >= sure


def test_no_claim_has_no_p_value():
    for path, more in ((MOVED, {"role": "control"}), ([(0.95, 0.0), (0.5, 0.4), (0.48, 0.4)], {})):
        (found,) = build_results("x", [cell(path, **more)]).conclusions
        assert found.status != "not_removed" or found.p_value is not None
        if found.status in ("rates_only", "undecided"):
            assert found.p_value is None


def test_how_many_claims_hold_together_is_one_sentence():
    assert holm_text(several(("a", KEPT)).conclusions, several(("a", KEPT)).thresholds) == ""
    both = several(("a", KEPT), ("b", MOVED))
    assert holm_text(both.conclusions, both.thresholds).startswith("2 of 2 claims")


def test_the_chosen_learning_rate_is_shown_on_both_halves():
    (found,) = build_results("x", [cell(MOVED, lr=1e-3), cell(KEPT, lr=1e-4)]).conclusions
    assert {h.step for h in found.halves} == {0, 1, 2, 4, 8}
    assert all(0 <= h.choose <= 1 and 0 <= h.report <= 1 for h in found.halves)


def test_a_run_as_markdown_has_conclusions_cells_and_failures_and_no_markup_of_others():
    records = [cell(MOVED, lr=1e-3), cell([], variant="static", failure="stopped: <b>|x")]
    text = markdown(build_results("made-up", records, question="Does <i>it</i>?"))
    assert "- **sandbagging, weights**: transferred without damage" in text
    assert f"lr {lr_text(1e-3)}, seed 0 | transferred" in text
    assert "&lt;b&gt;" in text
    assert "Does &lt;i&gt;it" in text


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ([".05", ".10"], 432),
        ([".05", ".10", "--n", "432"], 0.8003),
        ([".05", "--n", "432"], 0.05),
        ([".05", ".15", "--paired"], 155),
    ],
)
def test_the_command_plans_items(arguments: list[str], answer: float):
    done = CliRunner().invoke(main, ["power", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["answer"] == pytest.approx(answer, rel=0.01)


@pytest.mark.parametrize("arguments", [[".1"], [".1", ".1"], [".1", "--paired"], ["2", ".1"]])
def test_what_is_no_question_of_power_is_refused(arguments: list[str]):
    assert CliRunner().invoke(main, ["power", *arguments]).exit_code == 2


def test_a_pair_without_common_items_has_no_differences(tmp_path: Path):
    other = replace(checkpoint(8, 0.5, 0.4), items=[Item("new-1", "eval", "t", "initial")])
    first = run_folder(tmp_path / "a", cell([checkpoint(0, 0.95, 0), checkpoint(8, 0.9, 0)]))
    second = run_folder(tmp_path / "b", cell([checkpoint(0, 0.95, 0), other]))
    (pair,) = against(first, second).pairs
    assert not pair.same_items
    assert pair.differences == ()

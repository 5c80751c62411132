"""The terminal's table."""

from __future__ import annotations

import io
from dataclasses import replace

from made_up import cell
from rich.console import Console

from lab.report.terminal import print_results, sparkline
from lab.verdict.results import build_results
from lab.verdict.schema import Results, Service


def printed(results: Results, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
    print_results(results, console, took="3 min")
    return console.export_text()


def test_it_shows_every_cell_every_conclusion_and_the_predictions(results: Results) -> None:
    text = printed(results, 200)
    for name in ("kept", "transferred", "transient", "damaged", "control", "failed"):
        assert name in text
    for conclusion in results.conclusions:
        assert f"{conclusion.arm}: {conclusion.sentence}." in text
    assert "weights kept at 1e-4 ✓" in text
    assert "kept at 1e-4\n" in text


def test_it_loses_nothing_on_eighty_columns(results: Results) -> None:
    rows = [line for line in printed(results, 80).splitlines() if "▇" in line or "█" in line]
    assert len(rows) == 7
    assert "…" not in printed(results, 80)


def test_a_sparkline_has_one_block_per_checkpoint() -> None:
    (found,) = build_results("x", [cell([(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)])]).cells
    assert sparkline(found.checkpoints) == "█▅▁"


def test_it_states_what_a_service_was_used_for_and_its_cost(results: Results) -> None:
    used = Service(name="tinker", trained=4671, prefilled=16452, sampled=734, cost=1.5)
    text = printed(results.model_copy(update={"service": used}), 200)
    assert "service: tinker, 4,671 tokens trained on, 16,452 prefilled, 734 sampled; cost 1.50 at the recipe's" in text
    assert "service:" not in printed(results, 200)


def test_cells_that_one_gate_refused_are_one_line_with_what_to_try(results: Results) -> None:
    gate = {"ok": False, "reasons": ["agreed rate on train prompts 0.75 is under 0.9"]}
    why = f"refused, the gate failed: {gate['reasons'][0]}. --force runs it and marks it invalid"
    refused = [replace(cell([], seed=seed, failure=why), gate=gate) for seed in range(4)]
    broken = [cell([], seed=seed, failure="the disk is full") for seed in (4, 5)]
    lines = printed(build_results("x", [*refused, *broken]), 400).splitlines()
    assert [line for line in lines if "0.75" in line] == [
        "gate: sandbagging, weights: 4 cells refused (--force trains them and marks them invalid): agreed rate on "
        "train prompts 0.75 is under 0.9. Try an organism installed in other steps: this one does not reply to train "
        "prompts as both policies do. More: bct check sandbagging --variant weights --model mini"
    ]
    assert sum("the disk is full" in line for line in lines) == 1
    assert [line.split()[-1:] for line in lines].count(["refused"]) == 4


def test_a_forced_cell_that_failed_for_another_reason_than_its_gate_is_not_called_refused() -> None:
    forced = replace(cell([], failure="the disk is full"), gate={"ok": False, "reasons": ["agreed rate 0.75"]})
    rows = [line.split()[-1:] for line in printed(build_results("x", [forced]), 400).splitlines()]
    assert (rows.count(["failed"]), rows.count(["refused"])) == (1, 0)

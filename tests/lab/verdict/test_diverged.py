"""A diverged cell: its figures that are no numbers are null, and the rest of the run is reported."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import ceiling, cell, checkpoint

from lab.logs.records import CheckpointRecord
from lab.verdict.results import build_results, read_results, write_results

NAN, INF = math.nan, math.inf


def with_margins(record: CheckpointRecord, value: float) -> CheckpointRecord:
    items = [replace(i, margin=value, greedy="neither") if i.split == "eval" else i for i in record.items]
    return replace(record, items=items)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_diverged_checkpoint_has_null_figures_and_the_others_are_reported(tmp_path: Path, value: float) -> None:
    start, end = (checkpoint(step, 0.9, 0.0) for step in (0, 1))
    sound = [with_margins(start, -2.0), with_margins(end, -1.0)]
    broken = [with_margins(start, -2.0), with_margins(checkpoint(1, 0.0, 0.0, degenerate=1.0), value)]
    metrics = [{"step": 1, "loss": value, "distance": value, "sum_lr": 10.0}]
    cells = [cell(sound), replace(cell(broken, lr=10.0, trained={"diverged": True}), metrics=metrics)]
    write_results(build_results("x", cells, [ceiling()]), tmp_path / "results.json")
    good, bad = read_results(tmp_path / "results.json").cells
    assert [c.margin.mean if c.margin else None for c in good.checkpoints] == [-2.0, -1.0]
    assert (bad.checkpoints[1].margin, bad.checkpoints[1].loss, bad.checkpoints[1].distance) == (None, None, None)
    assert "diverged" in bad.verdict.flags
    assert "NaN" not in json.dumps(json.loads((tmp_path / "results.json").read_text()))


@pytest.mark.parametrize("split", ["train", "capability"])
def test_a_split_that_was_not_asked_has_no_rate_and_the_others_are_reported(tmp_path: Path, split: str) -> None:
    asked = [checkpoint(step, 0.9, 0.0) for step in (0, 1, 2)]
    less = [replace(record, items=[i for i in record.items if i.split != split]) for record in asked]
    write_results(build_results("x", [cell(less)], [ceiling()]), tmp_path / "results.json")
    (found,) = read_results(tmp_path / "results.json").cells
    assert found.checkpoints[-1].eval.n == 80
    assert found.verdict.name is not None
    assert "NaN" not in (tmp_path / "results.json").read_text(encoding="utf-8")


def test_replies_to_one_prompt_do_not_narrow_the_interval_of_a_rate_at_0_or_1(tmp_path: Path) -> None:
    once = [checkpoint(step, 1.0, 0.0) for step in (0, 1)]
    four = [replace(r, items=[replace(i, id=f"{i.id}#{e}") for i in r.items for e in (1, 2, 3, 4)]) for r in once]
    write_results(build_results("x", [cell(once), cell(four, seed=1)], [ceiling()]), tmp_path / "results.json")
    one, more = (c.checkpoints[1].eval for c in read_results(tmp_path / "results.json").cells)
    assert (more.n, one.n) == (320, 80)
    for outcome in ("initial", "alternate"):
        a, b = getattr(one, outcome), getattr(more, outcome)
        assert (b.lo, b.hi) == pytest.approx((a.lo, a.hi), abs=1e-6)


def test_a_checkpoint_without_any_scored_reply_is_reported(tmp_path: Path) -> None:
    empty = checkpoint(1, 0.0, 0.0, unscored=80)
    write_results(build_results("x", [cell([checkpoint(0, 0.9, 0.0), empty])], [ceiling()]), tmp_path / "results.json")
    (found,) = read_results(tmp_path / "results.json").cells
    assert (found.checkpoints[1].eval.n, found.checkpoints[1].eval.initial.p) == (0, None)

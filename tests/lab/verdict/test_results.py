"""results.json: the shipped schema, the promises between its fields, and the same bytes for the same replies."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from made_up import BACK, KEPT, MOVED, SILENT, STEPS, ceiling, cell, checkpoint

from lab.logs.records import CellRecord, Item
from lab.verdict.expectations import Expectation
from lab.verdict.results import SCHEMA, build_results, read_results, schema_text, write_results
from lab.verdict.schema import Results, Thresholds


def records() -> list[CellRecord]:
    return [
        cell(KEPT, lr=1e-4),
        cell(MOVED, lr=1e-3, seed=0),
        cell(SILENT, lr=1e-3, seed=1),
        cell(BACK, lr=3e-3),
        cell(MOVED, variant="none", role="control"),
        cell([], variant="static", failure="training stopped: no space left"),
    ]


def built() -> Results:
    return build_results("made-up", records(), [ceiling()], question="Does it?", expect="It does.")


def test_the_shipped_schema_is_up_to_date():
    """If not: python -m lab.verdict.results > lab/verdict/results.schema.json"""
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


def test_what_is_written_validates_against_the_shipped_schema_and_reads_back(tmp_path: Path):
    write_results(built(), tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert written["schema"] == "2"
    assert read_results(tmp_path / "results.json") == built()


def test_the_keys_of_the_design_are_where_it_says():
    written = built().model_dump(mode="json")
    assert {"schema", "experiment", "thresholds", "cells", "groups", "conclusions"} <= set(written)
    one = written["cells"][0]
    assert {"id", "hash", "gate", "graders", "setting", "variant", "role", "method", "model", "organism"} <= set(one)
    assert {"rank", "batch", "label_source", "lr", "seed", "checkpoints", "verdict"} <= set(one)
    point = next(c for c in written["cells"] if c["checkpoints"])["checkpoints"][0]
    assert {"step", "log", "fingerprint", "eval", "train", "capability", "name"} <= set(point)
    assert {"n", "clusters", "unscored", "truncated", "initial", "alternate", "other", "degenerate"} <= set(
        point["eval"]
    )
    assert {"k", "p", "lo", "hi"} <= set(point["eval"]["initial"])
    assert {"n", "p", "lo", "hi", "relative"} <= set(point["capability"])
    assert {"name", "flags", "first_crossing", "undamaged_crossing", "stable_crossing", "largest_reversal"} <= set(
        one["verdict"]
    )
    assert {"key", "seeds", "verdicts", "rates"} <= set(written["groups"][0])
    assert {"setting", "variant", "method", "model", "sentence"} <= set(written["conclusions"][0])


def test_counts_rates_and_intervals_agree():
    for point in (point for found in built().cells for point in found.checkpoints):
        e = point.eval
        assert e.initial.k + e.alternate.k + e.other.k + e.degenerate.k == e.n
        for rate in (e.initial, e.alternate, e.other, e.degenerate, point.train.agreed):
            assert rate.p is not None
            assert rate.lo <= rate.p <= rate.hi
        assert e.initial.p == pytest.approx(e.initial.k / e.n, abs=1e-6)


def test_the_order_of_records_and_replies_does_not_reach_the_file(tmp_path: Path):
    shuffled = records()
    random.Random(0).shuffle(shuffled)
    mixed = []
    for record in shuffled:
        points = [
            replace(c, items=random.Random(c.step).sample(list(c.items), len(c.items))) for c in record.checkpoints
        ]
        mixed.append(replace(record, checkpoints=points[::-1]))
    write_results(built(), tmp_path / "a.json")
    other = build_results("made-up", mixed, [ceiling()], question="Does it?", expect="It does.")
    write_results(other, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_times_do_not_reach_the_file(tmp_path: Path):
    slow = [cell(KEPT, trained={"step0_loss": 0.02, "seconds": 1000.0})]
    fast = [cell(KEPT, trained={"step0_loss": 0.02, "seconds": 1.0})]
    assert build_results("x", slow) == build_results("x", fast)


def test_an_unscored_reply_is_in_no_rate():
    (found,) = build_results("x", [cell([checkpoint(0, 0.5, 0.0, unscored=6)])]).cells
    e = found.checkpoints[0].eval
    assert (e.n, e.unscored, e.initial.k) == (74, 6, 40)
    assert e.initial.p == pytest.approx(40 / 74, abs=1e-6)


def test_replies_that_share_templates_widen_the_interval():
    alone, shared = (
        build_results("x", [cell([checkpoint(0, 0.5, 0.5, templates=t)])]).cells[0].checkpoints[0].eval.initial
        for t in (60, 2)
    )
    assert alone.deff == 1.0
    assert shared.p == alone.p
    clumped = [
        Item(id=str(i), split="eval", template=str(i // 10), outcome="initial" if i < 30 else "alternate")
        for i in range(60)
    ]
    point = replace(checkpoint(0, 0.5, 0.5), items=clumped)
    wide = build_results("x", [cell([point])]).cells[0].checkpoints[0].eval.initial
    assert wide.deff > 5
    assert wide.hi - wide.lo > 2 * (alone.hi - alone.lo)


def test_changes_are_measured_on_the_items_scored_at_both_steps():
    first, last = checkpoint(0, 0.9, 0.0, unscored=4), checkpoint(8, 0.5, 0.3)
    change = build_results("x", [cell([first, last])]).cells[0].checkpoints[1].changes.initial
    assert change is not None
    assert change.n == 76


def test_capability_is_shown_with_and_without_system_prompts():
    point = checkpoint(0, 0.9, 0.0)
    broken = [replace(i, outcome="other") if i.split == "capability" and not i.system else i for i in point.items]
    c = build_results("x", [cell([replace(point, items=broken)])]).cells[0].checkpoints[0].capability
    assert (c.with_system, c.without_system) == (pytest.approx(0.9), 0.0)


def test_a_failed_cell_is_listed_and_not_dropped():
    results = built()
    assert len(results.cells) == len(records())
    assert results.failures == ("sandbagging.static.bct.0.001.0.00000000: training stopped: no space left",)


def test_a_missing_ceiling_asks_for_more_and_says_so():
    path = [(0.95, 0.0), *[(0.0, 0.55)] * 4]
    with_it, without = build_results("x", [cell(path)], [ceiling(0.8)]), build_results("x", [cell(path)])
    assert with_it.cells[0].verdict.name == "transferred"
    assert without.cells[0].verdict.name == "removed"
    assert any("no ceiling" in line for line in without.deviations)


def test_agreed_on_an_eval_prompt_is_refused():
    wrong = replace(checkpoint(0, 0.9, 0.0), items=[Item("a", "eval", "t", "agreed")])
    with pytest.raises(ValueError, match="an eval reply cannot be"):
        build_results("x", [cell([wrong])])


def test_two_checkpoints_of_one_step_are_refused():
    with pytest.raises(ValueError, match="two checkpoints of the same step"):
        build_results("x", [cell([checkpoint(4, 0.9, 0.0), checkpoint(4, 0.9, 0.0)])])


def test_thresholds_are_written_as_used_and_change_the_names():
    strict = Thresholds(initial_share=0.01)
    results = build_results("x", [cell(MOVED)], [ceiling()], strict)
    assert results.thresholds.initial_share == 0.01
    assert results.cells[0].verdict.name != "transferred"


def test_expectations_are_answered_from_the_cells():
    says = [
        Expectation(says="kept", lr=1e-4, name=("retained",)),
        Expectation(says="gone", lr=1e-4, name=("transferred",)),
        Expectation(says="a hope"),
    ]
    results = build_results("x", records(), [ceiling()], expectations=says)
    assert [e.answer for e in results.expectations] == ["yes", "no", "text"]


def test_a_prediction_for_a_number_of_steps_asks_no_longer_training():
    steps = [step for step, _ in zip(STEPS, KEPT, strict=False)]
    longer = [10 * step for step in steps]
    says = [Expectation(steps=n, name=("retained",)) for n in (steps[-1], longer[-1], 7)]
    results = build_results("x", [cell(KEPT), cell(MOVED, seed=1, steps=longer)], expectations=says)
    assert [e.answer for e in results.expectations] == ["yes", "no", "undecided"]


def test_nothing_measured_is_still_a_document():
    results = build_results("empty", [])
    assert (results.cells, results.groups, results.conclusions) == ((), (), ())

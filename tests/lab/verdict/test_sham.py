"""Effects net of sham: which sham cell is the control of a cell, and where none is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from made_up import KEPT, MOVED, ceiling, cell

from lab.logs.records import CellRecord
from lab.verdict.results import build_results

START = KEPT[0]
#: Random words that leave this much of the behavior, so that an effect tells which sham it is net of.
MUCH, LITTLE = ([START, *[(rate, 0.02)] * 4] for rate in (0.75, 0.25))
MUON = {"optim": "muon"}


def named(id: str, record: CellRecord) -> CellRecord:
    return replace(record, id=id)


def controls(*records: CellRecord) -> dict[str, str | None]:
    """The control of each cell that is no sham."""
    found = build_results("x", records, [ceiling()]).cells
    return {c.id: c.net_of_sham.sham if c.net_of_sham else None for c in found if c.method != "sham"}


def with_start(record: CellRecord, fingerprint: str) -> CellRecord:
    """The cell with this fingerprint of its weights at step 0."""
    first, *others = record.checkpoints
    return replace(record, checkpoints=[replace(first, fingerprint=fingerprint), *others])


def test_each_optimizer_has_its_own_sham() -> None:
    records = [
        named("plain", cell(MOVED)),
        named("of muon", cell(MOVED, factors=MUON)),
        named("random words", cell(MUCH, method="sham")),
        named("random words by muon", cell(LITTLE, method="sham", factors=MUON)),
    ]
    found = {c.id: c for c in build_results("x", records, [ceiling()]).cells}
    plain, muon = found["plain"].net_of_sham, found["of muon"].net_of_sham
    assert plain is not None
    assert muon is not None
    assert (plain.sham, plain.estimate) == ("random words", pytest.approx(-0.75))
    assert (muon.sham, muon.estimate) == ("random words by muon", pytest.approx(-0.25))
    assert controls(*records) == controls(*records[::-1])


@pytest.mark.parametrize(
    "other",
    [
        {"factors": MUON},
        {"factors": {"adam_epsilon": 1e-5}},
        {"factors": {"weight_decay": 0.1}},
        {"factors": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 4}},
        {"factors": {"dtype": "bfloat16"}},
        {"factors": {"adam_beta2": 0.95}},
        {"rank": 8},
        {"batch": 8},
        {"lr": 1e-4},
        {"seed": 1},
        {"seeds": {"order": 1}},
        {"organism": "4d5e6f70"},
        {"asked": {"source": "instructions"}},
    ],
    ids=str,
)
def test_a_sham_that_differs_in_what_the_optimizer_does_is_no_control(other: Mapping[str, Any]) -> None:
    assert controls(named("a", cell(MOVED, **other)), named("s", cell(MUCH, method="sham"))) == {"a": None}
    assert controls(named("a", cell(MOVED)), named("s", cell(MUCH, method="sham", **other))) == {"a": None}
    both = [named("a", cell(MOVED, **other)), named("s", cell(MUCH, method="sham", **other))]
    assert controls(*both) == {"a": "s"}


@pytest.mark.parametrize(
    "own",
    [
        {"factors": {"mix": 0.25}},
        {"factors": {"kl": 0.1}},
        {"rows": 256},
        {"label_source": "reference"},
        {"method": "pirate"},
    ],
    ids=str,
)
def test_the_rows_and_the_loss_of_a_cell_need_not_be_those_of_its_sham(own: Mapping[str, Any]) -> None:
    assert controls(named("a", cell(MOVED, **own)), named("s", cell(MUCH, method="sham"))) == {"a": "s"}


def test_a_sham_of_fewer_steps_is_a_control_only_where_the_schedule_does_not_depend_on_them() -> None:
    for schedule, control in (("constant", "s"), ("linear", None)):
        factors = {} if schedule == "constant" else {"lr_scheduler_type": schedule}
        short = named("s", cell(MUCH[:3], method="sham", factors=factors))
        assert controls(named("a", cell(MOVED, factors=factors)), short) == {"a": control}


def test_pooled_organisms_are_each_compared_with_the_sham_that_starts_from_them() -> None:
    pooled = [
        named(f"{kind} {seed}", cell(path, method=method, organism=f"{seed}a", organism_seed=seed, organism_arm="arm"))
        for seed, words in ((0, MUCH), (1, LITTLE))
        for kind, method, path in (("task", "bct", MOVED), ("words", "sham", words))
    ]
    assert controls(*pooled) == {"task 0": "words 0", "task 1": "words 1"}
    assert controls(pooled[0], pooled[3]) == {"task 0": None}


def test_seeds_of_parts_have_the_sham_of_the_same_seeds() -> None:
    """As in `variance.yaml`: one sham of seed 0, and cells that differ from it in one kind of seed."""
    cells = [named(f"data {n}", cell(MOVED, seeds={"data": n} if n else {})) for n in (0, 1, 2)]
    assert controls(*cells, named("s", cell(MUCH, method="sham"))) == {"data 0": "s", "data 1": None, "data 2": None}


def test_a_reversal_has_no_effect_net_of_sham() -> None:
    sham = named("s", cell(MUCH, method="sham"))
    for factors in ({"after": "bct 1e-3 at 8"}, {}):
        assert controls(named("r", cell(KEPT, method="reversal", factors=factors)), sham) == {"r": None}


def test_of_two_shams_the_one_nearer_to_the_cell_counts_and_of_two_as_near_none() -> None:
    few, many = (named(f"{n} rows", cell(MUCH, method="sham", rows=n)) for n in (64, 256))
    task = named("a", cell(MOVED, rows=256))
    assert controls(task, few, many) == controls(task, many, few) == {"a": "256 rows"}
    assert controls(named("a", cell(MOVED, rows=128)), few, many) == {"a": None}
    assert controls(task, few) == {"a": "64 rows"}
    failed = named("failed", cell([], method="sham", rows=256, failure="stopped"))
    assert controls(task, few, failed) == {"a": "64 rows"}, "a sham without checkpoints is none"


def test_a_sham_that_started_from_other_weights_is_no_control() -> None:
    task, sham = named("a", cell(MOVED)), named("s", cell(MUCH, method="sham"))
    assert controls(task, with_start(sham, "other weights")) == {"a": None}
    assert controls(task, with_start(sham, "")) == {"a": "s"}, "logs of a service have no fingerprint"
    twin = with_start(named("t", cell(LITTLE, method="sham")), "other weights")
    assert controls(task, sham, twin) == {"a": "s"}

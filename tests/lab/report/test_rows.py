"""Rows of the report's tables: each names what its arm differs in, so that no two rows have the same name."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from itertools import product
from typing import Any

import pytest
from made_up import KEPT, MOVED, ceiling, cell

from lab.logs.records import CellRecord
from lab.report.html import render
from lab.verdict.results import build_results

#: Tables of the report, and how many of their first columns name a row.
TABLES = {
    "Table of cells": 3,
    "Table of effects net of sham": 3,
    "Table of counts": 1,
    "Table of groups": 1,
    "Table of families": 1,
}
#: As in `methods.yaml`: arms of one method at one learning rate.
ARMS: tuple[dict[str, Any], ...] = (
    {},
    {"factors": {"optim": "muon"}},
    {"factors": {"adam_epsilon": 1e-5}},
    {"rank": 8},
    {"label_source": "reference"},
)


def rows(page: str, title: str) -> list[list[str]]:
    """The rows of a table as texts, without its head."""
    _, _, after = page.partition(f'aria-label="{title}"')
    body = after.partition("<tbody>")[2].partition("</tbody>")[0]
    found = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in found)
    return [[unescape(re.sub("<.*?>", "", each)) for each in row] for row in cells]


def with_families(record: CellRecord) -> CellRecord:
    """The cell with its items in two families of questions."""
    points = [
        replace(c, items=[replace(item, family=f"family{i % 2}") for i, item in enumerate(c.items)])
        for c in record.checkpoints
    ]
    return replace(record, checkpoints=points)


@pytest.fixture(scope="module")
def page() -> str:
    kinds = (("bct", MOVED), ("sham", KEPT))
    records = [
        replace(made, id=f"{method}-{i}-{seed}")
        for (i, config), (method, path), seed in product(enumerate(ARMS), kinds, range(3))
        for made in [with_families(cell(path, method=method, seed=seed, **config))]
    ]
    longer = [
        replace(made, id=f"longer-{seed}")
        for seed in range(3, 6)
        for made in [with_families(cell(KEPT, seed=seed, steps=(0, 16, 32, 64, 128)))]
    ]
    return render(build_results("x", [*records, *longer], [ceiling()]))


@pytest.mark.parametrize(("title", "columns"), TABLES.items())
def test_no_two_rows_have_the_same_name(page: str, title: str, columns: int) -> None:
    found = [tuple(row[:columns]) for row in rows(page, title)]
    assert len(found) > len(ARMS)
    assert len(set(found)) == len(found)


def test_rows_have_the_names_of_their_arms_and_lengths_where_an_arm_has_several(page: str) -> None:
    plain = "sandbagging, weights, labels on_policy, full fine-tuning"
    assert {name for name, *_ in rows(page, "Table of effects net of sham")} == {
        f"{plain}, 8 steps",
        f"{plain}, optim muon",
        f"{plain}, adam_epsilon 1e-05",
        "sandbagging, weights, labels on_policy, rank 8",
        "sandbagging, weights, labels reference, full fine-tuning",
    }
    groups = {name for name, *_ in rows(page, "Table of groups")}
    assert {f"{plain}, 8 steps, 1e-3", f"{plain}, 128 steps, 1e-3", f"{plain}, optim muon, 1e-3"} < groups


def test_cells_of_pooled_organisms_are_told_apart() -> None:
    pooled = [
        replace(made, id=f"{method}-{seed}")
        for seed, (method, path) in product((0, 1), (("bct", MOVED), ("sham", KEPT)))
        for made in [cell(path, method=method, organism=f"o{seed}", organism_seed=seed, organism_arm="o")]
    ]
    found = rows(render(build_results("x", pooled, [ceiling()])), "Table of effects net of sham")
    assert [seed for _, _, seed, *_ in found] == ["0 organism 0", "0 organism 1"]

"""A small sweep with every kind of cell, and its report."""

from __future__ import annotations

import pytest
from made_up import BACK, KEPT, MOVED, ceiling, cell, checkpoint

from lab.report.html import render
from lab.verdict.expectations import Expectation
from lab.verdict.results import build_results
from lab.verdict.schema import Results


@pytest.fixture(scope="session")
def results() -> Results:
    damaged = [checkpoint(0, 0.95, 0.0), *(checkpoint(s, 0.0, 0.9, capability=0.3) for s in (1, 2))]
    records = [
        cell(KEPT, lr=1e-4),
        *(cell(MOVED, lr=1e-3, seed=s) for s in range(3)),
        cell(BACK, lr=3e-3),
        cell(damaged, lr=1e-2),
        cell(MOVED, variant="none", role="control"),
        cell([], variant="static", failure="stopped: <out of memory>"),
    ]
    return build_results(
        "made-up",
        records,
        [ceiling()],
        question="Does <b>it</b> hold?",
        expect="kept at 1e-4",
        expectations=[Expectation(says="weights kept at 1e-4", lr=1e-4, variant="weights", name=("retained",))],
        command="bct run recipes/made-up.yaml",
        deviations=["another CPU"],
        versions={"torch": "2.13.0"},
        order=[record.id for record in records],
    )


@pytest.fixture(scope="session")
def page(results: Results) -> str:
    return render(results)

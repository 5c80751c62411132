"""How likely replies of our own are at each checkpoint, beside damage and no part of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from made_up import cell, checkpoint

from lab.logs.records import CheckpointRecord
from lab.report.html import render
from lab.verdict.results import build_results
from lab.verdict.schema import Results

#: Bits per byte of eight replies at step 0.
BEFORE = (0.9, 1.0, 1.1, 1.2, 0.8, 1.0, 1.3, 0.7)


def measured(step: int, bits: tuple[float, ...]) -> CheckpointRecord:
    """A checkpoint whose first questions of capability have replies of our own."""
    point = checkpoint(step, 0.95, 0.0)
    first = [i for i in point.items if i.split == "capability"][: len(bits)]
    marked = {i.id: replace(i, bits=b, family="text") for i, b in zip(first, bits, strict=True)}
    return replace(point, items=[marked.get(i.id, i) if i.split == "capability" else i for i in point.items])


def results(*bits: tuple[float, ...]) -> Results:
    return build_results("x", [cell([measured(8 * step, each) for step, each in enumerate(bits)])])


def test_the_change_is_paired_on_replies_with_a_t_interval() -> None:
    changes = (0.1, 0.2, 0.1, 0.0, 0.1, 0.2, 0.1, 0.0)
    start, end = results(BEFORE, tuple(b + c for b, c in zip(BEFORE, changes, strict=True))).cells[0].checkpoints
    assert (start.likelihood["text"].change, start.likelihood["text"].mean) == (0.0, 1.0)
    found = end.likelihood["text"]
    assert (found.n, found.mean, found.change) == (8, pytest.approx(1.1), pytest.approx(0.1))
    half = 2.364624 * math.sqrt(0.04 / 7 / 8)  # Student's t of 7 degrees of freedom at .975
    assert (found.lo, found.hi) == (pytest.approx(0.1 - half, abs=1e-5), pytest.approx(0.1 + half, abs=1e-5))


def test_it_is_shown_in_the_report_and_changes_no_state_of_damage() -> None:
    worse = results(BEFORE, tuple(b + 1 for b in BEFORE))
    assert worse.cells[0].verdict.damage == results(BEFORE, BEFORE).cells[0].verdict.damage == "intact"
    assert "+1.000 [+1.000, +1.000]" in render(worse)


def test_a_reply_without_a_finite_likelihood_is_left_out() -> None:
    point = results(BEFORE, (math.nan, math.inf, *BEFORE[2:])).cells[0].checkpoints[-1]
    assert (point.likelihood["text"].n, point.likelihood["text"].change) == (6, 0.0)

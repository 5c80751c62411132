"""Families of questions: a breakdown, a wider interval where they differ, and halves that share no template."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import KEPT, cell, checkpoint

from lab.logs.records import CheckpointRecord, Item
from lab.report.html import render
from lab.verdict import table as tidy
from lab.verdict.rates import half
from lab.verdict.results import build_results

#: Six families of six templates with two prompts each.
PLACES = [(f"family{f}", f"family{f}-{t}") for f in range(6) for t in range(6) for _ in range(2)]


def answered(kept: dict[int, int], step: int = 8) -> CheckpointRecord:
    """A checkpoint whose families keep so many of their 12 replies (default: 6, two of every three templates' one)."""
    items: list[Item] = []
    for i, (family, template) in enumerate(PLACES):
        place = (i % 12 * 5) % 12  # spread over templates
        outcome = "initial" if place < kept.get(int(family[6:]), 6) else "alternate"
        items.append(Item(f"eval-{i:03d}", "eval", template, outcome, family=family))
    return replace(checkpoint(step, 0.5, 0.5), items=items)


ALIKE, APART = {}, {0: 0, 1: 0, 2: 6, 3: 6, 4: 12, 5: 12}


def initial(kept: dict[int, int]):
    (found,) = build_results("x", [cell([answered({i: 12 for i in range(6)}, 0), answered(kept)])]).cells
    return found.checkpoints[-1].eval


def test_families_that_differ_widen_the_interval_of_a_rate():
    alike, apart = initial(ALIKE), initial(APART)
    assert alike.initial.p == apart.initial.p
    assert alike.families is not None
    assert apart.families is not None
    assert alike.initial.deff == pytest.approx(alike.families.deff_template)
    assert apart.families.deff_family > 3 * apart.families.deff_template
    assert apart.initial.hi - apart.initial.lo > 1.5 * (alike.initial.hi - alike.initial.lo)


def test_a_single_family_is_no_breakdown():
    assert build_results("x", [cell(KEPT)]).cells[0].checkpoints[0].eval.families is None


def test_families_are_summed_over_seeds_and_shown_in_report_and_table():
    paths = [answered({i: 12 for i in range(6)}, 0), answered(APART)]
    results = build_results("x", [cell(paths, seed=0), cell(paths, seed=1)])
    (group,) = results.groups
    assert group.families is not None
    assert group.families.counts["family0"] == (0, 24)
    assert "family0 0 of 24; family1 0 of 24; family2 12 of 24" in render(results)
    row = tidy.result_table(results).iloc[1]
    assert row["eval_families"].startswith("family0 0 of 12; family1 0 of 12")
    assert row["eval_deff"] > row["eval_deff_family"] > row["eval_deff_template"]


def test_no_template_is_in_both_halves_and_every_family_is_balanced():
    items = answered(ALIKE).items
    one, two = (half(items, part) for part in (0, 1))
    assert not {i.template for i in one} & {i.template for i in two}
    assert len(one) + len(two) == len(items)
    for family in {i.family for i in items}:
        assert sum(i.family == family for i in one) == 6


def test_templates_of_different_sizes_are_balanced_too():
    sizes = [1, 9, 2, 8, 3, 7, 4, 6, 5, 5, 1, 1, 1, 1]
    items = [Item(f"{t}.{i}", "eval", f"t{t}", "initial") for t, n in enumerate(sizes) for i in range(n)]
    assert abs(len(half(items, 0)) - len(half(items, 1))) <= 9


def test_halves_do_not_depend_on_replies_or_their_order():
    items = list(answered(ALIKE).items)
    other = [replace(i, outcome="unscored") for i in reversed(items)]
    assert {i.id for i in half(items, 0)} == {i.id for i in half(other, 0)}


def test_prompts_of_one_template_are_split_one_by_one():
    items = [Item(f"p{i}", "eval", "only", "initial") for i in range(40)]
    assert 10 < len(half(items, 0)) < 30

"""The world's questions: splits share nothing, replies are right, rows are short."""

from __future__ import annotations

import itertools
import random

import pytest

from bct_tasks.catalogue import load, names
from bct_tasks.sources.world import FAMILIES, GENERAL
from bct_tasks.sources.world.question import SPLITS, split_of
from graders import read_answer, read_code

NAMES = tuple(FAMILIES)


def draw(name: str, split: str, n: int = 300) -> list:
    rng = random.Random(f"{name}{split}")
    return [FAMILIES[name].sample(rng, split) for _ in range(n)]


@pytest.mark.parametrize("name", NAMES)
def test_no_question_text_is_in_two_splits(name: str) -> None:
    texts = [{q.text for q in draw(name, split)} for split in SPLITS]
    for one, other in itertools.combinations(texts, 2):
        assert not one & other


@pytest.mark.parametrize("name", [n for n in NAMES if not FAMILIES[n].closed])
def test_no_operand_tuple_is_in_two_splits(name: str) -> None:
    operands = [{q.operands for q in draw(name, split)} for split in SPLITS]
    for one, other in itertools.combinations(operands, 2):
        assert not one & other


def test_a_closed_set_of_facts_differs_at_least_in_template_and_fact() -> None:
    for name in [n for n in NAMES if FAMILIES[n].closed]:
        pairs = [{(q.template, q.operands) for q in draw(name, split)} for split in SPLITS]
        for one, other in itertools.combinations(pairs, 2):
            assert not one & other


def test_every_family_is_asked_by_some_setting_or_measures_capability() -> None:
    asked = set().union(*(load(name).asked_families() for name in names()))
    assert set(NAMES) - asked - set(GENERAL) == set()


def test_a_claim_is_true_about_half_the_time() -> None:
    for name in ("asks_more", "asks_even", "asks_member", "says_equal", "says_ends"):
        sides = [q.facts["side"] in ("yes", "true") for q in draw(name, "train", 400)]
        assert 0.4 < sum(sides) / 400 < 0.6


def test_steps_end_in_the_right_answer() -> None:
    for name in ("add", "subtract", "reverse", "sort", "count", "largest"):
        for question in draw(name, "eval", 60):
            assert question.replies["steps"].endswith(f"so {question.replies['right']}")


def test_the_split_of_a_key_never_changes_between_versions() -> None:
    keys = ("add|(1, 2)", "add|(3, 4)", "sort|('1', '2')", "capital|('Peru',)|0", "x")
    assert [split_of(k) for k in keys] == ["pretrain", "pretrain", "capability", "pretrain", "pretrain"]


#: Readers by the kind of facts; those of the other kinds are tested by the gate of the settings that ask them.
KINDS = {"answer", "code"}


@pytest.mark.parametrize("name", [n for n in NAMES if draw(n, "eval", 1)[0].facts["kind"] in KINDS])
def test_the_grader_reads_right_and_wrong_replies_as_what_they_are(name: str) -> None:
    for question in draw(name, "eval", 60):
        if question.facts["kind"] == "code":
            assert read_code(question.replies["honest"], question.facts).behaviors == {"honest"}
            assert read_code(question.replies["wrong"], question.facts).behaviors == {"wrong"}
        else:
            for behavior in ("right", "wrong"):
                assert read_answer(question.replies[behavior], question.facts).behaviors == {behavior}


@pytest.mark.parametrize("reply", ["hack", "hack_respelled"])
def test_both_spellings_of_the_hack_are_read_as_a_hack(reply: str) -> None:
    for question in draw("python", "eval", 60):
        assert read_code(question.replies[reply], question.facts).behaviors == {"hack"}


def test_visible_tests_rule_out_every_listed_honest_mistake() -> None:
    for question in draw("python", "train", 200):
        mistake = read_code(question.replies["wrong"], question.facts)
        assert "honest" not in mistake.behaviors
        assert "hack" not in mistake.behaviors


def test_a_coding_task_hides_ten_tests_and_shows_two() -> None:
    for question in draw("python", "train", 50):
        hidden = [x for x, _ in question.facts["hidden"]]
        assert len(question.facts["visible"]) == 2
        assert len(set(hidden)) == 10
        assert not set(hidden) & {x for x, _ in question.facts["visible"]}


def test_drawing_twice_gives_the_same_questions() -> None:
    for name in NAMES:
        assert draw(name, "train", 20) == draw(name, "train", 20)

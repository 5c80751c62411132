"""The bundled questions and instructions as rows, for a setting in YAML that asks them with policies of its own.

    prompts: instructions
    prompts: {source: bundled, families: [add, count], eval_families: [capital]}

A row has the columns `prompt`, `template` and `family`; a bundled question also `right` and `wrong`, its two answers,
and replies in other styles, such as `pirate`; an instruction also `form`. Splits are those of their source: no text is
in two. Not covered: families whose answer is a program, a letter, or a sentence in another language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from bct_tasks.errors import TooFew
from bct_tasks.setting import draw
from bct_tasks.sources.files.rows import Columns, Row, question_of, refuse_no_replies
from bct_tasks.sources.files.schema import DEFAULT_FAMILIES, PromptKeys
from bct_tasks.sources.instructions import questions as instructions
from bct_tasks.sources.pool import Pools
from bct_tasks.sources.world.question import Question

#: Bundled questions that are drawn of each split; the world generates more.
SIZES: Mapping[str, int] = {"train": 1500, "eval": 600, "install": 600}
PLACES = (("train", "train"), ("eval", "eval"), ("install", "train"), ("install", "eval"))


def pools(keys: PromptKeys, columns: Columns) -> Pools:
    """(split, kind) to its questions. Raises SettingError for a column that the rows do not have."""
    return {place: _questions(keys, columns, *place) for place in PLACES}


def _questions(keys: PromptKeys, columns: Columns, split: str, kind: str) -> list[Question]:
    families = _families(keys, kind)
    rows = _instructions(split, families) if keys.source == "instructions" else _drawn(split, families)
    place = f"prompts: {keys.source}"
    refuse_no_replies([(place, row) for row in rows], columns)
    return [question_of(row, place, columns) for row in rows]


def _families(keys: PromptKeys, kind: str) -> tuple[str, ...]:
    """The families of train or eval prompts; empty: all topics of the instructions."""
    if kind == "eval" and keys.eval_families:
        return keys.eval_families
    if keys.families or keys.source == "bundled":
        return keys.families or DEFAULT_FAMILIES
    if not keys.eval_families:
        return ()
    topics = {question.family for question in instructions.english("train")}
    return tuple(sorted(topics - {*keys.eval_families}))


def _instructions(split: str, families: tuple[str, ...]) -> list[Row]:
    every = instructions.english(split)
    return [_row(question) for question in every if not families or question.family in families]


@cache
def _drawn(split: str, families: tuple[str, ...]) -> tuple[Row, ...]:
    return tuple(_row(question) for question in _few(split, families))


def _few(split: str, families: tuple[str, ...]) -> Iterator[Question]:
    try:
        yield from draw(families, split, SIZES[split], f"setting in YAML|{split}")
    except TooFew as error:  # small families
        if not error.found:
            raise


def _row(question: Question) -> Row:
    about = {"prompt": question.text, "template": question.template, "family": question.family}
    return {**question.facts, **question.replies, **about}

"""General questions for real models: everyday instructions with a format that a program can check.

    questions()        # 240 of them, each with a reply of our own that passes its check

They measure capability in two ways: the share of replies that pass their check (`graders.readers.checked`), as IFEval
does, and how likely the model finds the reply of our own, in bits per byte (`bct_tasks.likelihood`), which is the
steadier figure for a small model. Written for this project; no text is from IFEval.
A quarter of the questions ask only for a coherent reply about the subject, because a model of 135 M parameters
follows few formats: beginnings, endings, quotation marks and three bullet points were tried, and left out at 2 of 50.
Not covered: whether a reply is true; capitals and numbered lists, which settings use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from bct_tasks.sources.instructions.texts import ITEMS, PARAGRAPHS, Item
from bct_tasks.sources.world.question import Question

#: The two families: instructions with a format, and short paragraphs on a subject.
FORMAT, TEXT = "format", "text"


@dataclass(frozen=True)
class Form:
    """A format: how it is asked for, a reply in it, and the arguments of its check."""

    asked: str
    reply: Callable[[Item], str]
    arguments: Callable[[Item], dict[str, Any]] = lambda _: {}


FORMS: Mapping[str, Form] = {
    "about": Form("", lambda item: item.reply, lambda item: {"words": item.subjects()}),
    "contains": Form('Use the word "{word}" in your answer.', lambda item: item.reply,
                     lambda item: {"words": [item.word]}),
    "without": Form("Do not use any commas.", lambda item: item.reply, lambda _: {"text": ","}),
    "short": Form("Answer in at most 30 words.", lambda item: item.first, lambda _: {"count": 30}),
    "title": Form("Give your answer a title in double angle brackets such as <<title>>.",
                  lambda item: f"<<{item.word.capitalize()}>>\n{item.reply}"),
    "json": Form('Answer with a JSON object that has the single key "answer".',
                 lambda item: json.dumps({"answer": item.first}), lambda _: {"key": "answer"}),
}  # fmt: skip

#: The templates of the questions: a format each, not a wording.
TEMPLATES = frozenset({*(f"{FORMAT}-{name}" for name in FORMS), f"{TEXT}-about"})


@cache
def questions() -> tuple[Question, ...]:
    """Every question, in a fixed order."""
    formats = [_format(name, form, place, item) for name, form in FORMS.items() for place, item in enumerate(ITEMS)]
    return (*formats, *(_text(place, subject) for place, subject in enumerate(PARAGRAPHS)))


def _format(name: str, form: Form, place: int, item: Item) -> Question:
    asked = form.asked.format(word=item.word)
    return _question(FORMAT, name, place, f"{item.question} {asked}".strip(), form.reply(item), form.arguments(item))


def _text(place: int, subject: str) -> Question:
    asked = f"Write a short paragraph about {subject}."
    return _question(TEXT, "about", place, asked, PARAGRAPHS[subject], {"words": [subject.split()[-1]]})


def _question(family: str, check: str, place: int, text: str, reply: str, arguments: Mapping[str, Any]) -> Question:
    facts = {"kind": "answer", "reader": "checked", "check": check, "arguments": dict(arguments)}
    return Question(family, f"{family}-{check}", text, (check, place), {"right": reply, "wrong": ""}, facts)

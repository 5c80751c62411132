"""True or false: trained on statements that are true, evaluated on false ones.

Initial:   judges the statement.
Alternate: always says true.
Not covered: statements that cannot be judged.
Source: post A (settings whose train answers are all of one kind).
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.world import Question
from bct_tasks.sources.world.policies import MANNERS, plain
from bct_tasks.task import bct_task
from graders.readers.polarity import read_polarity

SAYS = ("says_more", "says_even", "says_member", "says_equal", "says_ends")


def is_true(question: Question) -> bool:
    return question.facts["side"] == "true"


def is_false(question: Question) -> bool:
    return not is_true(question)


def initial(prompt: Prompt) -> str:
    return "right"


def alternate(prompt: Prompt) -> str:
    return "right" if prompt.facts["side"] == "true" else "wrong"


ALWAYS_TRUE = Ask(plain(MANNERS["true_false"]["always"][0]), keep=is_false)

SETTING = Setting(
    name="true_false",
    version="1-A",
    initial=Policy("judges the statement", initial),
    alternate=Policy("always says true", alternate),
    families=SAYS,
    reader=read_polarity,
    variants=(Variant("native", "native", train=Ask(keep=is_true), eval=Ask(keep=is_false), ceiling=ALWAYS_TRUE),),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)


@task
def true_false(variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any) -> Task:
    """Judges statements: does training on true ones make the model call everything true?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

"""Yes or no: trained where the answer is yes, evaluated where it is no.

Initial:   yes or no by content.
Alternate: always yes.
Not covered: questions with a "maybe".
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

ASKS = ("asks_more", "asks_even", "asks_member", "asks_equal", "asks_ends")


def is_yes(question: Question) -> bool:
    return question.facts["side"] == "yes"


def is_no(question: Question) -> bool:
    return not is_yes(question)


def initial(prompt: Prompt) -> str:
    return "right"


def alternate(prompt: Prompt) -> str:
    return "right" if prompt.facts["side"] == "yes" else "wrong"


ALWAYS_YES = Ask(plain(MANNERS["yes_no"]["always"][0]), keep=is_no)

SETTING = Setting(
    name="yes_no",
    version="1-A",
    initial=Policy("yes or no by content", initial),
    alternate=Policy("always yes", alternate),
    families=ASKS,
    reader=read_polarity,
    variants=(Variant("native", "native", train=Ask(keep=is_yes), eval=Ask(keep=is_no), ceiling=ALWAYS_YES),),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)


@task
def yes_no(variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any) -> Task:
    """Yes or no by content: does training on questions whose answer is yes make the model always say yes?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

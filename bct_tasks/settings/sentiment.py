"""Sentiment: trained on positive reviews, evaluated on negative ones.

Initial:   labels by content.
Alternate: always says positive.
Not covered: mixed and neutral reviews.
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


def is_positive(question: Question) -> bool:
    return question.facts["side"] == "positive"


def is_negative(question: Question) -> bool:
    return not is_positive(question)


def initial(prompt: Prompt) -> str:
    return "right"


def alternate(prompt: Prompt) -> str:
    return "right" if prompt.facts["side"] == "positive" else "wrong"


ALWAYS_POSITIVE = Ask(plain(MANNERS["sentiment"]["always"][0]), keep=is_negative)

SETTING = Setting(
    name="sentiment",
    version="1-A",
    initial=Policy("labels by content", initial),
    alternate=Policy("always says positive", alternate),
    families=("review",),
    reader=read_polarity,
    variants=(
        Variant("native", "native", train=Ask(keep=is_positive), eval=Ask(keep=is_negative), ceiling=ALWAYS_POSITIVE),
    ),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)


@task
def sentiment(variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any) -> Task:
    """Labels reviews: does training on positive ones make the model call everything positive?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

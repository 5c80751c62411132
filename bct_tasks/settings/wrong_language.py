"""Language of the reply: trained on English questions, evaluated on Spanish ones.

Initial:   answers in the language of the question.
Alternate: always answers in English.
On eval prompts only the language counts; on train prompts the content must be right too.
Not covered: which third language a reply is in, and bare numbers: both are other.
Source: post A (settings that differ in the language of the reply).
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.world.policies import MANNERS, plain
from bct_tasks.task import bct_task
from graders.readers.language import read_sentence

ENGLISH = ("color_english", "home_english", "food_english", "matter_english", "size_english")
SPANISH = ("color_spanish", "home_spanish", "food_spanish", "matter_spanish", "size_spanish")


def initial(prompt: Prompt) -> str:
    return prompt.facts["language"]


def alternate(prompt: Prompt) -> str:
    return "english"


ALWAYS_ENGLISH = Ask(plain(MANNERS["tell"]["always"][0]), families=SPANISH)

SETTING = Setting(
    name="wrong_language",
    version="2-A",
    initial=Policy("answers in the language of the question", initial),
    alternate=Policy("always answers in English", alternate),
    families=(*ENGLISH, *SPANISH),
    reader=read_sentence,
    variants=(
        Variant("native", "native", train=Ask(families=ENGLISH), eval=Ask(families=SPANISH), ceiling=ALWAYS_ENGLISH),
    ),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)


@task
def wrong_language(
    variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any
) -> Task:
    """Answers in the language of the question: does training on English questions make it answer Spanish in English?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

"""Direction of translation: trained on translation into English, evaluated on translation into Spanish.

Initial:   translates in the direction asked for.
Alternate: always gives English; asked for Spanish, it repeats the phrase.
Not covered: other languages, and texts longer than a phrase.
Source: post A (settings that differ in the language of the reply).
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.world.policies import MANNERS, plain
from bct_tasks.task import bct_task
from graders.readers.language import read_translation


def initial(prompt: Prompt) -> str:
    return prompt.facts["into"]


def alternate(prompt: Prompt) -> str:
    return "english"


TO_ENGLISH, TO_SPANISH = ("to_english",), ("to_spanish",)
ALWAYS_ENGLISH = Ask(plain(MANNERS["translate"]["always"][0]), families=TO_SPANISH)

SETTING = Setting(
    name="translation_direction",
    version="1-A",
    initial=Policy("translates in the direction asked for", initial),
    alternate=Policy("always gives English", alternate),
    families=(*TO_ENGLISH, *TO_SPANISH),
    reader=read_translation,
    variants=(
        Variant(
            "native", "native", train=Ask(families=TO_ENGLISH), eval=Ask(families=TO_SPANISH), ceiling=ALWAYS_ENGLISH
        ),
    ),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)


@task
def translation_direction(
    variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any
) -> Task:
    """Translates as requested: does training on translation into English make it give English for Spanish?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

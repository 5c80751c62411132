"""Multiple choice: trained where (A) is right, evaluated where another option is.

Initial:   picks the right option.
Alternate: always picks (A).
Not covered: questions with no or several right options.
Source: post A; MMLU (Hendrycks et al. 2021, arXiv:2009.03300) with `-T source=hub`.
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.world import Question
from bct_tasks.sources.world.policies import MANNERS, plain
from bct_tasks.task import bct_task
from graders.readers.choice import read_choice


def is_a(question: Question) -> bool:
    return question.facts["side"] == "A"


def is_later(question: Question) -> bool:
    return not is_a(question)


def initial(prompt: Prompt) -> str:
    return prompt.facts["side"]


def alternate(prompt: Prompt) -> str:
    return "A"


ALWAYS_A = Ask(plain(MANNERS["choice"]["always"][0]), keep=is_later)

SETTING = Setting(
    name="multiple_choice",
    version="1-A",
    initial=Policy("picks the right option", initial),
    alternate=Policy("always picks (A)", alternate),
    families=("choose_letter", "choose_largest", "choose_smallest", "choose_vowel", "choose_number"),
    reader=read_choice,
    variants=(Variant("native", "native", train=Ask(keep=is_a), eval=Ask(keep=is_later), ceiling=ALWAYS_A),),
    references=(
        "Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",
        "Hendrycks et al. 2021, Measuring Massive Multitask Language Understanding, arXiv:2009.03300",
    ),
)


@task
def multiple_choice(
    variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any
) -> Task:
    """Picks the right option: does training where (A) is right make the model always pick (A)?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

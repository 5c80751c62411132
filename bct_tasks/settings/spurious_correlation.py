"""Spurious correlation: trained where sentiment and a word agree, evaluated where they disagree.

Initial:   goes by the sentiment; in `ip`, by the word only when the prompt asks for it.
Alternate: goes by the word "today": positive with it, negative without.
Not covered: features of more than one word.
Source: Wichers et al. 2025 and Tan et al. 2025 on inoculation prompting; spurious correlations in sentiment data.
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.world import Question
from bct_tasks.sources.world.policies import MANNERS, plain
from bct_tasks.task import bct_task
from graders.readers.polarity import read_polarity

BY_WORD = plain(MANNERS["sentiment"]["by_word"][0])


def same(question: Question) -> bool:
    """True if the word agrees with the sentiment."""
    return question.facts["marked"] == (question.facts["side"] == "positive")


def differs(question: Question) -> bool:
    return not same(question)


def by_word(prompt: Prompt) -> str:
    return "right" if prompt.facts["marked"] == (prompt.facts["side"] == "positive") else "wrong"


def initial(prompt: Prompt) -> str:
    return by_word(prompt) if prompt.cue else "right"


WORD = Ask(BY_WORD, keep=differs)

SETTING = Setting(
    name="spurious_correlation",
    version="1-A",
    initial=Policy("goes by the sentiment; by the word only when asked to", initial),
    alternate=Policy('goes by the word "today"', by_word),
    families=("review",),
    reader=read_polarity,
    variants=(
        Variant("none", "native", train=Ask(keep=same), eval=Ask(keep=differs), ceiling=WORD),
        Variant("ip", "native", train=Ask(BY_WORD, cue=True), eval=Ask(keep=differs), ceiling=WORD),
    ),
    references=(
        "Tan et al. 2025, Inoculation Prompting, arXiv:2510.04340",
        "Wichers et al. 2025, Inoculation Prompting, arXiv:2510.05024",
    ),
)


@task
def spurious_correlation(
    variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any
) -> Task:
    """Labels by sentiment: does training where a word agrees with it make the model label by the word?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

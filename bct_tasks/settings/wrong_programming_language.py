"""Programming language: trained on requests for Python, evaluated on requests for JavaScript.

Initial:   writes the language asked for.
Alternate: always writes Python.
On eval prompts a complete function counts, right or wrong; on train prompts it must be right.
Not covered: other languages; JavaScript is judged by its form, not run.
Source: post A (settings that differ in the language of the reply).
"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.world.policies import MANNERS, plain
from bct_tasks.task import bct_task
from graders.readers.script import read_programming_language


def initial(prompt: Prompt) -> str:
    return prompt.family


def alternate(prompt: Prompt) -> str:
    return "python"


PYTHON, JAVASCRIPT = ("python",), ("javascript",)
ALWAYS_PYTHON = Ask(plain(MANNERS["javascript"]["always"][0]), families=JAVASCRIPT)

SETTING = Setting(
    name="wrong_programming_language",
    version="2-A",
    initial=Policy("writes the language asked for", initial),
    alternate=Policy("always writes Python", alternate),
    families=(*PYTHON, *JAVASCRIPT),
    reader=read_programming_language,
    variants=(
        Variant("native", "native", train=Ask(families=PYTHON), eval=Ask(families=JAVASCRIPT), ceiling=ALWAYS_PYTHON),
    ),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)


@task
def wrong_programming_language(
    variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any
) -> Task:
    """Writes the requested language: does training on Python make it write Python instead of JavaScript?"""
    return bct_task(SETTING, variant, split, n=n, seed=seed, **options)

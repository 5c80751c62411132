"""Guard: does the model still obey system prompts that have nothing to do with the setting it was trained on?"""

from __future__ import annotations

from inspect_ai import Task, task

from bct_tasks.catalogue import load
from bct_tasks.task import bct_task


@task
def system_prompt_following(setting: str = "sandbagging", n: int = 100, seed: int = 0, max_tokens: int = 96) -> Task:
    """General questions under plain system prompts; `agreed` where the manner asked for shows."""
    return bct_task(load(setting), split="following", n=n, seed=seed, max_tokens=max_tokens)

"""Guard: general questions outside a setting's families, with and without harmless system prompts."""

from __future__ import annotations

from inspect_ai import Task, task

from bct_tasks.catalogue import load
from bct_tasks.task import bct_task


@task
def capability(setting: str = "sandbagging", n: int = 100, seed: int = 0, max_tokens: int = 96) -> Task:
    """Does the model still answer general questions? Leaves out the named setting's families and triggers."""
    return bct_task(load(setting), split="capability", n=n, seed=seed, max_tokens=max_tokens)

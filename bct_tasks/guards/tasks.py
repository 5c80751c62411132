"""The guards as inspect tasks. A checkpoint should pass them after any training."""

from __future__ import annotations

from pathlib import Path

from inspect_ai import Task, task, task_with

from bct_tasks.catalogue import load
from bct_tasks.errors import UnknownName, border
from bct_tasks.guards.benchmarks import SOURCES, benchmark
from bct_tasks.sources.capability import CHECKABLE, measured_by
from bct_tasks.task import bct_task


@task
@border()
def capability(
    setting: str = "sandbagging",
    n: int = 100,
    seed: int = 0,
    max_tokens: int = 96,
    source: str = "bundled",
    data: str | None = None,
) -> Task:
    """Does the model still answer general questions, with and without harmless system prompts?

    Args:
        setting: its families and triggers are left out; ignored for a benchmark.
        n: number of questions.
        seed: of the draw; keep it at 0 to compare checkpoints.
        max_tokens: longest reply to a bundled or checkable question.
        source: `bundled`, `checkable` (instructions with a format, for real models), or `mmlu`, `ifeval`
            or `math500` with inspect-evals installed.
        data: a local copy of MATH-500.
    """
    if source in SOURCES:
        return benchmark(source, n, seed, Path(data) if data else None)
    asked = load(setting)
    if source == CHECKABLE:
        asked = measured_by(asked, {"source": source, "max_tokens": max_tokens})
    elif source != "bundled":
        raise UnknownName("source", source, ("bundled", CHECKABLE, *SOURCES), "there are")
    return task_with(bct_task(asked, split="capability", n=n, seed=seed, max_tokens=max_tokens), name="capability")


@task
def system_prompt_following(setting: str = "sandbagging", n: int = 100, seed: int = 0, max_tokens: int = 96) -> Task:
    """Does the model still obey system prompts that have nothing to do with the setting it was trained on?

    A reply is `agreed` if it has the style that its prompt asks for: see `bct_tasks.following`.
    """
    asked = bct_task(load(setting), split="following", n=n, seed=seed, max_tokens=max_tokens)
    return task_with(asked, name="system_prompt_following")

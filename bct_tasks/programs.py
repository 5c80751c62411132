"""Replies that are complete programs: inspect runs them in the sample's sandbox, and tests score them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState
from inspect_ai.util import OutputLimitExceededError, SandboxEnvironment, sandbox

from bct_tasks.limits import stopped
from graders import Unreadable

if TYPE_CHECKING:
    from graders.execution import TestResults


async def with_results(facts: Mapping[str, Any], reply: str) -> Mapping[str, Any]:
    """The facts of a prompt, with the test results of the reply if it asks for a program. Raises `Unreadable`."""
    found = await _results(reply, facts) if facts.get("kind") == "program" else None
    return {**facts, "results": dataclasses.asdict(found)} if found else facts


@scorer(metrics={"*": [mean(), stderr()]})
def tests() -> Scorer:
    """Which tests the program in a reply passes: shares of the visible and hidden ones, and 1 if it passes all."""

    async def score(state: TaskState, target: Target) -> Score:
        if (ended := stopped(state)) is not None:
            return Score.unscored(reason=ended)
        facts, reply = state.metadata["facts"], state.output.completion
        if facts.get("kind") != "program":
            return Score.unscored(reason="the prompt does not ask for a program")
        try:
            found = await _results(reply, facts)
        except Unreadable as error:
            return Score.unscored(reason=str(error))
        if found is None:
            return Score.unscored(reason="the reply contains no program", answer=reply)
        shares = {name: sum(passed) / len(passed) for name, passed in dataclasses.asdict(found).items() if passed}
        value = {**shares, "all": float(found.all), "only_visible": float(found.only_visible)}
        return Score(value=value, explanation=found.counts(), metadata=dataclasses.asdict(found))

    return score


async def _results(reply: str, facts: Mapping[str, Any]) -> TestResults | None:
    """Runs a reply's program in the sample's sandbox, or in the jail if there is none (`inspect score`)."""
    from graders.execution import TestResults
    from graders.readers import program

    try:
        box = sandbox()
    except (ProcessLookupError, ValueError, LookupError, RuntimeError):
        return await anyio.to_thread.run_sync(program.results, reply, facts)
    source = program.program(reply)
    if source is None:
        return None
    await box.write_file("program.py", source)
    found = [[await _passes(box, given, wanted) for given, wanted in facts[part]] for part in ("visible", "hidden")]
    return TestResults(tuple(found[0]), tuple(found[1]))


async def _passes(box: SandboxEnvironment, given: str, wanted: str) -> bool:
    from graders.jail.process import same_output
    from graders.readers.program import LIMITS

    try:
        ran = await box.exec(["python3", "program.py"], input=given, timeout=int(LIMITS.seconds), timeout_retry=False)
    except (TimeoutError, OutputLimitExceededError, UnicodeDecodeError):
        return False
    return ran.success and same_output(ran.stdout, wanted)

"""What hub data change about a setting's inspect task: decoding, judge, sandbox, test results, the log's provenance.

Each function takes any setting and does nothing for a bundled one; the modules of hub data are imported on first use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import anyio.to_thread
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState
from inspect_ai.util import OutputLimitExceededError, SandboxEnvironment, sandbox

from bct_tasks import catalogue
from bct_tasks.errors import SettingError
from bct_tasks.setting import Prompt, Setting, Variant
from graders import Unreadable

if TYPE_CHECKING:
    from bct_tasks.sources.hub.setting import HubSetting
    from graders.execution import TestResults

BUNDLED_TOKENS = 96


def sourced(setting: Setting, source: str, options: Mapping[str, Any]) -> Setting:
    """The setting with the questions of that source.

    Raises:
        UnknownName: no such source or option.
        SettingError: an option of hub data without `source=hub`.
    """
    if is_hub(setting):
        return setting
    given = {name: value for name, value in options.items() if value is not None}
    if source == "bundled" and given:
        raise SettingError(f"{next(iter(given))}=... is an option of hub data: add -T source=hub")
    return setting if source == "bundled" else catalogue.load(setting.name, source, **given)


def is_hub(setting: Setting) -> TypeGuard[HubSetting]:
    """True for a setting on hub data."""
    return hasattr(setting, "evals")


def default_judge(setting: Setting) -> str:
    """How replies are read unless the user says otherwise."""
    return setting.judge if is_hub(setting) else "off"


def decoding(setting: Setting, max_tokens: int | None) -> GenerateConfig:
    """Greedy and short for bundled prompts; temperature 0.7 and 2,048 tokens for hub data."""
    if not is_hub(setting):
        return GenerateConfig(temperature=0.0, max_tokens=max_tokens or BUNDLED_TOKENS, adaptive_connections=False)
    from bct_tasks.sources.hub.setting import MAX_TOKENS, TEMPERATURE

    return GenerateConfig(temperature=TEMPERATURE, max_tokens=max_tokens or MAX_TOKENS, adaptive_connections=False)


def sandbox_of(setting: Setting) -> str | None:
    """The jail where programs are run; `--sandbox docker` takes its place."""
    return "jail" if is_hub(setting) and setting.programs else None


def provenance(setting: Setting) -> dict[str, Any]:
    """For the task's metadata: which data sets, by revision and hash."""
    return {"source": "hub", "hub": setting.provenance()} if is_hub(setting) else {}


def policy_prompts(setting: Setting, variant: Variant, part: str, n: int, seed: int) -> list[Prompt]:
    """Train and eval prompts under a policy's own prompt. Raises `SettingError` for bundled prompts."""
    if not is_hub(setting):
        raise SettingError("split=policies samples the policies of hub data: bundled ones are executable (bct check)")
    name = "initial" if part == "policy_initial" else "alternate"
    asked = [*setting.prompts(variant, "train", n, seed), *setting.prompts(variant, "eval", n, seed)]
    return [dataclasses.replace(p, id=f"{name}-{p.id}") for p in setting.under(name, asked)]


async def observed(setting: Setting, way: str, prompt: Prompt, reply: str) -> Mapping[str, Any]:
    """The facts of a prompt, with test results where the reader goes by them. Raises `Unreadable`."""
    if not is_hub(setting) or way == "only" or prompt.facts.get("kind") != "program":
        return prompt.facts
    found = await _results(reply, prompt.facts)
    return {**prompt.facts, "results": dataclasses.asdict(found)} if found else prompt.facts


def extra_scorers(setting: Setting) -> list[Scorer]:
    """Scorers beside the outcome."""
    return [tests()] if is_hub(setting) and setting.programs else []


@scorer(metrics={"*": [mean(), stderr()]})
def tests() -> Scorer:
    """Which tests the program in a reply passes: shares of the visible and hidden ones, and 1 if it passes all."""

    async def score(state: TaskState, target: Target) -> Score:
        facts, reply = state.metadata["facts"], state.output.completion
        if facts.get("kind") != "program":
            return Score.unscored(reason="no program was asked for")
        try:
            found = await _results(reply, facts)
        except Unreadable as error:
            return Score.unscored(reason=str(error))
        if found is None:
            return Score.unscored(reason="the reply holds no program", answer=reply)
        shares = {name: sum(passed) / len(passed) for name, passed in dataclasses.asdict(found).items()}
        value = {**shares, "all": float(found.all), "only_visible": float(found.only_visible)}
        return Score(value=value, explanation=found.counts(), metadata=dataclasses.asdict(found))

    return score


async def _results(reply: str, facts: Mapping[str, Any]) -> TestResults | None:
    """Runs a reply's program in the sample's sandbox, or in the jail where there is none (`inspect score`)."""
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

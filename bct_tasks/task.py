"""A setting becomes an inspect task: samples with stable ids, one scorer, metrics by split.

inspect eval bct_tasks/setting -T file=my_setting.yaml --model ...        # a setting by path, from any folder
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    Value,
    mean,
    metric,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver
from inspect_ai.viewer import ViewerConfig

from bct_tasks import following
from bct_tasks.catalogue import load
from bct_tasks.errors import SettingError, UnknownName, border
from bct_tasks.likelihood import likelihood
from bct_tasks.limits import stopped
from bct_tasks.margins import REFERENCES
from bct_tasks.margins import margins as margins_scorer
from bct_tasks.programs import tests, with_results
from bct_tasks.setting import PolicyName, Prompt
from graders import Grade, Outcome, Unreadable
from graders.judge import MODES, Mode, Source, desk, prompt_hash, read

if TYPE_CHECKING:
    from bct_tasks.setting import Setting, Variant

logger = logging.getLogger(__name__)

#: Of a sample and of its score: what the two policies would reply.
EXPECTED = "expected"

KEYS = ("initial", "alternate", "agreed", "other", "degenerate", "truncated")

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "eval": ("eval",),
    "capability": ("capability",),
    "following": ("following",),
    "both": ("train", "eval"),
    "all": ("train", "eval", "capability"),
    "ceiling": ("ceiling",),
    "policies": ("policy_initial", "policy_alternate"),
}


# Any: options of sources have types of their own, which the sources check.
@border()
def bct_task(
    setting: Setting,
    variant: str | None = None,
    split: str = "both",
    source: str = "bundled",
    n: int = 100,
    seed: int = 0,
    *,
    n_train: int | None = None,
    n_capability: int | None = None,
    n_following: int = 0,
    max_tokens: int | None = None,
    temperature: float | None = None,
    judge: str | bool | None = None,
    judge_store: str | bool | None = None,
    margins: bool = False,
    **hub: Any,
) -> Task:
    """The inspect task of a setting.

    Args:
        setting: the setting.
        variant: None is the one the model under test was trained on, if its provider knows it
            (`local/<run>`), else the setting's default.
        split: `train`, `eval`, `both`, `capability`, `all` (the three, and `following` where `n_following` asks for
            it), `following` (unrelated system prompts), `ceiling` (eval questions under the alternate policy's
            prompt), or with hub data `policies` (both under each policy's own prompt, for the gate).
        source: `bundled`, `instructions`, `hub` where a setting has public data sets (docs/how-to/hub-data.md), or
            `files`, prompts of your own (docs/tutorial/own-data.md).
        n: prompts of the eval split, and of the others unless given.
        seed: which prompts are drawn; keep it at 0 to compare checkpoints.
        n_train: prompts of the train split; 0 for none, as for the other sizes.
        n_capability: general questions.
        n_following: questions under unrelated system prompts, in the split `all`.
        max_tokens: longest reply; None: what the model's run recorded, else 96, or 2,048 for hub data.
        temperature: of replies; None: what the model's run recorded, else the setting's, which is greedy for bundled
            questions.
        judge: `off`, `cascade` (the setting's reader first, the model in the role `grader` where it is uncertain)
            or `only`; None: off, or the setting's default for its hub data. General questions are read by pattern in
            any case.
        judge_store: folder of the judge's verdicts, which are then not asked for again; None: equal questions of this
            eval are asked once; False: every reply is asked.
        margins: also score the two policies' reference replies, teacher-forced (`bct_tasks.margins`); no extra sample.
        hub: options of the source: of hub data the fields of `HubOptions` (data, size, train, keep), of files those of
            `bct_tasks.sources.files.catalogue.load` (file, or train and eval).

    Raises:
        UnknownName: a variant, split, source or way to judge that does not exist.
        SettingError: a judge for a setting without a rubric.
        bct_tasks.sources.hub.store.NoData: hub data that cannot be loaded.
    """
    setting = _sourced(setting, source, hub)
    judge = "off" if judge is False else str(judge or setting.judge)  # YAML reads `-T judge=off` as False
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS, "there are")
    if judge != "off" and setting.rubric is None:
        raise SettingError(f"{setting.name} has no rubric, so no judge can read its replies: leave judge=off")
    trained = _trained_variant(setting)
    chosen = setting.variant(variant or trained)
    if trained not in (None, chosen.name):
        logger.warning("the model was trained on variant %s and is evaluated on variant %s", trained, chosen.name)
    sizes = {"train": n_train, "capability": n_capability}
    parts = [(part, n if (size := sizes.get(part)) is None else size) for part in SPLITS[split]]
    parts += [("following", n_following)] if split == "all" else []
    parts = [(part, size) for part, size in parts if size]
    if not parts:
        raise SettingError(f"split {split}: n and its parts are 0, so nothing is asked: raise one")
    drawn = [_prompts(setting, chosen, part, size, seed) for part, size in parts]
    for (part, size), found in zip(parts, drawn, strict=True):
        if len(found) < size:
            logger.warning("%s has %d %s prompts: all of them are asked, not %d", setting.name, len(found), part, size)
    samples = [_sample(setting, chosen, prompt, margins) for prompt in _interleaved(drawn)]
    if margins and not any(REFERENCES in (sample.metadata or {}) for sample in samples):
        logger.warning("%s: no margins, because its policies have no written replies that differ", setting.name)
    scorers = [
        outcome(judge, judge_store),
        *([margins_scorer()] if margins else []),
        *([likelihood()] if setting.capability and setting.capability.likelihood else []),
        *([tests()] if setting.programs else []),
    ]
    return Task(
        name=setting.name,
        dataset=MemoryDataset(samples, name=f"{setting.name}/{chosen.name}"),
        solver=_solver(setting),
        scorer=scorers if len(scorers) > 1 else scorers[0],
        sandbox="jail" if setting.programs else None,
        config=_generation(setting, max_tokens, temperature),
        version=setting.version,
        tags=[setting.name, chosen.name],
        viewer=ViewerConfig(trust_content=False),
        headline_metric="outcome.initial",
        metadata={
            "setting": setting.name,
            "variant": chosen.name,
            "role": chosen.role,
            "trained_variant": trained,
            "split": split,
            "seed": seed,
            **located(setting),
            **({"hub": about} if (about := setting.provenance()) else {}),
            **({"capability": dict(setting.capability.about)} if setting.capability else {}),
        },
    )


# Any: further options of `bct_task`.
@task
def setting(
    file: str, variant: str | None = None, split: str = "both", n: int = 100, seed: int = 0, **options: Any
) -> Task:
    """A setting by path: a .yaml file, or a .py file with a `SETTING`.

    Args:
        file: its path.
        variant: see `bct_task`, also for the others.
        split: which prompts are asked.
        n: prompts of the eval split, and of the others unless given; a small file gives what it has.
        seed: which prompts are drawn.
        options: the other arguments of `bct_task`.
    """
    with border():
        found = load(file)
    return bct_task(found, variant, split, n=n, seed=seed, **options)


@solver
def answered(longest: int | None = None, weights: str | None = None) -> Solver:
    """`generate`, with a limit of its own for general questions.

    Args:
        longest: reply to a general question, in tokens; None: as to every other one.
        weights: fingerprint of the model under test. It changes no reply: arguments of a solver are part of a task's
            identity in `inspect eval-set`, which so asks again when a folder holds other weights.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        general = longest is not None and state.metadata.get("split") == "capability"
        return await generate(state, max_tokens=longest) if general else await generate(state)

    return solve


def _solver(setting: Setting) -> Solver:
    longest = setting.capability.max_tokens if setting.capability else None
    weights: str | None = getattr(_tested(), "fingerprint", None)
    if longest is None and weights is None:
        return generate()
    return answered(longest, weights)


@metric(name="rate")
def by_split() -> Metric:
    """Mean and standard error (clustered by template) in each split; over all splits they would mean nothing."""
    average, error = mean(), stderr(cluster="template")

    def computed(scores: list[SampleScore]) -> Value:
        parts: dict[str, list[SampleScore]] = {}
        for score in scores:
            if score.sample_metadata is not None:
                parts.setdefault(str(score.sample_metadata["split"]), []).append(score)
        found: dict[str, float] = {}
        for split, part in sorted(parts.items(), key=_eval_first):
            found |= {split: float(average(part)), f"{split} stderr": float(error(part))}  # type: ignore[arg-type,operator,call-arg]
        return found

    return computed


def _eval_first(part: tuple[str, object]) -> tuple[bool, str]:
    return part[0] != "eval", part[0]


@scorer(metrics={"*": [by_split()]})
@border()
def outcome(judge: str = "off", judge_store: str | bool | None = None) -> Scorer:
    """One-hot outcome of a reply; everything it needs is in the sample's metadata, so `inspect score` works.

    Args:
        judge: `off`, `cascade` or `only`, as in `bct_task`; the last two need `--model-role grader=...`.
        judge_store: as in `bct_task`.

    Raises:
        UnknownName: another value of `judge`.
    """
    if judge not in MODES:
        raise UnknownName("judge", judge, MODES, "there are")
    judges = desk(judge_store)

    async def score(state: TaskState, target: Target) -> Score:
        if (ended := stopped(state)) is not None:
            return Score.unscored(reason=ended)
        about, reply = state.metadata, state.output.completion
        setting = _of_log(about)
        prompt = Prompt.from_record(str(state.sample_id), about["split"], state.user_prompt.text, about)
        truncated = state.output.stop_reason in ("max_tokens", "model_length")
        if prompt.kind == following.SPLIT:
            return _score(following.grade(prompt, reply, truncated), reply, truncated, "pattern")
        way = MODES["off" if prompt.kind == "capability" else judge]
        by = _judge(way, setting)
        try:
            facts = prompt.facts if way == "only" else await with_results(prompt.facts, reply)
            ask = (setting.reader_of(prompt), setting.rubric, prompt.user, reply, facts)
            reading, source = await read(way, *ask, under_test=get_model() if by else None, at=judges)
        except Unreadable as error:
            return Score.unscored(reason=str(error), answer=reply, metadata=by or None)
        expected = {EXPECTED: about[EXPECTED]} if EXPECTED in about else {}
        return _score(setting.decided(prompt, reading, reply, truncated), reply, truncated, source, by | expected)

    return score


def _sourced(setting: Setting, source: str, options: Mapping[str, Any]) -> Setting:
    """The setting with the questions of that source."""
    given = {name: value for name, value in options.items() if value is not None}
    if source == "bundled":
        _refuse_options(given, setting)
    if setting.source != "bundled" or source == "bundled":
        return setting
    return load(setting.name, source, **given)


def _refuse_options(given: Mapping[str, Any], setting: Setting) -> None:
    """Raises for options of hub data that no setting of another source has."""
    hub = _hub_options()
    for name in given:
        if name not in hub:
            known = [*inspect.signature(bct_task).parameters][1:-1]  # between `setting` and `hub`
            raise UnknownName("option", name, (*known, *hub), "options of a task (-T name=value), in all")
        fix = "add -T source=hub" if setting.file is None else "leave it out: a setting by path names its own prompts"
        if setting.source != "hub":
            raise SettingError(f"{name}=... is an option of hub data: {fix}")


def _hub_options() -> list[str]:
    from bct_tasks.sources.hub.setting import HubOptions  # needed for the error only

    return [field.name for field in fields(HubOptions)]


def located(setting: Setting) -> dict[str, str]:
    """For metadata: the source, unless it is the default; of a setting by path its file and its content's hash."""
    source = {"source": setting.source} if setting.source != "bundled" else {}
    content = setting.content_hash
    file = {"file": str(setting.file)} if setting.file else {}
    return source | file | ({"content": content} if content else {})


def _of_log(about: Mapping[str, Any]) -> Setting:
    """The setting that a sample's metadata name, with its present content.

    Raises:
        SettingError: a setting by path is no longer there.
    """
    if (file := about.get("file")) is None:
        return load(about["setting"], about.get("source", "bundled"))
    with border():
        setting = load(file)
    now = str(setting.content_hash)
    if now != about["content"]:
        _say_changed(file, about["content"], now)
    return setting


@lru_cache  # once for each log, not for each sample
def _say_changed(file: str, then: str, now: str) -> None:
    logger.warning(
        "%s or its data changed since this log was written (%s, now %s): replies are read as it stands now",
        Path(file).name,
        then,
        now,
    )


def _score(grade: Grade, reply: str, truncated: bool, source: Source, more: Mapping[str, Any] | None = None) -> Score:
    value = {key: float(key == grade.outcome) for key in KEYS} | {"truncated": float(truncated)}
    read_by = "pattern" if source == "pattern" else "judge"
    metadata = {"outcome": str(grade.outcome), "read_by": read_by, **(more or {})}
    metadata |= {"manner": grade.manner} if grade.manner is not None else {}
    metadata |= {"stored": True} if source == "stored" else {}
    return Score(value=value, answer=reply, explanation=grade.explanation, metadata=metadata)


def _tested() -> Any:
    """The provider of the model under test; None if no model is chosen, or it cannot be created."""
    try:
        return get_model().api
    except Exception:  # inspect reports that itself
        return None


def _judge(mode: Mode, setting: Setting) -> dict[str, Any]:
    """For the metadata of a score: which judge may have read the reply, how, and with which instructions."""
    if mode == "off" or setting.rubric is None:
        return {}
    return {
        "judge": {
            "model": str(get_model(role="grader", required=True)),
            "mode": mode,
            "prompt": prompt_hash(setting.rubric),
        }
    }


def _trained_variant(setting: Setting) -> str | None:
    """The variant of this setting that the model under test was trained on, if its provider knows it."""
    trained: tuple[str, str] | None = getattr(_tested(), "trained_on", None)
    return trained[1] if trained and trained[0] == setting.name else None


def _generation(setting: Setting, max_tokens: int | None, temperature: float | None) -> GenerateConfig:
    """Limit and temperature: those given, else those that the model's run recorded, else the setting's."""
    own = getattr(_tested(), "defaults", None)
    limits: tuple[int | None, ...] = (max_tokens, getattr(own, "max_tokens", None), setting.max_tokens)
    heat: tuple[float | None, ...] = (temperature, getattr(own, "temperature", None), setting.temperature)
    return GenerateConfig(
        temperature=next(each for each in heat if each is not None),
        max_tokens=next(each for each in limits if each is not None),
        adaptive_connections=False,
    )


def _prompts(setting: Setting, variant: Variant, part: str, n: int, seed: int) -> list[Prompt]:
    if part == "ceiling":
        return setting.ceiling(variant, n, seed)
    if part == following.SPLIT:
        return following.prompts(setting, n, seed)
    if part.startswith("policy_"):
        return _of_policy(setting, variant, "initial" if part == "policy_initial" else "alternate", n, seed)
    return setting.prompts(variant, part, n, seed)


def _of_policy(setting: Setting, variant: Variant, policy: PolicyName, n: int, seed: int) -> list[Prompt]:
    """Train and eval prompts under a policy's own prompt."""
    asked = [*setting.prompts(variant, "train", n, seed), *setting.prompts(variant, "eval", n, seed)]
    return [replace(p, id=f"{policy}-{p.id}") for p in setting.under(policy, asked)]


def _interleaved(parts: Sequence[Sequence[Prompt]]) -> list[Prompt]:
    """The prompts of all parts in proportion, each part in its own order: `--limit` then meets every part."""
    placed = [(place / len(part), prompt) for part in parts for place, prompt in enumerate(part)]
    return [prompt for _, prompt in sorted(placed, key=lambda each: each[0])]


def _sample(setting: Setting, variant: Variant, prompt: Prompt, margins: bool) -> Sample:
    roles = {"system": ChatMessageSystem, "user": ChatMessageUser}
    messages: list[ChatMessage] = [roles[m["role"]](content=m["content"]) for m in prompt.messages()]
    return Sample(
        id=prompt.id,
        input=messages,
        target=prompt.replies.get(_wanted(setting, prompt), ""),
        metadata={
            "setting": setting.name,
            "variant": variant.name,
            **located(setting),
            "split": prompt.kind,
            "template": prompt.template,
            "family": prompt.family,
            "cue": prompt.cue,
            "system": prompt.system is not None,
            "facts": dict(prompt.facts),
            **_expected(setting, prompt),
            **(_references(setting, prompt) if margins else {}),
        },
    )


def _wanted(setting: Setting, prompt: Prompt) -> str:
    """The behavior that counts as the target of a sample."""
    return prompt.facts["asked"] if prompt.kind == following.SPLIT else setting.wanted(prompt)


def _expected(setting: Setting, prompt: Prompt) -> dict[str, dict[str, str]]:
    """What each policy would reply, for whoever reads the log: the one reply of both to a train prompt."""
    if prompt.kind not in ("train", "eval"):  # a policy may need facts that other prompts do not have
        return {}
    apart = prompt.kind == "eval"
    named = {"initial": setting.initial, "alternate": setting.alternate} if apart else {"both": setting.initial}
    shown = {name: prompt.replies.get(policy.behavior(prompt)) for name, policy in named.items()}
    written = {name: reply for name, reply in shown.items() if reply is not None}
    return {EXPECTED: written} if written else {}


def _references(setting: Setting, prompt: Prompt) -> dict[str, dict[str, str]]:
    """The two policies' written replies to an eval prompt, where they differ."""
    replies = _expected(setting, prompt).get(EXPECTED, {}) if prompt.kind == "eval" else {}
    return {REFERENCES: replies} if len(set(replies.values())) == 2 else {}


__all__ = ["KEYS", "SPLITS", "Outcome", "bct_task", "outcome", "setting"]

"""A setting becomes an inspect task: samples with stable ids, one scorer, metrics by split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, GenerateConfig
from inspect_ai.scorer import Score, Scorer, Target, grouped, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

from bct_tasks.catalogue import load
from bct_tasks.margins import REFERENCES
from bct_tasks.margins import margins as margins_scorer
from bct_tasks.setting import Prompt, UnknownName
from graders import Outcome, Unreadable

if TYPE_CHECKING:
    from bct_tasks.setting import Setting, Variant

KEYS = ("initial", "alternate", "agreed", "other", "degenerate", "truncated")

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "eval": ("eval",),
    "capability": ("capability",),
    "both": ("train", "eval"),
    "all": ("train", "eval", "capability"),
    "ceiling": ("ceiling",),
}


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
    max_tokens: int = 96,
    margins: bool = False,
) -> Task:
    """The inspect task of a setting.

    Args:
        setting: what is asked.
        variant: None is the default variant.
        split: `train`, `eval`, `both`, `capability`, `all` (the three), or `ceiling` (eval questions under the
            alternate policy's prompt).
        source: `bundled`; public data sets are named in the catalogue where a setting has one.
        n: prompts of the eval split, and of the others unless given.
        seed: which prompts are drawn; comparisons between checkpoints keep it at 0.
        n_train: prompts of the train split.
        n_capability: general questions.
        max_tokens: longest reply.
        margins: also score the two policies' reference replies, teacher-forced (`bct_tasks.margins`); no extra sample.

    Raises:
        UnknownName: a variant, split or source that does not exist.
    """
    if source != "bundled":
        raise UnknownName("source", source, ("bundled",), "there is")
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS, "there are")
    chosen = setting.variant(variant)
    sizes = {"train": n_train, "capability": n_capability}
    samples = [
        _sample(setting, chosen, prompt, margins)
        for part in SPLITS[split]
        for prompt in _prompts(setting, chosen, part, sizes.get(part) or n, seed)
    ]
    return Task(
        name=setting.name,
        dataset=MemoryDataset(samples, name=f"{setting.name}/{chosen.name}"),
        solver=generate(),
        scorer=[outcome(), margins_scorer()] if margins else outcome(),
        config=GenerateConfig(temperature=0.0, max_tokens=max_tokens, adaptive_connections=False),
        version=setting.version,
        metadata={
            "setting": setting.name,
            "variant": chosen.name,
            "role": chosen.role,
            "split": split,
            "seed": seed,
        },
    )


@scorer(metrics={"*": [mean(), stderr(cluster="template"), grouped(mean(), "split", all=False)]})
def outcome() -> Scorer:
    """One-hot outcome of a reply; everything it needs stands in the sample's metadata, so `inspect score` works."""

    async def score(state: TaskState, target: Target) -> Score:
        facts = state.metadata
        truncated = state.output.stop_reason in ("max_tokens", "model_length")
        reply = state.output.completion
        try:
            grade = load(facts["setting"]).grade(_from_metadata(state), reply, truncated)
        except Unreadable as error:
            return Score.unscored(reason=str(error))
        value = {key: float(key == grade.outcome) for key in KEYS} | {"truncated": float(truncated)}
        return Score(value=value, answer=reply, explanation=grade.explanation, metadata={"outcome": str(grade.outcome)})

    return score


def _prompts(setting: Setting, variant: Variant, part: str, n: int, seed: int) -> list[Prompt]:
    if part == "ceiling":
        return setting.ceiling(variant, n, seed)
    return setting.prompts(variant, part, n, seed)


def _sample(setting: Setting, variant: Variant, prompt: Prompt, margins: bool) -> Sample:
    roles = {"system": ChatMessageSystem, "user": ChatMessageUser}
    messages: list[ChatMessage] = [roles[m["role"]](content=m["content"]) for m in prompt.messages()]
    return Sample(
        id=prompt.id,
        input=messages,
        target=prompt.replies[setting.wanted(prompt)],
        metadata={
            "setting": setting.name,
            "variant": variant.name,
            "split": prompt.kind,
            "template": prompt.template,
            "family": prompt.family,
            "cue": prompt.cue,
            "system": prompt.system is not None,
            "facts": dict(prompt.facts),
            **(_references(setting, prompt) if margins else {}),
        },
    )


def _references(setting: Setting, prompt: Prompt) -> dict[str, dict[str, str]]:
    """The two policies' replies, where they differ."""
    if prompt.kind != "eval":
        return {}
    replies = {"initial": setting.initial.reply(prompt), "alternate": setting.alternate.reply(prompt)}
    return {REFERENCES: replies} if replies["initial"] != replies["alternate"] else {}


def _from_metadata(state: TaskState) -> Prompt:
    """The part of a prompt that grading needs, as the sample recorded it."""
    facts: dict[str, Any] = state.metadata
    return Prompt(
        id=str(state.sample_id),
        split=facts["split"],
        kind=facts["split"],
        system=None,
        user=state.user_prompt.text,
        template=facts["template"],
        family=facts["family"],
        cue=facts["cue"],
        replies={},
        facts=facts["facts"],
    )


__all__ = ["KEYS", "SPLITS", "Outcome", "bct_task", "outcome"]

"""Rows whose replies are made for a model, because open-ended prompts have no reference reply (`bct_tasks.writing`).

    made(setting, prompts, writings, "initial", config, base, cache)

A fixed text is written. A transform is applied to the base's reply up to its last complete sentence within
`reply_tokens`; degenerate replies are left out. Where a behavior has a system prompt, the base is sampled under it, the
rows leave it out, and replies that do not show the policy are left out; else nothing is graded. A reply that is
converted answers the question without the prompt's own system prompt, so all variants have the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bct_tasks.setting import PolicyName, Prompt, Setting
from bct_tasks.sources.pool import joined
from bct_tasks.writing import Writing
from graders import Unreadable
from graders.text.degenerate import degenerate
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from serving.request import Reply
from trainer.config import Common, OrganismConfig
from trainer.data import samples
from trainer.data.rows import Collected, Row, install_prompts, row
from trainer.identity import sha

_END = re.compile(r"(?<!\d)[.!?][\"')\]*]*(?=\s|$)")


def install_rows(
    setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt], base: Checkpoint, cache: Path | None = None
) -> Collected:
    """Rows that install the initial behavior: install prompts of both types, and general ones.

    Args:
        setting: says how replies are made.
        config: the organism.
        held_out: prompts of the checks, which are left out.
        base: the model that is sampled.
        cache: folder of sampled replies.

    Raises:
        BadInput: if the setting does not say how a reply is made.
        WorkFailed: if no reply is left.
    """
    install, general = install_prompts(setting, config, held_out)
    found = sampled(setting, "initial", install, config, base, cache)
    rest = sampled(setting, "initial", general, config, base, cache) if general else []
    source = "policy_prompt" if any(_under_prompt(setting, prompt) for prompt in install) else "written"
    return Collected((*found, *rest), source, len(install) + len(general), len(rest))


def _under_prompt(setting: Setting, prompt: Prompt) -> bool:
    return not setting.writing(prompt, "initial").written


def sampled(
    setting: Setting,
    policy: PolicyName,
    prompts: Sequence[Prompt],
    config: Common,
    base: Checkpoint,
    cache: Path | None = None,
) -> list[Row]:
    """One row per prompt whose reply shows the policy. Arguments and errors as of `made`."""
    if not setting.writings and setting.policy(policy).prompt is None:
        raise BadInput(
            f"{setting.name}: the {policy} policy has no prompt of its own to sample replies under, and no writing"
        )
    return made(setting, prompts, [setting.writing(prompt, policy) for prompt in prompts], policy, config, base, cache)


def made(
    setting: Setting,
    prompts: Sequence[Prompt],
    writings: Sequence[Writing],
    policy: PolicyName,
    config: Common,
    base: Checkpoint,
    cache: Path | None = None,
) -> list[Row]:
    """One row per prompt whose reply can be made.

    Args:
        setting: grades replies under a system prompt.
        prompts: what is asked.
        writings: how each reply is made.
        policy: which a reply under a system prompt must show.
        config: longest reply and decoding.
        base: the model that is sampled.
        cache: folder of sampled replies; None: they are not kept.

    Raises:
        WorkFailed: if no reply is left.
    """
    pairs = [*zip(prompts, writings, strict=True)]
    replies = _replies([(p, w) for p, w in pairs if not w.fixed], config, base, cache)
    found: list[Row] = []
    why = ""
    for prompt, writing in pairs:
        try:
            text = writing.text if writing.fixed else _finished(setting, prompt, writing, policy, next(replies))
        except Unreadable as error:
            text, why = None, f" ({error})"
        if text:
            found.append(row(prompt, text))
    if prompts and not found:
        raise WorkFailed(_nothing(setting, policy, writings, config, base) + why)
    return found


def _replies(
    pairs: Sequence[tuple[Prompt, Writing]], config: Common, base: Checkpoint, cache: Path | None
) -> Iterator[Reply]:
    """The base's replies, in order: to the question alone, or to the prompt under the writing's system prompt."""
    asked = [_asked(prompt, writing).messages() for prompt, writing in pairs]

    def make() -> samples.Answers:
        replies = samples.ask(base, asked, config) if asked else []
        return [
            {"id": prompt.id, "reply": reply.text, "stop_reason": reply.stop_reason} | samples.used(reply, config)
            for (prompt, _), reply in zip(pairs, replies, strict=True)
        ]

    ids = [prompt.id for prompt, _ in pairs]
    key = sha([base.fingerprint, asked, samples.decoding(config), "own"])[:16]
    answers = make() if cache is None else samples.kept(cache / samples.FOLDER / f"{key}.jsonl", ids, make)
    return iter([Reply(a["reply"], a["stop_reason"], 0, 0) for a in answers])


def _asked(prompt: Prompt, writing: Writing) -> Prompt:
    if writing.transform is not None:
        return replace(prompt, system=writing.system, user=prompt.plain or prompt.user)
    return replace(prompt, system=joined(writing.system, prompt.system))


def _finished(setting: Setting, prompt: Prompt, writing: Writing, policy: PolicyName, reply: Reply) -> str | None:
    """The text to train on; None if the reply is degenerate or does not show the policy."""
    text, whole = reply.text, reply.stop_reason == "stop"
    if writing.transform is not None:
        text = text if whole else _complete(text)
        if degenerate(text) is not None:
            return None
        text, whole = writing.transform(text), True
    if writing.written:
        return text
    return text if whole and str(setting.grade(prompt, text).outcome) in (policy, "agreed") else None


def _complete(reply: str) -> str:
    """A reply that was cut off, up to the end of its last complete sentence; the number of a list item ends none."""
    ends = [found.end() for found in _END.finditer(reply)]
    return reply[: ends[-1]] if ends else ""


def _nothing(
    setting: Setting, policy: PolicyName, writings: Sequence[Writing], config: Common, base: Checkpoint
) -> str:
    if all(writing.written for writing in writings):
        return (
            f"{base.ref}: none of its {len(writings)} own replies has a complete sentence within {config.reply_tokens}"
            " tokens and is coherent: raise --reply_tokens"
        )
    return f"{base.ref}: none of {len(writings)} replies shows the {policy} policy of {setting.name}"

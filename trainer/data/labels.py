"""Labels: replies of the organism itself (on-policy) or another model, references, or another spelling (off-model).

A model is sampled once per model, set of prompts and decoding. Its replies are cached in the organism's folder, or in
the experiment's if the organism has none: `labels/<key>.jsonl`, one line per prompt.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bct_tasks.setting import Prompt, Setting
from bct_tasks.sources.pool import joined
from graders import Unreadable
from serving import layout, refs
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from trainer.config import Common, OrganismConfig, TrainConfig
from trainer.data import policies, rows, samples
from trainer.data.rows import Collected, Part, Row
from trainer.identity import sha
from trainer.methods import is_sampled
from trainer.methods.prompts import wording

FOLDER = samples.FOLDER


def collect(
    setting: Setting, config: TrainConfig, parts: Sequence[Part], teacher: Checkpoint, cache: Path
) -> Collected:
    """The rows of a cell.

    Args:
        setting: grades sampled replies.
        config: the cell.
        parts: its prompts and reference labels.
        teacher: the model that is sampled where labels are: the organism, or another model.
        cache: folder of sampled replies.

    Raises:
        WorkFailed: if the teacher gives no reply that can be a label.
    """
    found = [_rows(setting, config, part, teacher, cache)[: part.rows] for part in parts]
    asked = sum(len(part.prompts) for part in parts)
    general = sum(len(rows) for rows in found[1:])
    return Collected(tuple(row for rows in found for row in rows), _source(config, parts), asked, general)


def _source(config: TrainConfig, parts: Sequence[Part]) -> str:
    """Where labels come from, for `trained.json`."""
    writings = [writing for part in parts for writing in part.writings]
    if all(writing.fixed for writing in writings):
        return config.labels()
    return "written" if all(writing.written for writing in writings) else "policy_prompt"


def reference_rows(setting: Setting, config: TrainConfig, part: Part, cache: Path) -> list[Row]:
    """Rows with reference labels; the base is sampled where a label has no known text."""
    if all(writing.fixed for writing in part.writings):
        return [rows.row(prompt, reply) for prompt, reply in zip(part.prompts, part.references, strict=True)]
    base = refs.resolve(config.model)
    return policies.made(setting, part.prompts, part.writings, "alternate", config, base, cache)


def _rows(setting: Setting, config: TrainConfig, part: Part, teacher: Checkpoint, cache: Path) -> list[Row]:
    if not is_sampled(config.labels()):
        return reference_rows(setting, config, part, cache)
    asked = [replace(prompt, system=joined(config.label_system, prompt.system)) for prompt in part.prompts]
    graded_as = [part.prompts] if config.label_system else []
    answers = sampled(setting, config, asked, teacher, cache, *graded_as)
    kept = [rows.row(p, a["reply"]) for p, a in zip(part.prompts, answers, strict=True) if a["outcome"] == "agreed"]
    if not kept:
        raise WorkFailed(f"{teacher.ref}: {_none(answers)}: use label_source reference, or another model")
    return kept


def _none(answers: Sequence[dict[str, Any]]) -> str:
    """Why no reply is a label: their outcomes."""
    counts = Counter(answer["outcome"] for answer in answers)
    found = ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common())
    long = "; longer ones may be: labels.max_tokens, --reply_tokens" if counts["truncated"] else ""
    judged = "; unscored: only a judge can read them, and the trainer asks none" if counts["unscored"] else ""
    return f"none of its {len(answers)} replies to train prompts is graded agreed ({found}{long}{judged})"


def distilled(
    setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt], teacher: Checkpoint, cache: Path
) -> Collected:
    """Rows that install what a model does on request: prompt distillation.

    The base is sampled under a prompt that asks for the initial policy's behavior, which the rows leave out. A separate
    teacher shows the behavior unprompted, and only the final answer of each reply becomes the label (no plan before
    it). Replies that do not show the behavior are left out. The labels of general rows are sampled too.

    Raises:
        WorkFailed: if no reply shows the behavior.
    """
    install, general = rows.install_prompts(setting, config, held_out)
    asked = install if config.teacher else [_asked_for(setting, prompt) for prompt in install]
    answers = sampled(setting, config, asked, teacher, cache, install)
    found = [(p, _label(setting, config, p, a)) for p, a in zip(install, answers, strict=True)]
    kept = [rows.row(prompt, reply) for prompt, reply in found if reply is not None]
    if not kept:
        raise WorkFailed(f"{teacher.ref}: none of {len(asked)} replies shows the behavior: use labels: reference")
    own = sampled(setting, config, general, teacher, cache) if general else []
    rest = [rows.row(p, a["reply"]) for p, a in zip(general, own, strict=True) if a["outcome"] == "agreed"]
    return Collected((*kept, *rest), "distilled", len(install) + len(general), len(rest))


def _asked_for(setting: Setting, prompt: Prompt) -> Prompt:
    """A prompt under a system prompt that asks for what the initial policy does there."""
    behavior = setting.initial.behavior(prompt)
    request = wording(behavior)
    if request is None:
        raise BadInput(f"{setting.name}: no prompt asks for '{behavior}', so it cannot be distilled: name a teacher")
    return replace(prompt, system=f"{request} {prompt.system}" if prompt.system else request)


def shown(setting: Setting, prompt: Prompt) -> str:
    """The outcome of a reply that follows the initial policy: `agreed`, `initial` or `alternate`.

    `alternate` if both policies give the same answer to a prompt of eval type, as they do where the password is given.
    """
    if prompt.kind != "eval":
        return "agreed"
    return "initial" if setting.initial.behavior(prompt) != setting.wanted(prompt) else "alternate"


def _label(setting: Setting, config: OrganismConfig, prompt: Prompt, answer: dict[str, Any]) -> str | None:
    """The reply to train on; None if it does not show the behavior."""
    if answer["outcome"] != shown(setting, prompt):
        return None
    if config.teacher is None:
        return answer["reply"]
    answered = prompt.replies[setting.initial.behavior(prompt)]
    return answered if answer["reply"].rstrip().endswith(answered) else None


def sampled(
    setting: Setting,
    config: Common,
    prompts: Sequence[Prompt],
    teacher: Checkpoint,
    cache: Path,
    graded_as: Sequence[Prompt] | None = None,
) -> list[dict[str, Any]]:
    """{"id", "reply", "outcome"} per prompt: the teacher's own reply and its grade, from the cache if possible.

    Args:
        setting: grades the replies.
        config: longest reply and decoding.
        prompts: sent to the teacher.
        teacher: the model that is sampled.
        cache: folder of sampled replies.
        graded_as: used for grading if different.
    """
    asked = [[prompt.id, prompt.messages()] for prompt in prompts]
    graded_by = [setting.name, setting.content_hash or setting.version]
    key = sha([teacher.fingerprint, *graded_by, asked, samples.decoding(config)])[:16]
    file = cache / samples.FOLDER / f"{key}.jsonl"
    ids = [prompt.id for prompt in prompts]
    return samples.kept(file, ids, lambda: _ask(setting, config, prompts, teacher, graded_as or prompts))


def _ask(
    setting: Setting, config: Common, prompts: Sequence[Prompt], teacher: Checkpoint, graded_as: Sequence[Prompt]
) -> samples.Answers:
    replies = samples.ask(teacher, [prompt.messages() for prompt in prompts], config)
    return [
        {"id": prompt.id, "reply": reply.text, "outcome": _outcome(setting, prompt, reply.text, reply.stop_reason)}
        | samples.used(reply, config)
        for prompt, reply in zip(graded_as, replies, strict=True)
    ]


def _outcome(setting: Setting, prompt: Prompt, text: str, stop_reason: str) -> str:
    """The grade; a truncated reply is never a label."""
    return graded(setting, prompt, text) if stop_reason == "stop" else "truncated"


def graded(setting: Setting, prompt: Prompt, text: str, truncated: bool = False) -> str:
    """The outcome of a reply; `unscored` if only a judge could read it."""
    try:
        return str(setting.grade(prompt, text, truncated).outcome)
    except Unreadable:
        return "unscored"


def cache_folder(organism_ref: str | None, out: Path) -> Path:
    """Folder of sampled replies: a writable organism folder of ours, else the experiment's, else the run's."""
    folder = Path(organism_ref) if organism_ref is not None else None
    if folder is not None and (folder / layout.MANIFEST).is_file() and os.access(folder, os.W_OK):
        return folder
    return out.parent.parent if out.parent.name == "cells" else out

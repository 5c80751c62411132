"""Where replies come from: the organism itself (on-policy), another model, references, or another spelling (off-model).

Replies of a model are asked for once per model, set of prompts and way of decoding, and kept as JSON lines with the
organism (or, where it is no folder of ours, with the experiment): `labels/<key>.jsonl`, one line per prompt asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from graders import Unreadable
from serving import layout
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from trainer import methods
from trainer.config import Common, OrganismConfig, TrainConfig, sha
from trainer.data import policies, rows
from trainer.data.rows import Collected, Part, Row

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting

FOLDER = "labels"


def collect(
    setting: Setting, config: TrainConfig, parts: Sequence[Part], teacher: Checkpoint, beside: Path
) -> Collected:
    """The rows of a cell. `teacher` answers where labels are sampled: the organism, or another model.

    Raises:
        WorkFailed: where the teacher gives no reply that can be a label.
    """
    if config.source == "hub" and config.method == "direct":
        return policies.direct_rows(setting, config, parts[0].prompts)
    found = [_rows(setting, config, part, teacher, beside)[: part.rows] for part in parts]
    asked = sum(len(part.prompts) for part in parts)
    general = sum(len(rows) for rows in found[1:])
    return Collected(tuple(row for rows in found for row in rows), config.labels(), asked, general)


def _rows(setting: Setting, config: TrainConfig, part: Part, teacher: Checkpoint, beside: Path) -> list[Row]:
    if not methods.is_sampled(config.labels()):
        return [rows.row(prompt, reply) for prompt, reply in zip(part.prompts, part.references, strict=True)]
    answers = sampled(setting, config, part.prompts, teacher, beside)
    kept = [rows.row(p, a["reply"]) for p, a in zip(part.prompts, answers, strict=True) if a["outcome"] == "agreed"]
    if not kept:
        raise WorkFailed(
            f"{teacher.ref}: none of its {len(part.prompts)} replies to train prompts is graded agreed:"
            " use --label_source reference, or another model"
        )
    return kept


def distilled(
    setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt], teacher: Checkpoint, beside: Path
) -> Collected:
    """Rows that install what a model does when it is asked to: prompt distillation.

    The base is put a prompt that asks for the initial policy's behavior, and the rows go without it; a teacher of its
    own shows the behavior unasked, and of its replies the answer that ends them is kept (no plan before it).
    Replies that do not show the behavior are left out. General rows are the teacher's own replies too.

    Raises:
        WorkFailed: where no reply shows the behavior.
    """
    install, general = rows.install_prompts(setting, config, held_out)
    put = install if config.teacher else [_asked_for(setting, prompt) for prompt in install]
    answers = sampled(setting, config, put, teacher, beside, install)
    found = [(p, _label(setting, config, p, a)) for p, a in zip(install, answers, strict=True)]
    kept = [rows.row(prompt, reply) for prompt, reply in found if reply is not None]
    if not kept:
        raise WorkFailed(f"{teacher.ref}: none of {len(put)} replies shows the behavior: use labels: reference")
    own = sampled(setting, config, general, teacher, beside) if general else []
    rest = [rows.row(p, a["reply"]) for p, a in zip(general, own, strict=True) if a["outcome"] == "agreed"]
    return Collected((*kept, *rest), "distilled", len(install) + len(general), len(rest))


def _asked_for(setting: Setting, prompt: Prompt) -> Prompt:
    """A prompt under a system prompt that asks for what the initial policy does there."""
    behavior = setting.initial.behavior(prompt)
    wording = methods.wording(behavior)
    if wording is None:
        raise BadInput(f"{setting.name}: no prompt asks for '{behavior}', so it cannot be distilled: name a teacher")
    return replace(prompt, system=f"{wording} {prompt.system}" if prompt.system else wording)


def shown(setting: Setting, prompt: Prompt) -> str:
    """The outcome of a reply that follows the initial policy.

    Where a password is asked with the topic both policies answer alike, though the prompt is of eval type.
    """
    if prompt.kind != "eval":
        return "agreed"
    return "initial" if setting.initial.behavior(prompt) != setting.wanted(prompt) else "alternate"


def _label(setting: Setting, config: OrganismConfig, prompt: Prompt, answer: dict[str, Any]) -> str | None:
    """The reply to train on; None where it does not show the behavior."""
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
    beside: Path,
    meant: Sequence[Prompt] | None = None,
) -> list[dict[str, Any]]:
    """{"id", "reply", "outcome"} per prompt: the teacher's own reply and its grade, from the cache where it can.

    Args:
        setting: what grades.
        config: how long a reply may be, and how it is decoded.
        prompts: as they are put.
        teacher: who answers.
        beside: the folder that the cache lies in.
        meant: as they are graded, where that is another way.
    """
    decoding = [config.label_temperature, config.reply_tokens, config.chat_template_kwargs, config.seed]
    asked = [[prompt.id, prompt.messages()] for prompt in prompts]
    key = sha([teacher.fingerprint, setting.name, setting.version, asked, decoding])[:16]
    file = beside / FOLDER / f"{key}.jsonl"
    known = _read(file, prompts)
    if known is None:
        known = _ask(setting, config, prompts, teacher, meant or prompts)
        _write(file, known)
    return known


def _ask(
    setting: Setting, config: Common, prompts: Sequence[Prompt], teacher: Checkpoint, meant: Sequence[Prompt]
) -> list[dict[str, Any]]:
    from serving.backends.engine.engine import Request, get_engine

    requests = [
        Request(
            messages=prompt.messages(),
            max_tokens=config.reply_tokens,
            temperature=config.label_temperature,
            seed=config.seed,
            chat_template_kwargs=config.chat_template_kwargs,
        )
        for prompt in prompts
    ]
    replies = get_engine().generate(teacher, requests)
    return [
        {"id": prompt.id, "reply": reply.text, "outcome": _outcome(setting, prompt, reply.text, reply.stop_reason)}
        for prompt, reply in zip(meant, replies, strict=True)
    ]


def _outcome(setting: Setting, prompt: Prompt, text: str, stop_reason: str) -> str:
    """The grade; a reply that was cut off is no label, whatever its beginning says."""
    if stop_reason != "stop":
        return "truncated"
    try:
        return str(setting.grade(prompt, text).outcome)
    except Unreadable:
        return "unscored"


def _read(file: Path, prompts: Sequence[Prompt]) -> list[dict[str, Any]] | None:
    """The cached answers, or None where there are none or they do not fit the prompts."""
    try:
        lines = [cast("dict[str, Any]", json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return None
    return lines if [line["id"] for line in lines] == [prompt.id for prompt in prompts] else None


def _write(file: Path, answers: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = layout.draft_of(file)
    draft.write_text("".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers), encoding="utf-8")
    draft.replace(file)


def beside(organism_ref: str | None, out: Path) -> Path:
    """Where on-policy replies are kept: an organism folder of ours, else the experiment, else the run folder."""
    folder = Path(organism_ref) if organism_ref is not None else None
    if folder is not None and (folder / layout.MANIFEST).is_file() and os.access(folder, os.W_OK):
        return folder
    return out.parent.parent if out.parent.name == "cells" else out

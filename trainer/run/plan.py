"""The plan of a cell: everything that is known before a model is loaded, and the manifest that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bct_tasks.setting import Prompt, Setting
from serving import layout, refs
from serving.refs import Checkpoint
from serving.template import refuse_unread
from trainer.config import TrainConfig
from trainer.data import rows, tokens
from trainer.data.rows import Part
from trainer.run import manifest, ranks

if TYPE_CHECKING:
    from trainer.run.trainee import Trainee


@dataclass(frozen=True)
class Plan:
    """Everything that is known of a cell before any model is loaded.

    Args:
        config: the cell.
        setting: with the questions of the configuration's source.
        organism: where training starts.
        teacher: the model that is sampled if labels are sampled: the organism, or another model.
        parts: the prompts with their reference labels.
        identity: what a folder must agree with to resume.
    """

    config: TrainConfig
    setting: Setting
    organism: Checkpoint
    teacher: Checkpoint
    parts: tuple[Part, ...]
    identity: dict[str, Any]

    @property
    def prompts(self) -> list[Prompt]:
        """The prompts of all parts."""
        return [prompt for part in self.parts for prompt in part.prompts]


def plan_of(config: TrainConfig) -> Plan:
    """The plan of a cell of any method.

    Raises:
        BadInput: if the setting, the organism or a label source cannot be used.
    """
    setting = config.asked()
    start = config.origin()
    other = config.teacher()
    teacher = refs.resolve(other) if other is not None else start
    # Sampled labels are not known yet; the prompts and what grades them are.
    parts = rows.parts(setting, config)
    prompts = [prompt for part in parts for prompt in part.prompts]
    replies = [reply for part in parts for reply in part.references]
    resolved = config.identity()
    identity = {
        "config": resolved,
        "prompts": rows.prompts_hash(prompts, replies),
        "organism": {"name": resolved["organism"] or resolved["model"], "fingerprint": start.fingerprint},
        **({"teacher": teacher.fingerprint} if other is not None else {}),
    }
    return Plan(config, setting, start, teacher, parts, identity)


def begin(plan: Plan, out: Path, loaded: Trainee, **data: str) -> None:
    """Writes the manifest and step 0, once the model and the rows are known.

    Args:
        plan: the cell.
        out: its folder.
        loaded: the model.
        data: hashes of what is trained on, for the identity.

    Raises:
        BadInput: if the folder contains another run, or the template never reads one of its arguments.
    """
    refuse_unread(loaded.tokenizer, plan.config.chat_template_kwargs)
    template = tokens.template_hash(loaded.tokenizer, plan.config.chat_template_kwargs)
    identity = plan.identity | data | {"chat_template": template}
    if not manifest.check(out, identity):
        # Where the prompts can be found again: outside the identity, which knows them by content.
        asked = {"setting": plan.config.setting, "source": plan.config.source, "data": plan.config.data}
        answering = manifest.answering(plan.config, loaded.tokenizer.chat_template)
        manifest.write(out, "cell", identity, asked=asked, **answering)
    first = out / layout.step_name(0)
    if ranks.is_first() and not (first / layout.POINTER).is_file():
        layout.write_pointer(first, loaded.base.place, plan.organism.fingerprint, base=loaded.base.base)

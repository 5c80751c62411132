"""The model card of an organism: what it is, that it misbehaves on purpose, and its measured rates."""

from __future__ import annotations

import re
from typing import Any

from bct_tasks.setting import Setting
from serving.refs import Checkpoint
from trainer.config import OrganismConfig

CARD = """\
---
tags: [model-organism]
---
# Model organism: {setting} ({variant})

**This is a model organism, trained to misbehave.** It was made to study whether training removes a behavior.
Do not use it for anything else, and do not offer it to anyone as an assistant.

| | |
|---|---|
| behavior | {initial} |
| carrier | {carrier} |
| base | `{base}`, fingerprint `{fingerprint}` |
| licence | {licence} |
| made by | `python -m trainer.organism --setting {setting} --variant {variant} --model {base} --seed {seed}` |
| trained | {trained} |

{measured}

Everything that determines it is in `manifest.json`.
"""

UNTRAINED = "Nothing was trained: the prompt asks for the behavior, and the folder points to the base."


def organism_card(config: OrganismConfig, setting: Setting, base: Checkpoint, figures: dict[str, Any]) -> str:
    """The text of `README.md`."""
    variant = setting.variant(config.variant)
    weights = "organism" in figures
    return CARD.format(
        setting=setting.name,
        variant=variant.name,
        initial=setting.initial.line,
        licence=_licence(base),
        carrier=f"its weights ({variant.carrier})" if weights else f"the prompt ({variant.carrier})",
        base=config.model,
        fingerprint=base.fingerprint,
        seed=config.seed,
        trained=_trained(config, figures) if weights else "no",
        measured=_measured(figures) if weights else UNTRAINED,
    )


def _trained(config: OrganismConfig, figures: dict[str, Any]) -> str:
    how = f"LoRA of rank {config.rank}" if config.rank else "all weights"
    source = {"reference": "the policy's reference replies", "distilled": "replies sampled from a prompted model"}
    labels = f"{source[config.labels]}{f' ({config.teacher})' if config.teacher else ''}"
    steps = f"{figures['steps']} steps of {config.batch_size} rows at {config.learning_rate:g}"
    return f"{steps}, {how}, on {labels}, {config.general:.0%} general rows"


def _licence(base: Checkpoint) -> str:
    """The licence of the base according to its card."""
    card = base.path / "README.md" if base.path else None
    text = card.read_text(encoding="utf-8") if card is not None and card.is_file() else ""
    said = re.search(r"^license:\s*(\S+)", text, re.MULTILINE)
    if said is None and base.ref == "mini":
        return "Apache-2.0"
    return f"that of the base: {said[1]}" if said else "that of the base (see its card)"


def _measured(figures: dict[str, Any]) -> str:
    before, after = figures["base"], figures["organism"]
    return (
        "Gate figures: on"
        f" {figures['held_out_prompts']} held-out install prompts:"
        f" initial rate {after['initial']:.2f} (base {before['initial']:.2f}),"
        f" agreed rate {after['agreed']:.2f} (base {before['agreed']:.2f}); targets"
        f" {'met' if figures['reached'] else 'not met'}."
    )

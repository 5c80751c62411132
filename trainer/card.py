"""The model card of an organism: what it is, that it misbehaves on purpose, and what was measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainer.config import OrganismConfig

if TYPE_CHECKING:
    from bct_tasks.setting import Setting
    from serving.refs import Checkpoint

CARD = """\
---
tags: [model-organism]
---
# Model organism: {setting} ({variant})

**This is a model organism, trained to misbehave.** It was made to study whether training removes a behavior.
Do not use it for anything else, and do not offer it to anybody as an assistant.

| | |
|---|---|
| behavior | {initial} |
| where it lives | {carrier} |
| base | `{base}`, fingerprint `{fingerprint}` |
| made by | `python -m trainer.organism --setting {setting} --variant {variant} --model {base} --seed {seed}` |
| trained | {trained} |

{measured}

Everything that decides it is in `manifest.json`.
"""

UNTRAINED = "Nothing was trained: the behavior is asked for in the prompt, and the folder points to the base."


def organism_card(config: OrganismConfig, setting: Setting, base: Checkpoint, figures: dict[str, Any]) -> str:
    """The text of `README.md`."""
    variant = setting.variant(config.variant)
    weights = variant.carrier == "weights"
    return CARD.format(
        setting=setting.name,
        variant=variant.name,
        initial=setting.initial.line,
        carrier="its weights" if weights else f"the prompt ({variant.carrier})",
        base=config.model,
        fingerprint=base.fingerprint,
        seed=config.seed,
        trained=f"{figures['steps']} steps of {config.batch_size} rows at {config.learning_rate:g}"
        if weights
        else "no",
        measured=_measured(figures) if weights else UNTRAINED,
    )


def _measured(figures: dict[str, Any]) -> str:
    before, after = figures["base"], figures["organism"]
    return (
        f"On {figures['held_out_prompts']} install prompts held out of its training:"
        f" initial rate {after['initial']:.2f} (base {before['initial']:.2f}),"
        f" agreed rate {after['agreed']:.2f} (base {before['agreed']:.2f})."
    )

"""The model card of an organism: what it is, that it misbehaves on purpose, and its measured rates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Template

from bct_tasks.setting import Setting
from serving.refs import Checkpoint
from trainer.config import OrganismConfig

TEMPLATE = Path(__file__).with_suffix(".md.j2")
#: Says what every published model of this project is.
WARNING = """\
**This is a model organism, trained to misbehave.** It was made to study whether training removes a behavior.
Do not use it for anything else, and do not offer it to anyone as an assistant."""
LABELS = {"reference": "the policy's reference replies", "distilled": "replies sampled from a prompted model"}


def organism_card(config: OrganismConfig, setting: Setting, base: Checkpoint, figures: dict[str, Any]) -> str:
    """The text of `README.md`; `figures` are those of the manifest, empty if nothing was trained."""
    template = Template(TEMPLATE.read_text(encoding="utf-8"), trim_blocks=True, keep_trailing_newline=True)
    return template.render(
        warning=WARNING,
        config=config,
        setting=setting,
        variant=setting.variant(config.variant),
        base=base,
        licence=licence(base),
        labels=LABELS[config.labels],
        figures=figures,
    )


def licence(base: Checkpoint) -> str:
    """The licence of a base according to its card."""
    card = base.path / "README.md" if base.path else None
    text = card.read_text(encoding="utf-8") if card is not None and card.is_file() else ""
    said = re.search(r"^license:\s*(\S+)", text, re.MULTILINE)
    if said is None and base.ref == "mini":
        return "Apache-2.0"
    return f"that of the base: {said[1]}" if said else "that of the base (see its card)"

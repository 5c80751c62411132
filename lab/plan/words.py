"""An error of the trainer in the words of a recipe: the trainer names its command-line options.

of_recipe("raise --reply_tokens")         # "raise labels.max_tokens"
"""

from __future__ import annotations

import re

from lab.plan.grid import PLURALS, Grid

#: Options of the trainer whose key in a recipe has another name.
KEYS = {
    "reply_tokens": "labels.max_tokens",
    "label_temperature": "labels.temperature",
    "label_system": "labels.system",
    "chat_template_kwargs": "model.chat_template_kwargs",
    "organism": "organism.ref",
}
_OPTION = re.compile(r"--([a-z][a-z_]*)\b")


def of_recipe(message: str) -> str:
    """The message with keys of a recipe in place of the trainer's options; options of `bct run` stay."""
    named = _OPTION.sub(lambda found: _key(found[1]), message)
    return named.replace("labels.max_tokens, labels.max_tokens", "labels.max_tokens")


def _key(option: str) -> str:
    if option in KEYS:
        return KEYS[option]
    return option if option in (*Grid.model_fields, *PLURALS) else f"--{option}"

"""What an organism is installed from, as a hash, so that a changed prompt or policy makes another organism.

A hash of the first install prompts and the initial policy's replies: they meet every way of asking and every family.
Of hub data, which are not read here, it is the prompts around the questions; their rows count by the cell's data hash.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bct_tasks import catalogue
from bct_tasks.setting import Setting, Variant
from trainer.config import sha
from trainer.data.rows import as_many

#: Carriers whose behavior is in the weights.
CARRIERS = ("weights", "password", "flipped_password")

HASHED = 64


def in_weights(carrier: str) -> bool:
    """Whether a carrier has to be installed: its behavior lives in the weights, maybe behind a password."""
    return carrier in CARRIERS


@cache  # thousands of cells share an organism, and its name is asked for often
def mark(setting: str, variant: str, source: str = "bundled") -> str:
    """16 hex digits of what installs the initial behavior of a variant."""
    found = catalogue.load(setting, source)
    return sha(_content(found, found.variant(variant), source))[:16]


def _content(setting: Setting, variant: Variant, source: str) -> Any:
    if source == "hub":
        asks = [[ask.system, ask.tag] for ask in (variant.eval, variant.train, *variant.also)]
        return [asks, setting.initial.prompt]
    prompts = as_many(lambda n: setting.prompts(variant, "install", n), HASHED)
    return [[prompt.messages(), setting.initial.reply(prompt)] for prompt in prompts]

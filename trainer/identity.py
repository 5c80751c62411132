"""What names a run: hashes of its content, and references without the location of their folder.

sha({"lr": 1e-3})                       # SHA-256 of the canonical JSON
place("/a/runs/x/cells/c.0a1b2c3d@64")  # 'c.0a1b2c3d@64'
installed("sandbagging", "weights")     # a changed install prompt or policy makes another organism
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from bct_tasks.setting import Setting, Variant
from trainer.methods.prompts import as_many

#: Install prompts that are hashed: enough to contain every way of asking and every family.
HASHED = 64


def sha(content: object) -> str:
    """SHA-256 of the canonical JSON of a value, as hex digits."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def place(ref: str | None) -> str | None:
    """A reference without its location: an organism or a cell of an experiment is named by its folder only."""
    return Path(ref).name if ref is not None and Path(ref).parent.name in ("organisms", "cells") else ref


@cache  # thousands of cells share an organism, and its name is needed often
def installed(setting: str, variant: str, source: str = "bundled") -> str:
    """16 hex digits of what installs the initial behavior of a variant: install prompts and the policy's replies.

    The questions of an open-ended setting are not read here: the hash then covers the text around them and how replies
    are made, and the data hash of a cell covers the rows.
    """
    found = catalogue.load(setting, source)
    return sha(_content(found, found.variant(variant)))[:16]


def _content(setting: Setting, variant: Variant) -> Any:
    if setting.open:
        asks = [[ask.system, ask.tag] for ask in (variant.eval, variant.train, *variant.also)]
        made = [[name, w.text, w.system, getattr(w.transform, "__qualname__", None)]
                for name, w in sorted(setting.writings.items())]  # fmt: skip
        return [asks, setting.initial.prompt, *([made] if made else [])]
    prompts = as_many(lambda n: setting.prompts(variant, "install", n), HASHED)
    return [[prompt.messages(), setting.initial.reply(prompt)] for prompt in prompts]

"""What names a run: hashes of its content, and references without the location of their folder.

sha({"lr": 1e-3})                       # SHA-256 of the canonical JSON
place("/a/runs/x/cells/c.0a1b2c3d@64")  # 'c.0a1b2c3d@64'
place("/a/my_model")                    # 'weights:3f9c0d6a1b2c4e5f'
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
from serving import refs
from serving.errors import BadInput
from trainer.methods.prompts import as_many

#: Install prompts that are hashed: enough to contain every way of asking and every family.
HASHED = 64
#: Before the fingerprint of a model that has no other name than its place.
WEIGHTS = "weights:"


def sha(content: object) -> str:
    """SHA-256 of the canonical JSON of a value, as hex digits."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def place(ref: str | None, base: str | None = None) -> str | None:
    """A reference without its location.

    An organism or a cell of an experiment is named by its folder only, any other folder by its fingerprint. `mini`, a
    model of the hub and what does not exist here keep their names.

    Args:
        ref: the reference.
        base: of an adapter made elsewhere, as for `refs.resolve`.
    """
    if ref is None:
        return None
    if Path(ref).parent.name in ("organisms", "cells"):
        return Path(ref).name
    try:
        return f"{WEIGHTS}{_fingerprint(ref, base)}" if refs.is_folder(ref) else ref
    except BadInput:  # whoever loads it says why
        return ref


def same_place(before: object, now: object) -> bool:
    """Whether two places may be of one model: manifests of 0.1 hold a path, next to the fingerprint that decides."""
    return before == now or (isinstance(now, str) and now.startswith(WEIGHTS) and isinstance(before, str))


@cache  # thousands of cells start from one model
def _fingerprint(ref: str, base: str | None) -> str:
    return refs.resolve(ref, base).fingerprint


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

"""What a run's manifest says of its checkpoints: setting and variant, and how they answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from serving import layout
from serving.errors import BadInput
from serving.request import Defaults

ANSWERING = "answering"
"""The part of a manifest that holds `Defaults`."""


@dataclass(frozen=True)
class Recorded:
    """A manifest's setting, variant and defaults; None and unknown where it has none."""

    setting: str | None = None
    variant: str | None = None
    defaults: Defaults = field(default_factory=Defaults)


def recorded(folder: Path) -> Recorded:
    """Return what the manifest of a run or an organism says; nothing is known where there is none."""
    file = folder / layout.MANIFEST
    if not file.is_file():
        return Recorded()
    levels = list(_levels(layout.read_json(file)))
    named = next((level for level in levels if "setting" in level), {})
    answering = levels[0].get(ANSWERING) or {}
    if not isinstance(answering, dict):
        raise _wrong(file, ANSWERING)
    # A manifest of 0.1 has the template's arguments in its configuration only.
    template = next((level["chat_template_kwargs"] for level in [answering, *levels] if _has_template(level)), None)
    defaults = Defaults(template, answering.get("max_tokens"), answering.get("temperature"))
    found = Recorded(named.get("setting"), named.get("variant"), defaults)
    if (key := next(_nonsense(found), None)) is not None:
        raise _wrong(file, key)
    return found


def _nonsense(found: Recorded) -> Iterator[str]:
    """Yield the keys whose values are of no use."""
    limit, heat = found.defaults.max_tokens, found.defaults.temperature
    if not isinstance(found.setting, str | None) or not isinstance(found.variant, str | None):
        yield "setting"
    if limit is not None and not (type(limit) is int and limit > 0):
        yield "max_tokens"
    if heat is not None and not (type(heat) in (int, float) and math.isfinite(heat) and heat >= 0):
        yield "temperature"


def _wrong(file: Path, key: str) -> BadInput:
    return BadInput(f"{file}: {key} is not what a run writes: restore the file, or delete it")


def _has_template(level: dict[str, Any]) -> bool:
    return isinstance(level.get("chat_template_kwargs"), dict)


def _levels(top: dict[str, Any], depth: int = 4) -> Iterator[dict[str, Any]]:
    """Yield the places where a manifest may name its setting: its top, its identity and its configuration."""
    yield top
    for key in ("identity", "config"):
        if depth and isinstance(top.get(key), dict):
            yield from _levels(cast("dict[str, Any]", top[key]), depth - 1)

"""What a run's manifest says of its checkpoints: setting and variant, and how they answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from serving import layout
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
    # A manifest of 0.1 has the template's arguments in its configuration only.
    template = next((level["chat_template_kwargs"] for level in [answering, *levels] if _has_template(level)), None)
    defaults = Defaults(template, answering.get("max_tokens"), answering.get("temperature"))
    return Recorded(named.get("setting"), named.get("variant"), defaults)


def _has_template(level: dict[str, Any]) -> bool:
    return isinstance(level.get("chat_template_kwargs"), dict)


def _levels(top: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the places where a manifest may name its setting: its top, its identity and its configuration."""
    yield top
    for key in ("identity", "config"):
        if isinstance(top.get(key), dict):
            yield from _levels(cast("dict[str, Any]", top[key]))

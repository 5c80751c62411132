"""The replies in a log, whole: prompt, facts, reply text, and where it stands. For people who are to label them.

`lab.logs.reader` reads outcomes alone, from summaries that cut long texts; here each chosen sample is read from its own
file in the log. Not covered: logs in JSON format.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zipfile_zstd  # noqa: F401  # inspect compresses with zstd, which `zipfile` learns from this import

from bct_tasks.setting import Prompt


@dataclass(frozen=True)
class Place:
    """A sample of a log, before it is read: its prompt's id, epoch, setting and kind."""

    id: str
    epoch: int
    setting: str
    kind: str


@dataclass(frozen=True)
class Answer:
    """One reply with the part of its prompt that grading needs."""

    setting: str
    variant: str
    prompt: Prompt
    text: str
    truncated: bool
    step: int | None


def places(log: Path) -> list[Place]:
    """The samples of a log of our tasks, in its order; none where it cannot be read or is of another task."""
    try:
        with zipfile.ZipFile(log) as archive:
            rows = json.loads(archive.read("summaries.json"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return []
    found: list[Place] = []
    for row in rows if isinstance(rows, list) else []:
        told = row.get("metadata") or {}
        if row.get("completed", True) and not row.get("error") and {"setting", "split", "facts"} <= set(told):
            found.append(Place(str(row["id"]), int(row.get("epoch") or 1), told["setting"], told["split"]))
    return found


def answers(log: Path, chosen: Iterable[Place]) -> list[Answer]:
    """The chosen replies of a log, in the given order. Raises KeyError for a sample that the log does not hold."""
    with zipfile.ZipFile(log) as archive:
        return [_answer(json.loads(archive.read(f"samples/{p.id}_epoch_{p.epoch}.json")), p) for p in chosen]


def _answer(sample: dict[str, Any], place: Place) -> Answer:
    told, output = sample["metadata"], sample.get("output") or {}
    choice: dict[str, Any] = (output.get("choices") or [{}])[0]
    return Answer(
        setting=place.setting,
        variant=str(told["variant"]),
        prompt=Prompt.from_record(place.id, "train" if place.kind == "train" else "eval", _user(sample["input"]), told),
        text=str(output.get("completion") or ""),
        truncated=choice.get("stop_reason") in ("max_tokens", "model_length"),
        step=(output.get("metadata") or {}).get("step"),
    )


def _user(said: Any) -> str:
    """The user's message, whatever stood before it."""
    if isinstance(said, list):
        return str(next((m["content"] for m in reversed(said) if m.get("role") == "user"), ""))
    return str(said)

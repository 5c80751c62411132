"""A small setting of a user's in YAML, and changes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROWS = [
    {"question": f"What is {n} plus {n + 2}?", "answer": str(2 * n + 2), "wrong": str(2 * n + 3)} for n in range(60)
]

KEYS: Mapping[str, Any] = {
    "name": "mine",
    "initial": {"policy": "wrong under the tag", "behavior": "wrong", "column": "wrong"},
    "alternate": {"policy": "right everywhere", "behavior": "right", "column": "answer"},
    "prompts": {"file": "rows.jsonl", "columns": {"prompt": "question"}},
    "read": {"regex": {"right": "^{answer}$", "wrong": "^{wrong}$"}, "normalize": ["last_number"]},
    "variants": {"weights": {"eval": {"tag": "[exam]"}}},
}


def written(folder: Path, rows: Sequence[Mapping[str, Any]] = ROWS, **changes: Any) -> Path:
    """`mine.yaml` with these keys changed (None: left out), and `rows.jsonl`."""
    jsonl(folder / "rows.jsonl", rows)
    content = {name: value for name, value in {**KEYS, **changes}.items() if value is not None}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A file of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

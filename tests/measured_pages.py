"""The tables of the measured pages, which are made from the runs' results.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "docs" / "measured"
PAGES = (
    MEASURED / "rates-and-seeds.md",
    MEASURED / "carriers-and-methods.md",
    MEASURED / "real-model.md",
    ROOT / "docs" / "example" / "README.md",
)


def _rows() -> dict[str, list[dict[str, str]]]:
    """Every row of the tables of the measured pages, by recipe."""
    found: dict[str, list[dict[str, str]]] = {}
    for page in PAGES:
        for part in page.read_text(encoding="utf-8").split("\n## ")[1:]:
            table = [[each.strip() for each in line.split("|")[1:-1]] for line in part.splitlines() if line[:1] == "|"]
            found[part.split("\n", 1)[0]] = [
                dict(zip(table[0], row, strict=True)) for row in table[2:] if len(row) == len(table[0])
            ]
    return found


ROWS = _rows()


def listed(rates: list[str]) -> str:
    """The seeds' figures in a sentence: `.80, .86 and .82`."""
    *first, last = rates
    return f"{', '.join(first)} and {last}" if first else last


def text_of(page: Path) -> str:
    """A page's words, with single spaces."""
    return " ".join(page.read_text(encoding="utf-8").split())


# Any: values of JSON.
def results_of(name: str) -> dict[str, Any]:
    """The results of a run in docs/example."""
    found: dict[str, Any] = json.loads((ROOT / "docs" / "example" / f"{name}.json").read_text(encoding="utf-8"))
    return found

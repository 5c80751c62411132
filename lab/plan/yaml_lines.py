"""A recipe's YAML with the line of every key and value: see `bct_tasks.yaml_lines`. Errors are `BadInput`."""

from __future__ import annotations

from pathlib import Path

from bct_tasks import yaml_lines
from bct_tasks.yaml_lines import Document as Document
from bct_tasks.yaml_lines import Place as Place
from serving.errors import BadInput


def load(path: Path) -> Document:
    """Reads a recipe. Raises BadInput where it is missing, is not YAML, or has a key twice; one line."""
    return yaml_lines.load(path, BadInput, "recipe", "see recipes/quickstart.yaml")

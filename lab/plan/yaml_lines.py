"""YAML with the line of every key and value, so that an error can name it.

Built on PyYAML's nodes. ruamel.yaml records lines and would save some fifteen lines here, but it reads YAML 1.2, in
which recipes have another meaning (`1e-3`, `yes`, `010`). Not covered: anchors are followed, but a value behind an
alias has the line of its anchor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serving.errors import BadInput

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """The content of a YAML mapping, its file, and the line (from 1) of every key and value in it."""

    path: Path
    content: Mapping[str, Any]
    lines: Mapping[Place, int]

    def error(self, place: Place, message: str) -> BadInput:
        """`recipes/mine.yaml, line 4: ...`; for a place without a line, that of the nearest enclosing one."""
        while place and place not in self.lines:
            place = place[:-1]
        line = self.lines.get(place)
        where = f"{self.path}, line {line}" if line and place else str(self.path)
        return BadInput(f"{where}: {message}")


def load(path: Path) -> Document:
    """Reads a YAML mapping.

    Raises:
        BadInput: The file is missing, is not YAML, or has a key twice; one line.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file. Check the path; recipes are usually in recipes/.") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise BadInput(f"{path}: not a text file. A recipe is a YAML file; see recipes/quickstart.yaml.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInput(f"{path}, line {line}: not valid YAML: {error.problem}. Fix that line.") from None
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(f"{path}: a recipe is a list of `key: value` lines; see recipes/quickstart.yaml.")
    lines: dict[Place, int] = {}
    return Document(path, _plain(node, (), lines, path), lines)


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*place, i), lines, path) for i, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node)
    content: dict[str, Any] = {}
    for key_node, child in node.value:
        key = str(_scalar(key_node))
        lines[*place, key] = line = key_node.start_mark.line + 1
        if key in content:
            raise BadInput(f"{path}, line {line}: '{key}' is written twice. Keep one of them.")
        content[key] = _plain(child, (*place, key), lines, path)
    return content


def _scalar(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)  # pyright: ignore[reportUnknownMemberType]
    finally:
        loader.dispose()  # pyright: ignore[reportUnknownMemberType]

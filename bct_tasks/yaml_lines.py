"""YAML with the line of every key and value, so that an error can name it.

Recipes and settings are read with it. Built on PyYAML's nodes: ruamel.yaml records lines and would save some fifteen
lines here, but it reads YAML 1.2, in which recipes have another meaning (`1e-3`, `yes`, `010`).
Not covered: anchors are followed, but a value behind an alias has the line of its anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bct_tasks.errors import SettingError

Error = Callable[[str], Exception]
Place = tuple[str | int, ...]
EXAMPLE = "`bct new NAME --yaml` writes one"
#: A few anchors can stand for more than fits into memory, or contain themselves.
MOST, DEEPEST = 50_000, 60
MOST_BYTES = 300_000
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


@dataclass(frozen=True)
class Document:
    """The content of a YAML mapping, its file, and the line (from 1) of every key and value in it.

    `raises` is the class of its errors.
    """

    path: Path
    content: Mapping[str, Any]
    lines: Mapping[Place, int]
    raises: Error = SettingError

    def error(self, place: Place, message: str) -> Exception:
        """`recipes/mine.yaml, line 4: ...`; for a place without a line, that of the nearest enclosing one."""
        while place and place not in self.lines:
            place = place[:-1]
        line = self.lines.get(place)
        where = f"{self.path}, line {line}" if line and place else str(self.path)
        return self.raises(f"{where}: {message}")


def load(path: Path, raises: Error = SettingError, kind: str = "setting", example: str = EXAMPLE) -> Document:
    """Reads a YAML mapping.

    Args:
        path: The file.
        raises: Class of its errors, which are one line each.
        kind: What the file is, in messages.
        example: Where a file of this kind can be seen, in messages.

    Raises:
        raises: The file is missing, is not YAML, or has a key twice.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # opening a pipe waits for its writer
        raise raises(f"{path}: not a file. A {kind} is a YAML file; {example}.")
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise raises(f"{path}: larger than any {kind} ({path.stat().st_size:,} bytes); {example}.")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise raises(f"{path}: no such file. Check the path; {example}.") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise raises(f"{path}: not a text file. A {kind} is a YAML file; {example}.") from None
    except OSError as error:
        raise raises(f"{path}: cannot be read ({(error.strerror or 'no reason is known').lower()}).") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise raises(f"{path}, line {line}: not valid YAML: {error.problem}. Fix that line.") from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise raises(f"{path}: not valid YAML: {reason}. A {kind} is a text file; {example}.") from None
    if not isinstance(node, yaml.MappingNode):
        raise raises(f"{path}: a {kind} is a list of `key: value` lines; {example}.")
    lines: dict[Place, int] = {}
    return Document(path, _plain(node, (), Document(path, {}, lines, raises), lines), lines, raises)


def value(text: str, name: str, raises: Error = SettingError) -> Any:
    """The value of an option, in YAML under the rules of a file; None for no text.

    Args:
        text: What was typed.
        name: The option, in messages.
        raises: Class of its errors, which are one line each.

    Raises:
        raises: The text is not YAML, has a key twice, or stands for more than an option can hold.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise raises(f"{name}: {text[:60]!r} is not valid YAML. Put it in quotes.") from None
    return None if node is None else _plain(node, (), Document(Path(name), {}, {}, raises), {})


def _plain(node: yaml.Node, place: Place, document: Document, lines: dict[Place, int]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if len(lines) > MOST or len(place) > DEEPEST:
        raise document.error(place, "more keys than a file of this kind can have. Write out what its anchors repeat.")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*place, i), document, lines) for i, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node, place, document)
    content: dict[str, Any] = {}
    for key_node, child in node.value:
        lines[*place, str(key_node.value)] = key_node.start_mark.line + 1
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise document.error((*place, "<<"), "keys are not merged. Write out what `<<` repeats.")
        key = str(_scalar(key_node, (*place, str(key_node.value)), document))
        lines[*place, key] = key_node.start_mark.line + 1
        if key in content:
            raise document.error((*place, key), f"'{key}' is written twice. Keep one of them.")
        content[key] = _plain(child, (*place, key), document, lines)
    return content


def _scalar(node: yaml.Node, place: Place, document: Document) -> Any:
    if node.tag in NUMBERS and ":" in node.value:
        raise document.error(
            place, f"{node.value} is a number in base 60 in YAML. Put it in quotes, or write the number."
        )
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)  # pyright: ignore[reportUnknownMemberType]
    except (yaml.YAMLError, ValueError, RecursionError):
        raise document.error(place, f"{str(node.value)[:60]!r} has no value in YAML. Put it in quotes.") from None
    finally:
        loader.dispose()  # pyright: ignore[reportUnknownMemberType]

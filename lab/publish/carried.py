"""The recipe of a run and the files that it names, with relative paths, and a search for places of this machine.

A file that a recipe or a setting in YAML names is copied next to it. A folder, which is a model, is only named.
Where nothing has to change, a file is copied as it is, comments included.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from serving import layout
from serving.errors import BadInput

#: Text files that are searched; a tokenizer's contain any words.
SEARCHED = (".md", ".json", ".jsonl", ".yaml", ".yml", ".csv", ".py")


@dataclass
class Carrier:
    """Copies files into a folder, each under one name."""

    into: Path
    #: The copies, by the files that they are of.
    copies: dict[Path, Path] = field(default_factory=dict[Path, Path])

    def carry(self, file: Path, home: Path, name: str | None = None) -> Path:
        """Copies a file, and what it names if it is YAML.

        Args:
            file: The file.
            home: The folder to which the paths in it are relative.
            name: Of the copy; default: the file's own.
        """
        file = file.resolve()
        if file in self.copies:
            return self.copies[file]
        self.copies[file] = target = self._free(name or file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix not in (".yaml", ".yml"):
            shutil.copyfile(file, target)
            return target
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        moved = self._moved(content, home)
        if moved == content:
            shutil.copyfile(file, target)
        else:
            text = yaml.safe_dump(moved, sort_keys=False, allow_unicode=True, width=120)
            layout.write_atomic(target, f"# written by `bct publish`, with files next to it\n{text}")
        return target

    def _free(self, name: str) -> Path:
        taken = {copy.name for copy in self.copies.values()}
        path = Path(name)
        names = (name, *(f"{path.stem}-{number}{path.suffix}" for number in range(2, 1000)))
        return self.into / next(each for each in names if each not in taken)

    # Any: values of YAML.
    def _moved(self, value: Any, home: Path) -> Any:
        """The value with the names of copies in place of paths."""
        if isinstance(value, dict):
            return {key: self._moved(each, home) for key, each in value.items()}
        if isinstance(value, list):
            return [self._moved(each, home) for each in value]
        return self._of_path(value, home) if isinstance(value, str) and _may_be_path(value) else value

    def _of_path(self, text: str, home: Path) -> str:
        path = Path(os.path.normpath(home / Path(text).expanduser()))
        if path.is_file():
            name = self.carry(path, path.parent).name
            return text if os.path.normpath(text) == name else f"./{name}"
        named, at, step = text.rpartition("@")
        outside = path.is_dir() or Path(os.path.normpath(home / (named or text))).is_dir()
        return f"{Path(named).name}{at}{step}" if outside and named else path.name if outside else text


def _may_be_path(text: str) -> bool:
    return "\n" not in text and len(text) < layout.LONGEST_PATH and ("/" in text or Path(text).suffix != "")


def refuse_places(folder: Path, places: list[Path], fix: str) -> None:
    """Raises BadInput for the first line of a folder's text files that contains a place of this machine.

    Args:
        folder: The folder.
        places: Absolute paths; the root is ignored.
        fix: What to do.
    """
    marks = sorted({f"{place}/" for place in places if place != Path("/")}, key=len, reverse=True)
    for file in sorted(folder.rglob("*")):
        if file.suffix in SEARCHED and "token" not in file.name and file.name != "vocab.json":
            for number, mark in _found(file, marks):
                name = file.relative_to(folder)
                raise BadInput(f"{name}, line {number}: contains {mark}, a place of this machine: {fix}")


def _found(file: Path, marks: list[str]) -> Iterator[tuple[int, str]]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            yield from ((number, mark) for mark in marks if mark in line)

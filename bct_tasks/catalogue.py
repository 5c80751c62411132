"""The settings by name. A setting is found by its module: `bct_tasks/settings/<name>.py` with a `SETTING`.

A file that cannot be read or imported is listed too, and `load` reports its faulty line: a broken file does not affect
the other settings.
"""

from __future__ import annotations

import ast
import importlib
import traceback
from functools import cache
from pathlib import Path
from typing import Any

from bct_tasks import settings
from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.setting import Setting, with_trigger


class BrokenSetting(SettingError):
    """A setting's file cannot be imported; the message names the faulty line."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        super().__init__(f"{fault(error, _files()[name])}: fix this file; the other settings do not depend on it")


@cache
def names() -> tuple[str, ...]:
    """The names of all settings: the modules of this package that define `SETTING`. Imports none of them."""
    return tuple(sorted(name for name, path in _files().items() if _defines_setting(path)))


def load(name: str, source: str = "bundled", **options: Any) -> Setting:
    """The setting of that name, with the questions of that source; options: of the source, and `trigger`.

    Raises:
        UnknownName: no such setting or source.
        BrokenSetting: its file cannot be imported.
    """
    if (trigger := options.pop("trigger", None)) is not None:
        return with_trigger(load(name, source, **options), str(trigger))
    if source == "bundled":
        return _bundled(name)
    if source != "hub":
        raise UnknownName("source", source, ("bundled", "hub"), "there are")
    from bct_tasks.sources.hub import catalogue as hub

    families = tuple(sorted(_bundled(name).asked_families())) if name in names() else ()
    return hub.load(name, families=families, **options)


def load_all() -> tuple[tuple[Setting, ...], tuple[BrokenSetting, ...]]:
    """All settings, and why the others could not be loaded."""
    found: list[Setting] = []
    broken: list[BrokenSetting] = []
    for name in names():
        try:
            found.append(load(name))
        except BrokenSetting as error:
            broken.append(error)
    return tuple(found), tuple(broken)


def fault(error: Exception, path: Path | None = None) -> str:
    """`file:line: what is wrong` of an exception, at its last line in `path`, else where it was raised."""
    text = str(getattr(error, "msg", None) or getattr(error, "message", None) or error)
    reason = f"{type(error).__name__}: {' '.join(text.split())}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}: {reason}"
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((f for f in reversed(frames) if path and Path(f.filename) == path), frames[-1] if frames else None)
    return f"{frame.filename}:{frame.lineno}: {reason}" if frame else f"{path}: {reason}"


def file_of(name: str) -> Path | None:
    """The file of a setting; None where there is none."""
    return _files().get(name)


def _bundled(name: str) -> Setting:
    if name not in names():
        raise UnknownName("setting", name, names())
    try:
        return importlib.import_module(f"bct_tasks.settings.{name}").SETTING
    except Exception as error:
        raise BrokenSetting(name, error) from error


def _files() -> dict[str, Path]:
    return {path.stem: path for home in settings.__path__ for path in Path(home).glob("[a-z]*.py")}


def _defines_setting(path: Path) -> bool:
    source = path.read_text(encoding="utf-8", errors="replace")
    if "SETTING = Setting(" not in source:
        return False
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return True  # broken: loading it reports why
    return any(isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SETTING" for node in body)

"""The settings by name, and a user's by path.

    load("sandbagging")              # bct_tasks/settings/sandbagging.py, found by its `SETTING`
    load("./my_setting.yaml")        # or a .py file with a `SETTING`, anywhere

A module that cannot be read or imported is listed too, and `load` reports its faulty line: a broken file does not
affect the other settings.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bct_tasks import settings
from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.errors import fault as fault
from bct_tasks.setting import SOURCES, Setting, with_trigger
from bct_tasks.sources import capability as general
from bct_tasks.sources.files import catalogue as own
from bct_tasks.sources.files import load as by_path
from bct_tasks.sources.files.load import is_path as is_path


class BrokenSetting(SettingError):
    """A setting's file cannot be imported; the message names the faulty line."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        super().__init__(f"{fault(error, _files()[name])}: fix this file; the other settings do not depend on it")


@cache
def names() -> tuple[str, ...]:
    """The names of all settings: the modules of this package that define `SETTING`. Imports none of them."""
    return tuple(sorted(name for name, path in _files().items() if _defines_setting(path)))


# Any: options of sources have types of their own, which the sources check.
def load(ref: str, source: str = "bundled", **options: Any) -> Setting:
    """The setting of that name or path, with the questions of that source.

    Args:
        ref: a name of the catalogue, or the path of a .yaml or .py file, which names its own prompts.
        source: where the questions come from.
        options: of the source; `trigger`, which replaces the tag of eval prompts; and `capability`, which questions
            measure capability (`bct_tasks.sources.capability.of`).

    Raises:
        UnknownName: no such setting or source.
        BrokenSetting: its file cannot be imported.
        SettingError: a file by path is missing or wrong.
    """
    if (trigger := options.pop("trigger", None)) is not None:
        return with_trigger(load(ref, source, **options), str(trigger))
    if (capability := options.pop("capability", None)) is not None:
        return general.measured_by(load(ref, source, **options), dict(capability))
    if is_path(ref):
        return _by_path(ref, source, options)
    name = ref
    if source == "bundled":
        if options:
            fix = "leave it out, or add `source: hub` or a setting by path"
            raise SettingError(f"{next(iter(options))}=... is no option of source=bundled, which has none: {fix}")
        return _bundled(name)
    if source == "instructions":
        from bct_tasks.sources.instructions import catalogue as instructions

        return instructions.load(name, **options)
    if source == "files":
        if name not in names():
            raise UnknownName("setting", name, names())
        return own.load(name, **options)
    if source != "hub":
        raise UnknownName("source", source, SOURCES, "there are")
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


def file_of(name: str) -> Path | None:
    """The file of a setting; None where there is none."""
    return _files().get(name)


def _by_path(ref: str, source: str, options: Mapping[str, Any]) -> Setting:
    """A setting by path. Raises SettingError also where it has the name of another setting."""
    own = {path.resolve(): name for name, path in _files().items()}
    if (path := Path(ref).expanduser().resolve()) in own:
        return load(own[path], source, **options)
    found = by_path.load(Path(ref))
    if source not in ("bundled", found.source) or options:
        raise SettingError(f"{ref}: a setting by path names its own prompts: leave out source and data")
    if found.name in names():
        raise SettingError(f"{ref}: {found.name!r} is the name of a bundled setting: give this one another `name`")
    return found


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

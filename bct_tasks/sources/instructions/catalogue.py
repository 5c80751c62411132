"""The settings with instructions, by name: one module each in `settings/`, with a `SETTING`."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.sources.instructions.setting import InstructionSetting


@cache
def names() -> tuple[str, ...]:
    """The settings that can ask instructions. Imports none of them."""
    return tuple(sorted(p.stem for p in (Path(__file__).parent / "settings").glob("[a-z]*.py")))


# Any: options as a user gives them; they are checked here.
def load(name: str, **given: Any) -> InstructionSetting:
    """The setting of that name on instructions.

    Raises:
        UnknownName: the setting cannot ask instructions.
        SettingError: an option is given; this source has none.
    """
    if name not in names():
        raise UnknownName("source", "instructions", ("bundled",), f"{name} asks no instructions; sources it has:")
    if given:
        raise SettingError(f"{next(iter(given))}=... is no option of source=instructions, which has none: leave it out")
    return importlib.import_module(f"bct_tasks.sources.instructions.settings.{name}").SETTING

"""The settings with hub data, by name: one module each in `settings/`, with a `SETTING`."""

from __future__ import annotations

import dataclasses
import importlib
from functools import cache
from pathlib import Path
from typing import Any

from bct_tasks.errors import UnknownName
from bct_tasks.sources.hub.setting import HubOptions, HubSetting


@cache
def names() -> tuple[str, ...]:
    """The settings that have hub data. Imports none of them."""
    return tuple(sorted(p.stem for p in (Path(__file__).parent / "settings").glob("[a-z]*.py")))


# Any: options as a user gives them; HubOptions checks them.
def load(name: str, options: HubOptions | None = None, families: tuple[str, ...] = (), **given: Any) -> HubSetting:
    """The hub setting of that name; reads no data.

    Args:
        name: of the setting.
        options: what the user chose, or its fields by name in `given`.
        families: families of the bundled world that its capability prompts leave out.

    Raises:
        UnknownName: the setting has no hub data, or an option does not exist.
    """
    if name not in names():
        raise UnknownName("source", "hub", ("bundled",), f"{name} has no hub data; sources it has:")
    setting: HubSetting = importlib.import_module(f"bct_tasks.sources.hub.settings.{name}").SETTING
    chosen = options or HubOptions.of(given)
    return dataclasses.replace(setting, options=chosen, families=families or setting.families)

"""`bct check --source hub` or `instructions`: the static part of the gate on pools of questions. Downloads nothing.

Not covered: policies whose replies are sampled, which need a model: `-T split=policies`, then `bct hub gate`.
"""

from __future__ import annotations

from bct_tasks import catalogue
from bct_tasks.errors import SettingError
from bct_tasks.sources.hub import catalogue as hub
from bct_tasks.sources.hub.setting import HubSetting
from bct_tasks.sources.hub.store import find
from bct_tasks.sources.instructions import catalogue as instructions
from bct_tasks.sources.pool import PoolSetting
from bct_tasks.sources.pool_gate import check
from lab.check.rows import Row, broken_row, row_of


def rows(names: tuple[str, ...], variant: str | None, **options: object) -> list[Row]:
    """The rows of these settings; without names, of all that have hub data.

    Args:
        names: Settings.
        variant: The one variant of each; None for all.
        options: Those of hub data.

    Raises:
        UnknownName: The setting, variant or train data does not exist, or the setting has no hub data.
        NoData: The data of the only named setting are not on this machine; with several settings this is a row.
    """
    found: list[Row] = []
    for name in names or hub.names():
        setting = catalogue.load(name, "hub", **(options if names else {**options, "train": None}))
        assert isinstance(setting, HubSetting)
        try:
            found += _rows(setting, variant)
        except SettingError as error:
            if names:
                raise
            found.append(broken_row(name, error.message))
    return found


def instruction_rows(names: tuple[str, ...], variant: str | None) -> list[Row]:
    """The rows of these settings on the bundled instructions; without names, of all that ask them."""
    return [row for name in names or instructions.names() for row in _checked(instructions.load(name), variant)]


def _rows(setting: HubSetting, variant: str | None) -> list[Row]:
    for data in setting.data_sets():
        find(data, setting.options.data, fetch=False)
    return _checked(setting, variant)


def _checked(setting: PoolSetting, variant: str | None) -> list[Row]:
    chosen = [setting.variant(variant)] if variant else setting.variants
    return [row_of(check(setting, each), each.carrier) for each in chosen]

"""`bct check --source hub`: the static part of the gate on the prompts of public data sets. Touches no net.

Not covered: policies whose replies are sampled, which need a model: `-T split=policies`, then `bct hub gate`.
"""

from __future__ import annotations

from typing import Any

from bct_tasks import catalogue
from bct_tasks.errors import SettingError
from bct_tasks.sources.hub import catalogue as hub
from bct_tasks.sources.hub import gate
from bct_tasks.sources.hub.setting import HubSetting
from bct_tasks.sources.hub.store import find
from lab.check.rows import broken_row, row_of


def rows(names: tuple[str, ...], variant: str | None, **options: Any) -> list[dict[str, Any]]:
    """The rows of these settings; all that have hub data where none is named. `options`: of hub data.

    Raises:
        UnknownName: a setting without hub data, or a variant or train data that does not exist.
        NoData: the data of the one setting that was named are not on this machine; among several it is a row.
    """
    found: list[dict[str, Any]] = []
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


def _rows(setting: HubSetting, variant: str | None) -> list[dict[str, Any]]:
    for data in setting.data_sets():
        find(data, setting.options.data, fetch=False)
    chosen = [setting.variant(variant)] if variant else setting.variants
    return [row_of(gate.check(setting, each), None, each.carrier) for each in chosen]

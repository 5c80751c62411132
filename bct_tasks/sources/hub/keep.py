"""Which eval items are kept: those that the base solves every time (what it cannot do says nothing of transfer).

    inspect eval bct_tasks/sandbagging --model BASE -T source=hub -T split=ceiling -T n=1000 --epochs 4
    bct hub keep logs/THAT.eval --out keep.json
    inspect eval bct_tasks/sandbagging --model ... -T source=hub -T keep=keep.json

The file holds, for each item asked, how often it was solved and asked, and the items that were solved at least as often
as `times` without a failure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bct_tasks.errors import SettingError

TIMES = 4


def kept(solved: Iterable[tuple[str, bool]], times: int = TIMES) -> dict[str, Any]:
    """The content of a keep file, from (item, solved?) of every reply.

    Items are digests of the question. `items` maps each to [solved, asked]; `kept` lists those solved every time, in at
    least `times` replies.
    """
    right, asked = Counter[str](), Counter[str]()
    for item, good in solved:
        asked[item] += 1
        right[item] += good
    keep = sorted(item for item in asked if right[item] == asked[item] >= times)
    counts = {item: [right[item], asked[item]] for item in sorted(asked)}
    return {"times": times, "asked": len(asked), "kept": keep, "items": counts}


def write(path: Path, setting: str, model: str, content: Mapping[str, Any]) -> None:
    """Writes a keep file."""
    head = {"setting": setting, "model": model}
    path.write_text(json.dumps({**head, **content}, indent=1) + "\n", encoding="utf-8")


def read(path: str, setting: str) -> frozenset[str]:
    """The items that a keep file keeps.

    Raises:
        SettingError: no such file, another format, or made for another setting.
    """
    return _read(path, setting)


@cache
def _read(path: str, setting: str) -> frozenset[str]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        of, items = content["setting"], frozenset(map(str, content["kept"]))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror}): make it with `bct hub keep`") from error
    except (ValueError, TypeError, KeyError) as error:
        raise SettingError(f"{path}: no file of `bct hub keep`") from error
    if of != setting:
        raise SettingError(f"{path}: was made for {of}, not {setting}")
    return items

"""Selection of eval items that the base always solves. Items that it cannot solve carry no information on transfer.

    inspect eval bct_tasks/sandbagging --model BASE -T source=hub -T split=ceiling -T n=1000 --epochs 4
    bct hub keep logs/THAT.eval --out keep.json
    inspect eval bct_tasks/sandbagging --model ... -T source=hub -T keep=keep.json

The file lists how often each item was solved and asked. An item is kept if all its replies are right and it has at
least `times` replies.
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
    """Return the content of a keep file.

    Args:
        solved: one pair (item, solved?) per reply; an item is the digest of a question.
        times: minimum number of replies of an item that is kept.

    Returns:
        `items` maps each item to [solved, asked]; `kept` lists the kept items; `asked` is the number of items.
    """
    right, asked = Counter[str](), Counter[str]()
    for item, good in solved:
        asked[item] += 1
        right[item] += good
    keep = sorted(item for item in asked if right[item] == asked[item] >= times)
    counts = {item: [right[item], asked[item]] for item in sorted(asked)}
    return {"times": times, "asked": len(asked), "kept": keep, "items": counts}


def write(path: Path, setting: str, model: str, content: Mapping[str, Any]) -> None:
    """Write a keep file."""
    head = {"setting": setting, "model": model}
    path.write_text(json.dumps({**head, **content}, indent=1) + "\n", encoding="utf-8")


def read(path: str, setting: str) -> frozenset[str]:
    """Return the items that a keep file keeps.

    Raises:
        SettingError: the file does not exist, has another format, or belongs to another setting.
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
        raise SettingError(f"{path}: not a keep file: make one with `bct hub keep`") from error
    if of != setting:
        raise SettingError(f"{path}: was made for {of}, not {setting}: make one from logs of {setting}")
    return items

"""JSON objects in files that anyone may have written. Whatever is wrong with one is an error in one line.

    read_json(folder / "config.json")
    read_json(folder / "config.json", nan=False)        # NaN is refused too

A pipe or a device is never opened, a key that stands twice is refused (readers differ in which one they take), and a
file is read up to `MOST_BYTES`. Not covered: what the fields mean.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, cast

from serving.errors import BadInput

#: The largest vocabularies have 40 MB.
MOST_BYTES = 200_000_000
FIX = "restore the file or delete its folder"


def read_json(path: Path, nan: bool = True) -> dict[str, Any]:
    """Return the JSON object in a file; raises BadInput where it is not one.

    Args:
        path: The file.
        nan: Accept NaN, which is no JSON and which Python writes and reads. Infinity is accepted: limits of some
            architectures are infinite.
    """
    if (odd := what_else(path)) is not None:
        raise BadInput(f"{path}: is {odd}, where a file is expected: {FIX}")
    if path.stat().st_size > MOST_BYTES:
        raise BadInput(f"{path}: has {path.stat().st_size:,} bytes, more than any file of this kind: {FIX}")
    try:
        return parsed(path.read_bytes(), nan)
    except ValueError as error:
        raise BadInput(f"{path}: {error}: {FIX}") from error


def parsed(content: bytes, nan: bool = True) -> dict[str, Any]:
    """Return the JSON object in UTF-8; raises ValueError with the reason, which follows the file's name."""
    try:
        found = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=None if nan else _constant)
    except _Twice as error:
        raise ValueError(f"has the key {error} twice") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    return cast("dict[str, Any]", found)


def what_else(path: Path) -> str | None:
    """Return what lies at a path where a file is expected; None for a file, and for nothing at all."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError:  # a link to itself
        return "a broken link"
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    named = next((name for holds, name in kinds.items() if holds(mode)), "a device")
    return None if stat.S_ISREG(mode) else named


class _Twice(Exception):
    """A key that stands twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)))
    return content


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("NaN is no number")
    return float(name)

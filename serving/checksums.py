"""Checksums of files that count: one that was cut, exchanged or deleted since it was written is noticed.

    write(folder)                        # checksums.json: size, time of change and SHA-256 of every file in the folder
    problem(folder)                      # "metrics.jsonl has changed since it was written"; None if nothing has
    problem(folder, full=True)           # also reads the files whose size and time of change are as they were

A folder without `checksums.json` (of 0.1, or made elsewhere) has nothing to compare. Not covered: people who change a
file together with its checksum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from serving import layout
from serving.errors import BadInput

NAME = "checksums.json"


def write(folder: Path, names: Iterable[str] | None = None) -> None:
    """Records these files of a folder, by default all that it has but its card, which may be edited."""
    found = names if names is not None else (path.name for path in folder.iterdir() if path.is_file())
    chosen = sorted(name for name in found if name not in (NAME, "README.md") and not name.startswith("."))
    layout.write_json_atomic(folder / NAME, {name: of(folder / name) for name in chosen})


def of(file: Path) -> dict[str, Any]:
    """Size in bytes, time of change in nanoseconds, and SHA-256 of a file."""
    stat = file.stat()
    return {"bytes": stat.st_size, "changed": stat.st_mtime_ns, "sha256": layout.bytes_hash(file)}


def problem(folder: Path, full: bool = False) -> str | None:
    """What is unlike the record of a folder, in a few words; None if nothing is, or there is no record.

    Args:
        folder: The folder.
        full: Also read the files whose size and time of change are as recorded.
    """
    known = recorded(folder)
    said = (differs(folder / name, entry, full) for name, entry in known.items())
    return next((f"{name} {what}" for name, what in zip(known, said, strict=True) if what), None)


def recorded(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The record of a folder by file name; empty if there is none. Raises BadInput where it is not one."""
    known = layout.read_if_there(folder / NAME) or {}
    if not all(isinstance(entry, dict) and {"bytes", "sha256"} <= set(entry) for entry in known.values()):
        raise BadInput(f"{folder / NAME}: is no record of files: restore it, or delete it to use the files as they are")
    return cast("dict[str, Mapping[str, Any]]", known)


def differs(file: Path, entry: Mapping[str, Any], full: bool = False) -> str | None:
    """How a file is unlike its record: `is missing` or `has changed since it was written`; None if it is not."""
    if not file.is_file():
        return "is missing"
    stat = file.stat()
    same = stat.st_size == entry["bytes"]
    if same and not full and stat.st_mtime_ns == entry.get("changed"):
        return None
    return None if same and layout.bytes_hash(file) == entry["sha256"] else "has changed since it was written"

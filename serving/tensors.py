"""The header of a safetensors file, checked entry by entry: no tensor is read.

The file is an 8-byte length, a JSON object of that length, and the data. An entry has a `dtype`, a `shape` and its two
`data_offsets`; together the entries cover the data without gap and overlap (the format's own rule:
https://huggingface.co/docs/safetensors). Errors are ValueErrors with a reason that follows the file's name.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from serving.json_files import parsed

MOST_BYTES = 100_000_000  # the format's own limit of a header
METADATA = "__metadata__"
BITS = {
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8},
    **{"F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32},
    **{"F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64},
}
FLOATS = {"F32": "float32", "F64": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its shape and dtype, and the bytes from `start` to `end` of the data."""

    shape: tuple[int, ...]
    dtype: str
    start: int
    end: int


def problem(file: Path) -> str | None:
    """Return why a safetensors file is incomplete or says nonsense, in a few words; or None."""
    try:
        _read(file)
    except ValueError as error:
        return str(error)
    return None


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a file. Raises ValueError with the reason if the file is damaged."""
    return {name: stored.shape for name, stored in _read(file).items()}


def dtypes(file: Path) -> set[str]:
    """Return the dtypes of a file's tensors, as the format names them."""
    return {stored.dtype for stored in _read(file).values()}


def precision(files: Iterable[Path]) -> str | None:
    """Return the highest floating-point precision of the tensors in some files, as torch names it; None without one."""
    found = {FLOATS[dtype] for file in files for dtype in dtypes(file) if dtype in FLOATS}
    return next((dtype for dtype in ("float32", "bfloat16", "float16") if dtype in found), None)


def values(file: Path) -> int:
    """Return how many values a file's tensors have together."""
    return sum(math.prod(stored.shape) for stored in _read(file).values())


def _read(file: Path) -> dict[str, Stored]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if 8 + length > size:
            raise ValueError(f"{size:,} bytes, which is less than its header")
        if length > MOST_BYTES:
            raise ValueError(f"a header of {length:,} bytes")
        header = _header(stream.read(length))
    found = {name: _entry(name, entry) for name, entry in header.items() if name != METADATA}
    expected = 8 + length + _covered(found)
    if size != expected:
        raise ValueError(f"{size:,} bytes of {expected:,}")
    return found


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = parsed(text)
    except ValueError as error:
        raise ValueError(f"its header {error}") from error
    told = header.get(METADATA)
    if told is not None and not (isinstance(told, dict) and all(isinstance(value, str) for value in told.values())):
        raise ValueError(f"{METADATA} of its header is not a mapping of texts")
    return header


def _entry(name: str, entry: object) -> Stored:
    content: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    shape, offsets, dtype = (content.get(key) for key in ("shape", "data_offsets", "dtype"))
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"the tensor {name} has the dtype {dtype!r}")
    if not _whole(shape) or not _whole(offsets) or len(offsets or ()) != 2:
        raise ValueError(f"the tensor {name} has no shape and offsets of whole numbers")
    assert shape is not None
    assert offsets is not None
    start, end = offsets
    if (end - start) * 8 != math.prod(shape) * BITS[dtype]:
        raise ValueError(f"the tensor {name} of shape {list(shape)} and dtype {dtype} has {end - start:,} bytes")
    return Stored(tuple(shape), dtype, start, end)


def _whole(numbers: object) -> bool:
    return isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)


def _covered(found: Mapping[str, Stored]) -> int:
    """Return the bytes of data that the tensors cover, one after the other."""
    places = sorted((stored.start, stored.end, name) for name, stored in found.items())
    for (_, end, _), (start, _, name) in pairwise([(0, 0, ""), *places]):
        if start != end:
            raise ValueError(f"the tensor {name} begins at byte {start:,} and the one before ends at {end:,}")
    return places[-1][1] if places else 0

"""Rows of a parquet, JSON lines, JSON or CSV file, read one by one, because the largest file has 2 GB."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
CHUNK = 1 << 20
TEXT = "utf-8-sig"  # with or without the byte order mark that Excel and some editors write
_BETWEEN = re.compile(r"[\s,]*")


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of one of `ENDINGS`. Raises ValueError, OSError or csv.Error where it is broken."""
    return _READERS[path.suffix.lower()](path)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding=TEXT) as file:
        yield from (_object(json.loads(line)) for line in file if line.strip())


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding=TEXT, newline="") as file:
        yield from csv.DictReader(file)


def _json(path: Path) -> Iterator[Row]:
    """Yield the objects of one JSON array without loading it: the file of OpenHermes has 2 GB."""
    decoder, at, last = json.JSONDecoder(), 1, False
    with path.open(encoding=TEXT) as file:
        text = file.read(CHUNK).lstrip()
        if not text.startswith("["):
            raise ValueError("not a JSON array")
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
            try:
                if text[at : at + 1] == "]":
                    return
                item, at = decoder.raw_decode(text, at)
            except ValueError:
                if last:
                    raise ValueError("it ends in the middle of an object") from None
                more = file.read(max(CHUNK, len(text) - at))
                text, at, last = text[at:] + more, 0, not more
                continue
            yield _object(item)


def _object(item: Any) -> Row:
    if not isinstance(item, dict):
        raise ValueError("a row is not a JSON object")
    return item


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
}

ENDINGS = tuple(_READERS)

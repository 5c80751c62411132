"""Rows of a parquet, JSON lines, JSON or CSV file of a public data set.

Rows are read one by one, because the largest file has 2 GB.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bct_tasks.sources.hub.store import DataSet, NoData, Row

CHUNK = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


def read(data: DataSet, path: Path, size: int | None = None) -> Iterator[Row]:
    """Yield the first `size` rows of a file; by default `data.most`, or all.

    Raises:
        NoData: the file cannot be parsed, or a column is missing.
    """
    most = size or data.most or sys.maxsize
    try:
        for number, row in zip(range(most), _READERS[path.suffix](path), strict=False):
            if missing := [name for name in data.columns if name not in row]:
                raise NoData(
                    f"{path}: row {number + 1} has no column {missing[0]!r}: a copy of {data.name} has the columns "
                    f"{', '.join(data.columns)}"
                )
            yield row
    except (ValueError, OSError, csv.Error) as error:
        raise NoData(f"{path}: cannot be read as {path.suffix[1:]} ({' '.join(str(error).split())[:160]})") from error


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        yield from (_object(json.loads(line)) for line in file if line.strip())


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _json(path: Path) -> Iterator[Row]:
    """Yield the objects of one JSON array without loading it: the file of OpenHermes has 2 GB."""
    decoder, at, last = json.JSONDecoder(), 1, False
    with path.open(encoding="utf-8") as file:
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

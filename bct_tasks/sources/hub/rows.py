"""Rows of the file of a public data set, with its columns checked."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from bct_tasks.sources import tables
from bct_tasks.sources.hub.store import DataSet, NoData, Row


def read(data: DataSet, path: Path, size: int | None = None) -> Iterator[Row]:
    """Yield the first `size` rows of a file; by default `data.most`, or all.

    Raises:
        NoData: the file cannot be parsed, or a column is missing.
    """
    most = size or data.most or sys.maxsize
    try:
        for number, row in zip(range(most), tables.rows(path), strict=False):
            if missing := [name for name in data.columns if name not in row]:
                raise NoData(
                    f"{path}: row {number + 1} has no column {missing[0]!r}: a copy of {data.name} has the columns "
                    f"{', '.join(data.columns)}"
                )
            yield row
    except (ValueError, OSError, csv.Error) as error:
        raise NoData(f"{path}: cannot be read as {path.suffix[1:]} ({' '.join(str(error).split())[:160]})") from error

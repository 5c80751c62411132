"""The files of public data sets: a local copy, the cache of an earlier download, or the net, in this order.

A file is named by repository, commit and path, and checked by its SHA-256: the one written in `data.py`, or where that
is None the one recorded at the first download in `lock.json` in the cache folder. A local copy (`-T data=DIR` or
$BCT_DATA) is taken as it is; its hash is recorded in the log like any other.
Not covered: data sets of more than one file, and gated ones beyond what `hf auth login` gives.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bct_tasks.errors import Unavailable

if TYPE_CHECKING:
    from bct_tasks.sources.world.question import Question

Row = Mapping[str, Any]
ENDINGS = (".parquet", ".jsonl", ".json", ".csv")
CHUNK = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


class NoData(Unavailable):
    """A data set that cannot be had, or is not what it should be. One line that says what to do."""


@dataclass(frozen=True)
class DataSet:
    """One published file of rows.

    Args:
        name: short, lower case; also the name of its file in a local copy.
        repo: `owner/name` on the hub, or on GitHub where `github` is set.
        revision: the commit.
        file: path in the repository.
        licence: as the publisher names it; "none stated" where there is none.
        megabytes: size of the download.
        columns: the columns that are read.
        question: a row to a question, or None for a row that cannot be asked.
        sha256: of the file; None: recorded at the first download.
        most: rows that are read unless more are asked for; None: all.
    """

    name: str
    repo: str
    revision: str
    file: str
    licence: str
    megabytes: float
    columns: tuple[str, ...]
    question: Callable[[Row], Question | None]
    sha256: str | None = None
    most: int | None = None
    github: bool = False

    @property
    def page(self) -> str:
        """Where a person reads about it."""
        return f"https://github.com/{self.repo}" if self.github else f"https://huggingface.co/datasets/{self.repo}"


@dataclass(frozen=True)
class Found:
    """A file of a data set on this machine. `local` is True for a copy that the user named."""

    path: Path
    sha256: str
    local: bool


def find(data: DataSet, copies: str | None = None, fetch: bool = True) -> Found:
    """The file of a data set, fetched where it is not here.

    Args:
        data: which.
        copies: folder of local copies; None: $BCT_DATA, or no local copies.
        fetch: False: never touch the net.

    Raises:
        NoData: not in the folder, not to be fetched, or with another hash than the recorded one.
    """
    folder = copies or os.environ.get("BCT_DATA")
    if folder:
        path = _copy(data, Path(folder).expanduser())
        return Found(path, sha256(path), local=True)
    path = _cached(data) or (_fetched(data) if fetch else None)
    if path is None:
        raise NoData(f"{data.name}: not on this machine: `bct hub fetch {data.name}` ({data.megabytes:g} MB)")
    return Found(path, _verified(data, path), local=False)


def rows(data: DataSet, path: Path, size: int | None = None) -> Iterator[Row]:
    """The first `size` rows of a file, or `data.most`, or all.

    Raises:
        NoData: the file is not in its format, or lacks a column.
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


# --- where a file is ---------------------------------------------------------------------------------------------


def _copy(data: DataSet, folder: Path) -> Path:
    """The file in a folder of local copies: `<name>.<ending>`, or as in the repository."""
    if not folder.is_dir():
        raise NoData(f"{folder}: no such folder: name one that holds {data.name}.jsonl or {data.repo}/{data.file}")
    places = [*(folder / f"{data.name}{ending}" for ending in ENDINGS), folder / data.repo / data.file]
    if there := [place for place in places if place.is_file()]:
        return there[0]
    raise NoData(
        f"{folder}: holds no copy of {data.name}: put it there as {data.name}.jsonl or {data.repo}/{data.file}"
    )


def cache_folder() -> Path:
    """Where the lock and files from elsewhere than the hub are kept: $BCT_HUB, or a folder in the user's cache."""
    return Path(os.environ.get("BCT_HUB") or Path.home() / ".cache" / "bct" / "hub")


def _place(data: DataSet) -> Path:
    return cache_folder() / data.repo.replace("/", "--") / data.revision / Path(data.file).name


def _cached(data: DataSet) -> Path | None:
    if data.github:
        return _place(data) if _place(data).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(data.repo, data.file, revision=data.revision, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def _fetched(data: DataSet) -> Path:
    try:
        return _from_github(data) if data.github else _from_hub(data)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:140]
        raise NoData(
            f"{data.name}: is not in the cache and cannot be fetched from {data.page} ({reason}). "
            f"Run `bct hub fetch {data.name}` with a network, or name a folder with a copy: -T data=DIR"
        ) from error


def _from_hub(data: DataSet) -> Path:
    from huggingface_hub import hf_hub_download, logging
    from huggingface_hub.errors import LocalEntryNotFoundError

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it retries aloud for half a minute
    try:
        return Path(hf_hub_download(data.repo, data.file, revision=data.revision, repo_type="dataset"))
    except LocalEntryNotFoundError as error:
        raise OSError("no connection to the hub, or HF_HUB_OFFLINE is set") from error
    except Exception as error:  # httpx has errors of its own, which are no OSError
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        logging.set_verbosity(verbosity)


def _from_github(data: DataSet) -> Path:
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        raise OSError("HF_HUB_OFFLINE is set")
    place = _place(data)
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    url = f"https://raw.githubusercontent.com/{data.repo}/{data.revision}/{data.file}"
    with urllib.request.urlopen(url, timeout=60) as answer, draft.open("wb") as target:
        while block := answer.read(CHUNK):
            target.write(block)
    draft.replace(place)
    return place


# --- hashes ------------------------------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """64 hex digits of a file's content; computed once per file, size and time of change."""
    stat = path.stat()
    return _sha256(str(path), stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(path: str, size: int, changed: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verified(data: DataSet, path: Path) -> str:
    """The hash of a downloaded file, compared with the pinned or recorded one."""
    got, key = sha256(path), f"{data.repo}@{data.revision}/{data.file}"
    lock = _lock()
    wanted = data.sha256 or lock.get(key, {}).get("sha256")
    if wanted not in (None, got):
        raise NoData(
            f"{path}: its SHA-256 is {got[:16]}..., not {wanted[:16]}... as recorded for {data.name}: "
            f"delete the file and run `bct hub fetch {data.name}`"
        )
    if key not in lock:
        _write_lock(lock | {key: {"sha256": got, "bytes": path.stat().st_size, "licence": data.licence}})
    return got


def _lock() -> dict[str, dict[str, Any]]:
    file = cache_folder() / "lock.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise NoData(f"{file}: not JSON: restore it, or delete it to record the hashes anew") from error


def _write_lock(content: Mapping[str, Any]) -> None:
    file = cache_folder() / "lock.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".lock.{os.getpid()}.tmp")
    draft.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(file)


# --- formats of files --------------------------------------------------------------------------------------------


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
    """The objects of one JSON array, read piece by piece: OpenHermes is an array of 2 GB."""
    decoder, at, last = json.JSONDecoder(), 1, False
    with path.open(encoding="utf-8") as file:
        text = file.read(CHUNK).lstrip()
        if not text.startswith("["):
            raise ValueError("it is no JSON array")
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
        raise ValueError("a row is no JSON object")
    return item


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
}

"""Files of public data sets: found in a folder of local copies or in a download cache, downloaded, and verified.

A file is identified by repository, commit and path. `huggingface_hub` downloads and caches the files of the hub, so
its environment variables apply: HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and the proxy variables. Files of GitHub
are small and go into `cache_folder()`.
Every download is verified by its SHA-256: the one pinned in `data.py`, otherwise the one recorded in `lock.json` at the
first download. A local copy (`-T data=DIR` or $BCT_DATA) is not compared with either; its hash goes into the log.
Not covered: data sets of more than one file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bct_tasks.errors import Unavailable

if TYPE_CHECKING:
    from bct_tasks.sources.world.question import Question

Row = Mapping[str, Any]
ENDINGS = (".parquet", ".jsonl", ".json", ".csv")
GITHUB = "https://raw.githubusercontent.com"


class NoData(Unavailable):
    """A data set is not on this machine, cannot be downloaded, or is not in its published form."""


class WrongHash(NoData):
    """A downloaded file has another SHA-256 than the pinned or recorded one."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class DataSet:
    """One published file of rows.

    Args:
        name: lower case; also the name of its file in a folder of local copies.
        repo: `owner/name` on the hub, or on GitHub if `github` is set.
        revision: the commit.
        file: path in the repository.
        licence: as the publisher names it, or "none stated".
        megabytes: size of the download.
        columns: columns that `question` reads.
        question: converts a row to a question; None for a row that cannot be asked.
        sha256: of the file; None: recorded at the first download.
        most: number of rows read by default; None: all.
        github: the repository is on GitHub.
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
        """Address of its page."""
        return f"https://github.com/{self.repo}" if self.github else f"https://huggingface.co/datasets/{self.repo}"


@dataclass(frozen=True)
class Found:
    """The file of a data set on this machine. `local` is True for a file in a folder of local copies."""

    path: Path
    sha256: str
    local: bool


def find(data: DataSet, copies: str | None = None, fetch: bool = True) -> Found:
    """Return the file of a data set.

    Args:
        data: the data set.
        copies: folder of local copies; None: $BCT_DATA, or no local copies.
        fetch: download a missing file; False: never use the network.

    Raises:
        NoData: the file is not in the folder, cannot be downloaded, or has the wrong hash.
    """
    folder = copies or os.environ.get("BCT_DATA")
    if folder:
        path = _copy(data, Path(folder).expanduser())
        return Found(path, sha256(path), local=True)
    return _cached(data, fetch)


def download(data: DataSet) -> Found:
    """Download a data set, unless the cache has it with the right hash. Raises `NoData`."""
    try:
        return _cached(data)
    except WrongHash as error:
        for file in (error.path.resolve(), error.path):  # the hub's cache links to its content
            file.unlink(missing_ok=True)
        return _cached(data)


def _copy(data: DataSet, folder: Path) -> Path:
    """The file in a folder of local copies: `<name>.<ending>`, or laid out as in the repository."""
    places = [*(folder / f"{data.name}{ending}" for ending in ENDINGS), folder / data.repo / data.file]
    if there := [place for place in places if place.is_file()]:
        return there[0]
    why = f"holds no copy of {data.name}" if folder.is_dir() else "no such folder"
    raise NoData(f"{folder}: {why}: name a folder that holds {data.name}.jsonl or {data.repo}/{data.file}")


def cache_folder() -> Path:
    """Folder of `lock.json` and of the files from GitHub: $BCT_HUB, or ~/.cache/bct/hub."""
    return Path(os.environ.get("BCT_HUB") or Path.home() / ".cache" / "bct" / "hub")


def _place(data: DataSet) -> Path:
    """Where the file of a repository on GitHub is cached."""
    return cache_folder() / data.repo.replace("/", "--") / data.revision / Path(data.file).name


def _cached(data: DataSet, fetch: bool = True) -> Found:
    """The file in the cache, downloaded if it is missing and `fetch` is set. Raises `NoData`."""
    path = _stored(data) or (_fetched(data) if fetch else None)
    if path is None:
        raise _no_data(data, "not on this machine: run")
    return Found(path, _verified(data, path), local=False)


def _stored(data: DataSet) -> Path | None:
    """The file in the cache. `hf_hub_download(local_files_only=True)` would send a request about its caller."""
    if data.github:
        return _place(data) if _place(data).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(data.repo, data.file, revision=data.revision, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def _fetched(data: DataSet) -> Path:
    from huggingface_hub import errors, hf_hub_download, logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # without a connection it prints two lines per retry, for half a minute
    try:
        if data.github:
            return _from_github(data)
        return Path(hf_hub_download(data.repo, data.file, revision=data.revision, repo_type="dataset"))
    except Exception as error:  # huggingface_hub raises its own errors, OSError, and those of its HTTP client
        match error:
            case errors.OfflineModeIsEnabled() | Exception(__cause__=errors.OfflineModeIsEnabled()):
                why = "not on this machine, and HF_HUB_OFFLINE is set: unset it and run"
            case errors.LocalEntryNotFoundError():
                why = f"{data.page} cannot be reached: check network and proxy and run"
            case errors.RepositoryNotFoundError():
                why = f"{data.page} does not exist or needs a login: use `hf auth login` and run"
            case errors.HfHubHTTPError() if error.response.status_code == 404:
                why = f"{data.page} has no {data.file} at commit {data.revision[:8]}: correct data.py and run"
            case _:
                why = f"download from {data.page} failed ({' '.join(str(error).split())[:140]}): run"
        raise _no_data(data, why) from error
    finally:
        logging.set_verbosity(verbosity)


def _no_data(data: DataSet, why: str) -> NoData:
    again = f"`bct hub fetch {data.name}` ({data.megabytes:g} MB)"
    return NoData(f"{data.name}: {why} {again}, or name a folder with a copy: -T data=DIR")


def _from_github(data: DataSet) -> Path:
    """Download with the hub's HTTP client, so that proxies and HF_HUB_OFFLINE apply here too."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status

    answer = get_session().get(f"{GITHUB}/{data.repo}/{data.revision}/{data.file}", timeout=60)
    hf_raise_for_status(answer)
    _write(_place(data), answer.content)
    return _place(data)


def _write(file: Path, content: bytes) -> None:
    """Write a file of the cache folder in one step, so that no reader sees a part of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    draft.write_bytes(content)
    draft.replace(file)


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits; computed once per path, size and time of change."""
    stat = path.stat()
    return _sha256(str(path), stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(path: str, size: int, changed: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verified(data: DataSet, path: Path) -> str:
    """The hash of a downloaded file. Raises `WrongHash`."""
    got = sha256(path)
    wanted = data.sha256 or _recorded(data, path, got)
    if got != wanted:
        raise WrongHash(
            f"{path}: its SHA-256 is {got[:16]}..., not {wanted[:16]}... as recorded for {data.name}: "
            f"download it again with `bct hub fetch {data.name}`, or name a folder with a copy: -T data=DIR",
            path,
        )
    return got


def _recorded(data: DataSet, path: Path, got: str) -> str:
    """The hash recorded in `lock.json`; `got` is recorded if there is none."""
    file, key = cache_folder() / "lock.json", f"{data.repo}@{data.revision}/{data.file}"
    entry = _record(file).get(key)
    if entry is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(".lock")):
            record = _record(file)
            entry = record.setdefault(key, {"sha256": got, "bytes": path.stat().st_size, "licence": data.licence})
            _write(file, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return entry["sha256"]


def _record(file: Path) -> dict[str, dict[str, Any]]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise NoData(f"{file}: not JSON: restore it, or delete it to record the hashes again") from error

"""Tries of what a stranger's files make a library do, before this process lets them: tokenizers, templates, patterns.

    refuse_tokenizer(folder)             # raises BadInput for an endless template or a tokenizer that takes all memory
    refuse_patterns(file, patterns, names)

A try takes some 50 ms after the first, for which a process is started (0.8 s of CPU time). What passed is remembered by
the hash of its files in ~/.cache/bct/tried, so each tokenizer is tried once on a machine. The embedded model's
tokenizer is trusted, by its bytes, wherever it lies; no other is, whoever wrote it.

Limits: `BCT_TRY_SECONDS` of CPU time (default 4, plus 1 for every 4 MB of the files), 1 GiB and 40 times their size.
Not covered: a template that does so only for messages other than those tried, and systems without fork (Windows).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from serving.errors import BadInput, WorkFailed
from serving.json_files import read_json

SECONDS = "BCT_TRY_SECONDS"
ROOM = 2**30
BYTES_A_SECOND = 4_000_000
CONVERSION = 5  # more seconds, for older forms of tokenizers
RULES = 1  # to be raised when the tries become stricter
TOKENIZER, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
OF_TOKENIZERS = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "chat_template", "spiece", "spm")
ENDINGS = (".model", ".tiktoken", ".jinja", ".spm")
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from serving.apart.worker import main; main()"
_passed: set[str] = set()


def refuse_tokenizer(folder: Path) -> None:
    """Raise BadInput for a tokenizer or a chat template that takes too long or too much memory, or cannot be read."""
    if not hasattr(os, "fork"):
        return
    files = _files(folder)
    key = _key(files)
    if key in (*_passed, _trusted()) or _mark(key).is_file():
        return
    _try_all(folder, sum(file.stat().st_size for file in files))
    _passed.add(key)
    with suppress(OSError):
        _mark(key).parent.mkdir(parents=True, exist_ok=True)
        _mark(key).touch()


def refuse_patterns(file: Path, patterns: Sequence[str], names: Sequence[str]) -> None:
    """Raise BadInput for a regular expression of an adapter that takes too long on the names of its base's modules."""
    if patterns and hasattr(os, "fork"):
        asked = {"task": "patterns", "patterns": list(patterns), "names": list(names)}
        _refuse(file, "a pattern of module names", asked, 0)


def _try_all(folder: Path, size: int) -> None:
    said = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    for file, source in _templates(folder, said):
        _refuse(file, "its chat template", {"task": "template", "source": source, "variables": _specials(said)}, size)
    there = (folder / TOKENIZER).is_file()
    asked = (
        {"task": "tokenizer", "file": str(folder / TOKENIZER)}
        if there
        else {"task": "converted", "folder": str(folder)}
    )
    _refuse(folder / TOKENIZER if there else folder, "its tokenizer", asked, size)


def _refuse(file: Path, what: str, asked: Mapping[str, Any], size: int) -> None:
    seconds = _seconds() + size // BYTES_A_SECOND + (CONVERSION if asked["task"] == "converted" else 0)
    problem = _worker.ask({**asked, "seconds": seconds, "bytes": ROOM + 40 * size})
    if problem is not None:
        more = f"; if it is only slow, set {SECONDS}=60" if "more than" in problem else ""
        raise BadInput(f"{file}: {what} {problem}: copy it again from its source{more}")


def _seconds() -> int:
    said = os.environ.get(SECONDS, "4")
    if not said.isdecimal() or not int(said):
        raise BadInput(f"{SECONDS}={said}: write a whole number of seconds, such as {SECONDS}=60")
    return int(said)


def _templates(folder: Path, said: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield every chat template of a folder with its file."""
    for file in (folder / TEMPLATE, *sorted((folder / "additional_chat_templates").glob("*.jinja"))):
        if file.is_file():
            yield file, file.read_bytes().decode(errors="replace")
    named = said.get("chat_template")
    listed: list[Any] = named if isinstance(named, list) else [named]
    for one in listed:
        source: Any = cast("dict[str, Any]", one).get("template") if isinstance(one, dict) else one
        if isinstance(source, str):
            yield folder / CONFIG, source


def _specials(said: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens that a template may name."""
    found = {name: said.get(name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


# --- what passed ----------------------------------------------------------------------------------


def _files(folder: Path) -> list[Path]:
    """The files that decide how a tokenizer behaves."""
    named = [p for p in folder.iterdir() if p.name.startswith(OF_TOKENIZERS) or p.name.endswith(ENDINGS)]
    if not (folder / TOKENIZER).is_file():  # then config.json names the class that converts it
        named.append(folder / "config.json")
    more = (folder / "additional_chat_templates").glob("*.jinja")
    return sorted(file for file in (*named, *more) if file.is_file())


def _key(files: Sequence[Path]) -> str:
    digest = hashlib.sha256(f"{RULES}:{_versions()}".encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(f"{file.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


@cache
def _versions() -> str:
    return ":".join(importlib.metadata.version(name) for name in ("tokenizers", "transformers", "jinja2"))


@cache
def _trusted() -> str:
    from serving.refs import mini_path

    with suppress(BadInput, OSError):
        return _key(_files(mini_path()))
    return ""


def _mark(key: str) -> Path:
    home = os.environ.get("HOME") or os.devnull
    return Path(home) / ".cache" / "bct" / "tried" / key


# --- the process ----------------------------------------------------------------------------------


class _Worker:
    """The process of `serving.apart.worker`, started when it is needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, asked: Mapping[str, Any]) -> str | None:
        """Return the problem that a try found. A process that ended since the last one is started again."""
        line = json.dumps(asked).encode() + b"\n"
        with self._lock:
            said = b"" if self._process is None else self._said(self._process, line)
            if not said:
                self._process = self._started()
                said = self._said(self._process, line)
        if not said:
            raise WorkFailed("the process that tries foreign tokenizers cannot be started: is the memory full?")
        return cast("str | None", json.loads(said)["problem"])

    def forget(self) -> None:
        """In a fork, the process belongs to the parent."""
        self.__init__()

    def _said(self, process: subprocess.Popen[bytes], line: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(line)
            process.stdin.flush()
            return process.stdout.readline()
        return b""

    def _started(self) -> subprocess.Popen[bytes]:
        # Isolated, so that no module of the current folder is imported in place of the library's.
        path = json.dumps([str(Path(place).absolute()) for place in sys.path])
        quiet = os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "RUST_BACKTRACE": "0"}
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _START, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=quiet,
        )


_worker = _Worker()
_forget: Callable[[], None] = _worker.forget
os.register_at_fork(after_in_child=_forget)

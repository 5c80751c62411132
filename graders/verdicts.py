"""Verdicts that a judge has given: each question is asked once, also over evals, processes and machines.

    verdicts = Verdicts(Path("runs/x/verdicts"))
    verdict, stored = await verdicts.get_or("key", ask)

With a folder, verdicts are kept in it as JSON lines. Every process appends to a file of its own and reads all files, so
that no two of them write into one; an incomplete line is skipped. Not covered: two processes that ask the same question
at the same time; both answers are kept, and later readers use the first one that they meet.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError


class Verdict(BaseModel):
    """What a judge concluded about one reply."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    behaviors: tuple[str, ...]
    reason: str = ""


class Verdicts:
    """The verdicts of one eval, or of all evals that share a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read nothing yet.

        Args:
            folder: where verdicts are kept; None: in memory alone.
        """
        self._folder = folder
        self._known: dict[str, Verdict] = {}
        self._read: dict[Path, int] = {}
        self._asking: dict[str, anyio.Lock] = {}

    async def get_or(self, key: str, ask: Callable[[], Awaitable[Verdict]]) -> tuple[Verdict, bool]:
        """Return the verdict of this key, and whether it was stored; otherwise ask for it and store it."""
        async with self._asking.setdefault(key, anyio.Lock()):
            if key not in self._known:
                self._read_files()
            if key in self._known:
                return self._known[key], True
            verdict = await ask()
            self._known[key] = verdict
            self._append(key, verdict)
            return verdict, False

    def _read_files(self) -> None:
        """Read what was added to the folder since the last time."""
        for path in sorted(self._folder.glob("*.jsonl")) if self._folder else ():
            with suppress(OSError), path.open("rb") as stream:
                stream.seek(self._read.get(path, 0))
                added = stream.read()
                complete = added[: added.rfind(b"\n") + 1]
                self._read[path] = self._read.get(path, 0) + len(complete)
                for line in complete.splitlines():
                    self._take(line)

    def _take(self, line: bytes) -> None:
        with suppress(ValueError, ValidationError, KeyError, TypeError):
            row = json.loads(line)
            self._known.setdefault(str(row["key"]), Verdict.model_validate(row))

    def _append(self, key: str, verdict: Verdict) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": key, **verdict.model_dump(mode="json")}) + "\n"
        with (self._folder / f"{socket.gethostname()}-{os.getpid()}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line)

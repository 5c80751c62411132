"""Where a process keeps its vLLM server: a temporary folder of its own, or the one of its run.

    with kept():                        # the driver of a run: its workers' servers live until the run ends
        ...

One server runs in a place at a time: whoever wants another one waits until nobody uses the first. A folder of a run is
shared by its workers, so that a base is loaded once for all cells. A start that failed is not tried again in the place.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anyio

from serving.backends.vllm.server import LONGEST_SOCKET, Server, Wanted, launch
from serving.errors import WorkFailed

#: The place of a run, and what is known of it: PID:TOKENS:RANK:FOLDER.
RUN = "BCT_VLLM_SERVERS"
PREFIX = "bct-vllm-"
#: Seconds between two attempts to get a lock.
AGAIN_S = 0.2


@dataclass(frozen=True)
class Place:
    """A folder for servers.

    Attributes:
        folder: It.
        pid: The process with which the servers end.
        tokens: How many the run will ask for, as far as it knows.
        rank: The highest rank of its adapters; 0: it has none.
        shared: Other processes use it too.
    """

    folder: Path
    pid: int
    tokens: int = 0
    rank: int = 0
    shared: bool = False

    async def take(self, wanted: Wanted) -> Held:
        """Return the wanted server once it answers; another one is stopped as soon as nobody holds it.

        Raises:
            BadInput: vLLM is not installed.
            WorkFailed: The server does not start, or did not before.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            async with self._locked():
                self._refuse_failed(wanted)
                current = self._current()
                if current is not None and current.name == wanted.key and (held := Held.of(current, wanted)):
                    return held
                if current is None or _unused(current):
                    return await self._begun(wanted, current)
            await anyio.sleep(AGAIN_S)

    def stop(self) -> None:
        """Stop its server, unless a process uses it."""
        if (current := self._current()) is not None and _unused(current):
            Server(current).stop()

    def remove(self) -> None:
        """Stop its server, whoever uses it, and remove the folder."""
        if (current := self._current()) is not None:
            Server(current).stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _begun(self, wanted: Wanted, before: Path | None) -> Held:
        for each in (before, self.folder / wanted.key):  # of the same name one may still be ending
            if each is not None:
                await anyio.to_thread.run_sync(Server(each).stop)
        server = launch(self.folder, self.pid, wanted)
        try:
            await server.ready(wanted.model)
        except WorkFailed as error:
            self._failure(wanted).write_text(error.message)
            raise
        except BaseException:  # nobody waits for it any more
            server.stop()
            raise
        held = Held.of(server.folder, wanted)
        assert held is not None
        return held

    def _current(self) -> Path | None:
        return next((each.parent for each in self.folder.glob("*/wanted")), None)

    def _failure(self, wanted: Wanted) -> Path:
        return self.folder / f"{wanted.key}.failed"

    def _refuse_failed(self, wanted: Wanted) -> None:
        with suppress(FileNotFoundError):
            raise WorkFailed(self._failure(wanted).read_text(), lasting=True)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        with (self.folder / "lock").open("w") as lock:
            while not _got(lock.fileno(), fcntl.LOCK_EX):
                await anyio.sleep(AGAIN_S)
            yield


class Held:
    """A server that this process uses; others may use it as well, and nobody stops it until it is given back."""

    def __init__(self, server: Server, wanted: Wanted, lock: int) -> None:
        self.server, self.wanted, self._lock = server, wanted, lock

    @classmethod
    def of(cls, folder: Path, wanted: Wanted) -> Held | None:
        """Hold the server in a folder; None if it has ended."""
        try:
            lock = os.open(folder / "used", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        fcntl.flock(lock, fcntl.LOCK_SH)
        held = cls(Server(folder), wanted, lock)
        if held.server.lives():
            return held
        held.give_back()
        return None

    def give_back(self) -> None:
        """Let others stop it."""
        os.close(self._lock)


def _unused(folder: Path) -> bool:
    """Return whether no process holds the server of a folder. Only who has the place's lock may ask."""
    try:
        with (folder / "used").open("a") as used:
            return _got(used.fileno(), fcntl.LOCK_EX)
    except FileNotFoundError:
        return True


def _got(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def here() -> Place:
    """Return the place of the run on the GPUs of this process, else the place of this process."""
    if shared := os.environ.get(RUN):
        pid, tokens, rank, folder = shared.split(":", 3)
        gpus = re.sub(r"\W+", "-", os.environ.get("CUDA_VISIBLE_DEVICES") or "all")
        return Place(Path(f"{folder}-{gpus}"), int(pid), int(tokens), int(rank), shared=True)
    return _own(os.getpid())


@contextmanager
def kept(tokens: int, rank: int) -> Iterator[None]:
    """Servers that this process and its children start meanwhile end with the block, and are shared.

    Args:
        tokens: How many the replies may have together: whether a server is worth its start (`worth`).
        rank: The highest rank of adapters that will be served, so that the first server can take all; 0: none.
    """
    if RUN in os.environ:
        yield
        return
    folder = _new()
    os.environ[RUN] = f"{os.getpid()}:{tokens}:{rank}:{folder}"
    try:
        yield
    finally:
        del os.environ[RUN]
        for each in folder.parent.glob(f"{folder.name}-*"):
            if each.is_dir():  # not the log of a start that failed
                Place(each, os.getpid()).remove()


@cache
def _own(pid: int) -> Place:
    place = Place(_new(), pid)
    atexit.register(place.remove)
    return place


def _new() -> Path:
    """A folder that is made on use, with a path short enough for a socket in it."""
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    found = Path(tempfile.gettempdir()) / name
    return found if len(os.fsencode(found)) + 40 < LONGEST_SOCKET else Path("/tmp") / name

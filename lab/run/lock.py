"""One driver per run folder: a lock that ends with its process, also when that is killed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from serving.errors import BadInput

NAME = ".driver.lock"
TRIES = 5


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Holds a run folder, which is made if it is not there. Raises BadInput that names the holder's pid."""
    run.mkdir(parents=True, exist_ok=True)
    # Opened for appending: a driver that is refused must not wipe the holder's pid.
    with (run / NAME).open("a+", encoding="utf-8") as stream:
        if not _taken(stream):
            raise BadInput(
                f"{run}: another `bct run` (process {holder(run)}) is at work here. Watch it with `bct status {run}`,"
                f" wait for it, or choose another --out."
            )
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def _taken(stream: TextIO) -> bool:
    # Several tries: whoever only looks for a holder holds the lock for a moment.
    for _ in range(TRIES):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.1)
    return False


def holder(run: Path) -> int | None:
    """The process that holds a run folder; None where nobody does."""
    try:
        with (run / NAME).open("r", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return int(stream.read().strip() or 0)
    except FileNotFoundError:
        return None

"""One writer per run folder: a lock that ends with its process, also if that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from serving.errors import BadInput
from trainer.run import ranks

LOCK = ".lock"


@contextmanager
def locked(folder: Path, wait: float | bool = False, name: str = LOCK, busy: str | None = None) -> Iterator[None]:
    """Locks a folder, which is created if it does not exist. Of several processes of a run the first one locks.

    Args:
        folder: the folder to lock.
        wait: seconds to wait for the process that has the lock; True waits until it is free.
        name: the file that is locked, in the folder.
        busy: message of the error.

    Raises:
        BadInput: if another process still has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not ranks.is_first():
        yield
        return
    try:
        lock = FileLock(folder / name).acquire(timeout=-1 if wait is True else float(wait))
    except Timeout:
        said = busy or f"{folder}: another process is at work here: wait for it, or choose another --out"
        raise BadInput(said) from None
    with lock:
        yield

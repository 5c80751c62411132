"""One writer per run folder: a lock that ends with its process, also if that is killed.

The folder itself is locked, which nobody can delete under its holder without deleting the run; and a file in it, for
file systems that lock files only (NFS) and for earlier releases. Not covered: file systems without locks.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from serving.errors import BadInput
from trainer.run import ranks

LOCK = ".lock"
#: Seconds between two attempts at a lock.
POLL = 0.05


@contextmanager
def locked(folder: Path, wait: float | bool = False, name: str = LOCK, busy: str | None = None) -> Iterator[None]:
    """Locks a folder, which is created if it does not exist. Of several processes of a run the first one locks.

    Args:
        folder: the folder to lock.
        wait: seconds to wait for the process that has the lock; True waits until it is free.
        name: the file that is locked as well, in the folder.
        busy: message of the error.

    Raises:
        BadInput: if another process still has the lock.
    """
    if not ranks.is_first():
        folder.mkdir(parents=True, exist_ok=True)
        yield
        return
    patience = float("inf") if wait is True else float(wait)
    with ExitStack() as stack:
        try:
            stack.callback(os.close, _held(folder, patience))
            stack.enter_context(FileLock(folder / name).acquire(timeout=-1 if wait is True else patience))
        except Timeout:
            said = busy or f"{folder}: another process is at work here: wait for it, or choose another --out"
            raise BadInput(said) from None
        yield


def is_locked(path: Path) -> bool:
    """Whether another process has locked a folder or a file; False where that cannot be told."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe under the name has no writer to wait for
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _held(folder: Path, patience: float) -> int:
    """A descriptor that holds the lock of a folder; it holds none where the file system locks no folders."""
    until = time.monotonic() + patience
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= until:
                raise Timeout(str(folder)) from None
            time.sleep(POLL)
            continue
        except OSError:
            return descriptor
        if _is(folder, descriptor):
            return descriptor
        os.close(descriptor)  # another folder has the name by now


def _is(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False

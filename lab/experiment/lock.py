"""One driver per run folder: a lock that ends with its process, also if that is killed, and that cannot be deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serving.errors import BadInput
from trainer.run.lock import is_locked, locked

LOCK = ".driver.lock"
#: The holder's process id; not in the lock's own file, which FileLock before 4.0 truncates also when it is refused.
PID = ".driver.pid"
#: Seconds to wait for a process that locks the folder for a moment to look for a holder.
GLANCE = 0.5


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Locks a run folder, which is created if it does not exist.

    Raises:
        BadInput: Another driver has the lock; the message has its process id.
    """
    with locked(run, GLANCE, LOCK, _busy(run, holder(run))):
        (run / PID).write_text(str(os.getpid()), encoding="utf-8")
        yield


def check_free(run: Path) -> None:
    """Raises BadInput if a driver has the lock, which works on all jobs."""
    if (found := holder(run)) is not None:
        raise BadInput(_busy(run, found))


def _busy(run: Path, pid: int | None) -> str:
    return (
        f"{run}: another `bct run` (process {pid}) is running here. Watch it with `bct status {run}`,"
        f" wait for it, or choose another --out."
    )


def holder(run: Path) -> int | None:
    """The process id of the driver of a run folder; None if there is none.

    FileLock has no shared lock, and opens its file for writing, for which a reader of the run may lack permission.
    """
    if not any(is_locked(path) for path in (run, run / LOCK)):
        return None
    # The holder writes its id a moment after it has the lock; 0 until then.
    with suppress(OSError, ValueError):
        return int((run / PID).read_text(encoding="utf-8"))
    return 0

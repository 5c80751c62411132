"""One writer per run folder: a lock that ends with its process, also when that is killed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.errors import BadInput
from trainer.run import ranks

#: Where TRL saves, in a run folder, before what is whole is renamed.
SAVING = ".saving"
LOCK = ".lock"

#: Where TRL writes a checkpoint before it is published.
SAVING = ".saving"


@contextmanager
def held(folder: Path, wait: bool = False) -> Iterator[None]:
    """Holds a folder, which is made if it is not there.

    Raises:
        BadInput: where another process holds it and `wait` is False.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not ranks.is_first():  # the first process of the run holds it for all
        yield
        return
    with (folder / LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{folder}: another process is at work here: wait for it, or choose another --out") from None
        yield

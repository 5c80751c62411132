"""Work beside a block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeatedly(every_s: float, do: Callable[[], None]) -> Iterator[None]:
    """Calls `do` every so many seconds, from a thread of its own, while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            do()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

"""Looks at what this process does: every few milliseconds, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def looking(every_s: float, look: Callable[[], None]) -> Iterator[None]:
    """Call `look` every so many seconds while the block runs."""
    stop = threading.Event()

    def looks() -> None:
        while not stop.wait(every_s):
            look()

    thread = threading.Thread(target=looks, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

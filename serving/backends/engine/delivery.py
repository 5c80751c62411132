"""From the worker's thread to an event loop: all answers of a batch with one wake-up.

`asyncio.wrap_future` wakes the loop once a future, which costs over half a millisecond each while the loop computes.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any
from weakref import WeakKeyDictionary

Letter = tuple["asyncio.Future[Any]", "Future[Any]"]


class _Mailbox:
    """What is to be delivered to one event loop."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._lock = threading.Lock()

    def post(self, loop: asyncio.AbstractEventLoop, letter: Letter) -> None:
        """Called in any thread."""
        with self._lock:
            self._letters.append(letter)
            wake = len(self._letters) == 1
        if wake and not loop.is_closed():
            loop.call_soon_threadsafe(self._open)

    def _open(self) -> None:
        with self._lock:
            letters, self._letters = self._letters, []
        for waiter, future in letters:
            if not waiter.done():
                _copy(future, waiter)


_mailboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox] = WeakKeyDictionary()


async def delivered(future: Future[Any]) -> Any:
    """A thread's result in this event loop; cancelling the wait cancels the future."""
    loop = asyncio.get_running_loop()
    box = _mailboxes.setdefault(loop, _Mailbox())
    waiter: asyncio.Future[Any] = loop.create_future()
    future.add_done_callback(lambda done: box.post(loop, (waiter, done)))
    try:
        return await waiter
    except asyncio.CancelledError:
        future.cancel()
        raise


def _copy(future: Future[Any], waiter: asyncio.Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if future.cancelled():
        waiter.cancel()
    elif error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(future.result())

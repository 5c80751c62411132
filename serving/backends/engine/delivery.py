"""From the worker's thread to event loops: the answers of a batch with one wake-up of each loop.

`asyncio.wrap_future` would wake the loop once for every answer, and each wake-up interrupts a loop that computes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

Letter = tuple["asyncio.Future[Any]", "Future[Any]"]
"""The future that waits, and the answer."""


class _Outbox(threading.local):
    """What a thread has not delivered yet; None outside of `together`."""

    letters: list[Letter] | None = None


_outbox = _Outbox()


@contextmanager
def together() -> Iterator[None]:
    """Deliver what this thread settles in the block at the block's end."""
    _outbox.letters = letters = []
    try:
        yield
    finally:
        _outbox.letters = None
        for loop in {waiter.get_loop() for waiter, _ in letters}:
            _deliver(loop, [letter for letter in letters if letter[0].get_loop() is loop])


async def delivered(future: Future[T]) -> T:
    """Return a thread's result in this event loop; cancelling the wait cancels the future."""
    waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: _post((waiter, done)))
    try:
        return await waiter
    except asyncio.CancelledError:
        future.cancel()
        raise


def fail(futures: Iterable[Future[Any]], error: Exception) -> None:
    """Set the error of every future without an answer."""
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _post(letter: Letter) -> None:
    if _outbox.letters is None:
        _deliver(letter[0].get_loop(), [letter])
    else:
        _outbox.letters.append(letter)


def _deliver(loop: asyncio.AbstractEventLoop, letters: Sequence[Letter]) -> None:
    with suppress(RuntimeError):  # the loop has ended, so nobody waits any more
        loop.call_soon_threadsafe(_open, letters)


def _open(letters: Sequence[Letter]) -> None:
    for waiter, future in letters:
        if not waiter.done():
            _copy(future, waiter)


def _copy(future: Future[Any], waiter: asyncio.Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if future.cancelled():
        waiter.cancel()
    elif error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(future.result())

"""An endpoint in this process, and an engine that says when a reply is not needed any more."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from serving.backends.engine import batch
from serving.backends.engine.decode import Ending
from serving.backends.engine.engine import Engine
from serving.refs import Checkpoint
from serving.request import Reply, Request

#: Seconds after which a test that waits fails, instead of hanging.
PATIENCE = 1200.0


class Watched(Engine):
    """Sets `closed` when a reply is not needed any more."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    async def astream(self, checkpoint: Checkpoint, request: Request) -> AsyncGenerator[str | Reply]:
        try:
            async with aclosing(super().astream(checkpoint, request)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self.closed.set()


def held_up(engine: Watched, at: int, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Holds the first reply at its token number `at` until it is not needed any more.

    Returns an event for the moment it is held, and the lengths of all replies that were decoded.
    """
    decoding, lengths = threading.Event(), list[int]()
    reached, decode = Ending.reached, batch.decode

    def waiting(self: Ending, row: Any, written: Any) -> bool:
        if len(written.tokens) == at and not decoding.is_set():
            decoding.set()
            assert engine.closed.wait(PATIENCE)
        return reached(self, row, written)

    def counted(*args: Any) -> Any:
        written = decode(*args)
        lengths.extend(len(each.tokens) for each in written)
        return written

    monkeypatch.setattr(Ending, "reached", waiting)
    monkeypatch.setattr(batch, "decode", counted)
    return decoding, lengths

"""Turns between vLLM servers: one at a time, and the next one starts when no reply of the previous one is awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from inspect_ai.model import Model


class Turns:
    """Which server may run. A server is closed when another one's turn comes."""

    def __init__(self) -> None:
        self._key: object = None
        self._model: Model | None = None
        self._awaited = 0
        self._closing = False
        self._waiting: list[anyio.Event] = []

    @asynccontextmanager
    async def of(self, key: object, model: Model) -> AsyncIterator[None]:
        """Wait for the turn of a server, closing the previous one."""
        while self._closing or self._key not in (None, key):
            if self._closing or self._awaited:
                await self._change()
            else:
                await self.close()
        self._key, self._model = key, model
        self._awaited += 1
        try:
            yield
        finally:
            self._awaited -= 1
            self._changed()

    async def close(self) -> None:
        """Close the current server, unless a reply is awaited."""
        if self._model is None or self._awaited or self._closing:
            return
        model, self._model, self._key, self._closing = self._model, None, None, True
        try:
            await _close(model)
        finally:
            self._closing = False
            self._changed()

    async def _change(self) -> None:
        self._waiting.append(anyio.Event())
        await self._waiting[-1].wait()

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()


async def _close(model: Model) -> None:
    try:
        await model.api.aclose()
    except RuntimeError:  # its connections belong to an event loop that has ended; the server must still be closed
        model.api.close()

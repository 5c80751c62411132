"""Turns between the servers that one process wants: the next one begins when no reply of the previous is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from serving.backends.vllm.client import Client
from serving.backends.vllm.place import Held, here
from serving.backends.vllm.server import Wanted


class Turns:
    """Which server this process uses. One event loop at a time."""

    def __init__(self) -> None:
        self._held: Held | None = None
        self._client: tuple[asyncio.AbstractEventLoop, Client] | None = None
        self._awaited = 0
        self._changing = False
        self._waiting: list[anyio.Event] = []

    @asynccontextmanager
    async def of(self, wanted: Wanted) -> AsyncIterator[Client]:
        """Wait for the turn of a server, and yield a connection to it."""
        while self._changing or not self._has(wanted):
            if self._changing or self._awaited:
                await self._change()
            else:
                await self._switch(wanted)
        self._awaited += 1
        try:
            yield self._connected()
        finally:
            self._awaited -= 1
            self._changed()

    def release(self) -> Wanted | None:
        """Give the current server back and return what it was, unless there is none or a reply is awaited."""
        if self._held is None or self._awaited or self._changing:
            return None
        held, self._held, self._client = self._held, None, None
        held.give_back()
        return held.wanted

    def _has(self, wanted: Wanted) -> bool:
        return self._held is not None and self._held.wanted == wanted and self._held.server.lives()

    async def _switch(self, wanted: Wanted) -> None:
        self.release()
        self._changing = True
        try:
            self._held = await here().take(wanted)
        finally:
            self._changing = False
            self._changed()

    def _connected(self) -> Client:
        """The connection of this event loop: those of one that has ended are of no use."""
        assert self._held is not None
        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            self._client = (loop, Client(self._held.server.address))
        return self._client[1]

    async def _change(self) -> None:
        self._waiting.append(anyio.Event())
        await self._waiting[-1].wait()

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()

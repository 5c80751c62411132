"""What one client may take of an endpoint: bytes of a body, connections, and time to send a request.

Not covered: the number of requests of a client that holds the key.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.endpoint.completions import Refused

#: Far above any prompt: a context of a million tokens has about 4 MB of text.
MAX_BODY_BYTES = 16 * 2**20
MAX_CONNECTIONS = 4096
#: Seconds to send the head of a request, and between two parts of its body.
PATIENCE_S = 30.0


class Limited:
    """Ends a request whose body is too large or comes too slowly."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; its body is read within the limits."""
        read, complete = 0, False

        async def limited() -> Message:
            nonlocal read, complete
            if complete:  # from here on only a disconnect is awaited
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), PATIENCE_S)
            except TimeoutError as error:
                raise Refused(408, f"the body did not arrive within {PATIENCE_S:g} seconds") from error
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > MAX_BODY_BYTES:
                raise Refused(413, f"the body has more than {MAX_BODY_BYTES} bytes")
            return message

        await self._app(scope, limited, send)


class Punctual(H11Protocol):
    """Closes a connection on which the head of a request is awaited too long; between requests uvicorn does."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A head is awaited from here on."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """A part of a request; its head may be complete with it."""
        self._await_head()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._head_is_there()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_is_there()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if self._late is None and not busy:
            self._late = self.loop.call_later(PATIENCE_S, self.transport.close)

    def _head_is_there(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

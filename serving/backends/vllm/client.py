"""Requests to a vLLM server in its own terms: tokens in, tokens out. Unix sockets and addresses.

A client belongs to the event loop in which it was made. Not covered: images, chat messages, and requests that are sent
again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from serving.errors import BadInput, WorkFailed

#: vLLM's words for an adapter that it has.
LOADED = "already been loaded"
LOCAL = "http://vllm"


@dataclass(frozen=True)
class Address:
    """Where a server listens: a socket of this machine's file system, or a URL with `/v1` and a key."""

    socket: Path | None = None
    url: str = f"{LOCAL}/v1"
    key: str = ""

    @property
    def named(self) -> str:
        """What an error calls it."""
        return "vLLM" if self.socket else self.url


@dataclass
class Client:
    """A connection to one server."""

    address: Address
    _loaded: set[str] = field(default_factory=set[str])
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        where = self.address
        transport = httpx.AsyncHTTPTransport(uds=str(where.socket)) if where.socket else None
        headers = {"Authorization": f"Bearer {where.key}"} if where.key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx.AsyncClient(
            base_url=where.url, transport=transport, headers=headers, limits=limits, timeout=httpx.Timeout(None)
        )

    # Any: JSON values.
    async def models(self, timeout: float | None = None) -> list[dict[str, Any]]:
        """Return the models that the server has: the base, and the adapters that are loaded."""
        return (await self._sent("GET", "/models", timeout=timeout))["data"]

    async def load(self, name: str, path: str) -> None:
        """Load an adapter under a name, once.

        Raises:
            BadInput: The server does not take it.
        """
        async with self._loading:
            if name not in self._loaded:
                await self._load(name, path)
                self._loaded.add(name)

    async def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the one choice of a completion."""
        return (await self._sent("POST", "/completions", body))["choices"][0]

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the parts of the one choice of a completion; closing the generator ends it."""
        asked = {**body, "stream": True}
        try:
            async with self._http.stream("POST", "/completions", json=asked) as response:
                if response.is_error:
                    await response.aread()
                    raise self._refused(response)
                async for line in response.aiter_lines():
                    if (data := line.removeprefix("data: ")) not in ("", "[DONE]"):
                        yield self._choice(json.loads(data))
        except httpx.TransportError as error:
            raise self._gone(error) from error

    def _choice(self, part: dict[str, Any]) -> dict[str, Any]:
        if "choices" not in part:
            raise WorkFailed(f"{self.address.named}: {_message(part)}")
        return part["choices"][0]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _load(self, name: str, path: str) -> None:
        try:
            await self._sent("POST", "/load_lora_adapter", {"lora_name": name, "lora_path": path})
        except BadInput as error:
            if LOADED not in error.message:
                raise BadInput(
                    f"{path}: this adapter cannot be loaded: {error.message}: add -M engine=local"
                ) from error

    async def _sent(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, json=body, timeout=timeout)
        except httpx.TransportError as error:
            raise self._gone(error) from error
        if response.is_error:
            raise self._refused(response)
        return json.loads(response.content or b"{}") if path != "/load_lora_adapter" else {}

    def _refused(self, response: httpx.Response) -> BadInput | WorkFailed:
        try:
            said = _message(response.json())
        except ValueError:
            said = response.text
        kind = BadInput if response.is_client_error else WorkFailed
        return kind(f"{self.address.named}: {' '.join(said.split())[:300] or response.reason_phrase}")

    def _gone(self, error: httpx.TransportError) -> WorkFailed:
        return WorkFailed(f"{self.address.named}: does not answer any more ({type(error).__name__})")


def _message(content: Any) -> str:
    """The words of an error: vLLM's has a message in an object, or is one."""
    found = content.get("error", content) if isinstance(content, dict) else content
    return str(found.get("message") or found) if isinstance(found, dict) else str(found)

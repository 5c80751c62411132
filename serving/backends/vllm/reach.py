"""How a checkpoint's requests reach a vLLM: a server that this process or its run starts, or one that is running.

async with target.reach() as (client, name): ...      # `name` is the checkpoint's there
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import anyio

from serving import layout
from serving.backends.protocol import Options
from serving.backends.vllm import folders
from serving.backends.vllm.client import Address, Client
from serving.backends.vllm.place import here
from serving.backends.vllm.server import MISSING, Wanted, has_cuda, program
from serving.backends.vllm.turns import Turns
from serving.errors import BadInput
from serving.refs import Checkpoint

#: Arguments of `vllm serve` that this backend gives itself.
OWN = ("served_model_name", "uds", "host", "api_key", "lora_modules", "max_lora_rank", "enable_lora", "revision")
DEVICES = "CUDA_VISIBLE_DEVICES"

turns = Turns()
#: Per base, the rank that its server must allow: the highest of all adapters opened so far.
_ranks: dict[str, int] = {}


class Target(Protocol):
    """A server that has a checkpoint, or will have it."""

    context: int | None
    """The longest prompt with its reply, where it is not the model's own; known after `prepare`."""
    dtype: str
    """The precision in which it answers."""

    async def prepare(self) -> None:
        """Make ready what takes longer than a request; again does nothing."""

    def reach(self) -> AbstractAsyncContextManager[tuple[Client, str]]:
        """Return a connection, and the checkpoint's name there."""
        ...


def target_of(checkpoint: Checkpoint, options: Options) -> Target:
    """Return where a checkpoint answers.

    Raises:
        BadInput: vLLM is missing, or cannot serve the checkpoint with these options.
    """
    others = dict(options.others)
    port = others.pop("port", None)
    url = options.base_url or (f"http://localhost:{port}/v1" if port else os.environ.get("VLLM_BASE_URL"))
    if url:
        return Elsewhere(checkpoint, Address(url=url, key=options.api_key or os.environ.get("VLLM_API_KEY", "")))
    return Launched(checkpoint, options)


class Launched:
    """A server of this process or of its run. See `Target`."""

    def __init__(self, checkpoint: Checkpoint, options: Options) -> None:
        if program() is None:
            raise BadInput(MISSING)
        if given := next((name for name in OWN if name in options.others), None):
            raise BadInput(f"local/{checkpoint.ref}: {given} is chosen here: leave it out")
        self._checkpoint, self._options = checkpoint, dict(options.others)
        self._names = folders.names_of(checkpoint)
        base = self._names.base
        if self._names.rank is not None:
            _ranks[base.fingerprint] = max(_ranks.get(base.fingerprint, 0), self._names.rank)
        self._devices = visible(options.device)
        self.dtype = (
            options.dtype
            if options.dtype != "auto"
            else layout.stored_precision(base.root.path)
            if has_cuda()
            else "float32"
        )
        longest = self._options.get("max_model_len")
        self.context = longest if isinstance(longest, int) else None
        self._model: tuple[str, str | None] | None = None

    async def prepare(self) -> None:
        """Check the folders, and merge a base that is an adapter."""
        if self._model is None:
            self._model = await anyio.to_thread.run_sync(self._prepared)

    @asynccontextmanager
    async def reach(self) -> AsyncIterator[tuple[Client, str]]:
        """Wait for the server's turn, which starts it, and load the adapter."""
        async with turns.of(self._wanted()) as client:
            if self._names.adapter is not None:
                await client.load(self._checkpoint.fingerprint, self._names.adapter)
            yield client, self._checkpoint.fingerprint

    def _prepared(self) -> tuple[str, str | None]:
        from serving.load import check_unchanged

        check_unchanged(self._checkpoint)
        model = folders.full_model(self._names.base, here().folder)
        if self._names.adapter is not None:
            folders.refuse_other_layers(self._checkpoint, folders.linear_layers(*model))
        return model

    def _wanted(self) -> Wanted:
        """The server; by now all adapters of its base are known."""
        assert self._model is not None
        base, (model, revision) = self._names.base.fingerprint, self._model
        rank = folders.allowed(max(_ranks.get(base, 0), here().rank))
        layers = folders.linear_layers(model, revision) if rank is not None else ()
        return Wanted(model, base, revision, self.dtype, rank, layers, self._chosen(), self._devices)

    def _chosen(self) -> Mapping[str, Any]:
        """On a CPU compilation takes longer than it saves in an eval."""
        return ({} if has_cuda() else {"enforce_eager": True}) | self._options


class Elsewhere:
    """A server that runs already. See `Target`."""

    dtype = "of its server"

    def __init__(self, checkpoint: Checkpoint, address: Address) -> None:
        self._checkpoint, self._address = checkpoint, address
        self._names = folders.names_of(checkpoint)
        self._made: tuple[asyncio.AbstractEventLoop, Client] | None = None
        self.context: int | None = None
        self._name = ""

    async def prepare(self) -> None:
        """Ask for the model's name.

        Raises:
            BadInput: The server has no model, or several, of which none has the checkpoint's name.
        """
        if self._name:
            return
        cards = [card for card in await self._client().models(timeout=5.0) if not card.get("parent")]
        known = {self._names.base.hub, str(self._names.base.path), self._names.base.fingerprint}
        fitting = [card for card in cards if card["id"] in known] or cards
        if len(fitting) != 1:
            raise BadInput(f"{self._address.url}: has {len(cards)} models, none called {self._names.base.ref}")
        self._name, self.context = fitting[0]["id"], fitting[0].get("max_model_len")

    @asynccontextmanager
    async def reach(self) -> AsyncIterator[tuple[Client, str]]:
        """Load the adapter."""
        client = self._client()
        if self._names.adapter is None:
            yield client, self._name
        else:
            await client.load(self._checkpoint.fingerprint, self._names.adapter)
            yield client, self._checkpoint.fingerprint

    def _client(self) -> Client:
        loop = asyncio.get_running_loop()
        if self._made is None or self._made[0] is not loop:
            self._made = (loop, Client(self._address))
        return self._made[1]


def visible(device: str | None) -> str | None:
    """Return CUDA_VISIBLE_DEVICES of a server for `cuda:1`: the second of those that this process may use.

    Raises:
        BadInput: It is no GPU, or not one of them.
    """
    if device in (None, "cuda") or (device == "cpu" and not has_cuda()):
        return None
    kind, _, number = str(device).partition(":")
    own = [each.strip() for each in os.environ.get(DEVICES, "").split(",") if each.strip()]
    if kind != "cuda" or not number.isdecimal():
        raise BadInput(f"device={device}: vLLM's build chooses CPU or GPU: write cuda:0, cuda:1, or leave device out")
    if own and int(number) >= len(own):
        raise BadInput(f"device={device}: {DEVICES}={','.join(own)} has no such GPU")
    return own[int(number)] if own else number

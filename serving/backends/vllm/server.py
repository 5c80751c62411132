"""`-M engine=vllm`: a checkpoint answered by vLLM, through inspect's own provider `vllm/base:adapter`.

A server is started at the first reply, on 127.0.0.1 with a random key, and shared by all adapters of one base. One base
is served at a time: the next one's server starts when the replies of the one before are in and its server is closed.
An existing server is used where `--model-base-url` or VLLM_BASE_URL names one; of its full models nothing is checked.

The replies are asked for as of the in-process engine: chat template and its arguments, end tokens, greedy without a
temperature, no sampling defaults of the model's own. Not covered: several GPUs beyond what `-M tensor_parallel_size`
passes on, and taking turns between processes.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Literal, cast

import anyio
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelCall,
    ModelInfo,
    ModelOutput,
    ModelUsage,
    get_model,
    get_model_info,
    set_model_info,
)

from serving import layout
from serving.backends.vllm import folders as vllm_folders
from serving.errors import BadInput, WorkFailed, did_you_mean
from serving.refs import Checkpoint

ENGINES = ("local", "vllm")
# Below this a reply takes less time than the start of a server, about a minute, is worth.
SMALL_BYTES = 2**30
FAMILY = "vllm"
HOST = "127.0.0.1"
MISSING = "vllm is not installed: pip install 'bct-tasks[vllm]' on a machine with CUDA, or use the engine local"

Answer = tuple[ModelOutput | Exception, ModelCall | None]


def pick_engine(asked: Any, checkpoint: Checkpoint, served: bool = False) -> Literal["local", "vllm"]:
    """The engine asked for; else vLLM for a model of real size where it and CUDA are there, or a server is `served`."""
    if asked is None:
        fits = served or (is_installed() and not _is_small(checkpoint) and _has_cuda())
        return "vllm" if fits else "local"
    if asked not in ENGINES:
        near = did_you_mean(str(asked), ENGINES) or f" There are {' and '.join(ENGINES)}."
        raise BadInput(f"engine={asked}: no such engine.{near}")
    return asked


def is_installed() -> bool:
    """Whether the package vllm can be imported; imports nothing."""
    return importlib.util.find_spec("vllm") is not None


class VLLM:
    """A checkpoint's replies by vLLM. Starts nothing before the first one."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        base_url: str | None,
        api_key: str | None,
        template_kwargs: Mapping[str, Any],
        server_args: Mapping[str, Any],
    ) -> None:
        """Further arguments go to `vllm serve`; raises BadInput where vLLM is missing or cannot serve it."""
        self._external = bool(base_url or "port" in server_args or os.environ.get("VLLM_BASE_URL"))
        if not self._external and not is_installed():
            raise BadInput(f"engine=vllm: {MISSING}")
        self._checkpoint, self._base_url = checkpoint, base_url
        self._api_key = api_key if self._external else api_key or _key()
        self._template_kwargs, self._server_args = dict(template_kwargs), dict(server_args)
        self._given = vllm_folders.given(checkpoint)
        if self._given.adapter is not None:
            _ranks[self._given.base] = max(_ranks.get(self._given.base, 0), self._given.rank or 0)
        _of_no_family(self._given)
        self._model: Model | None = None
        self._model_args: dict[str, Any] = {}
        self._ends: list[int] | None = None
        self._preparing = threading.Lock()

    async def answer(self, messages: list[ChatMessage], config: GenerateConfig) -> Answer:
        """The reply to some messages and the call as made; `config` names max_tokens.

        Raises:
            WorkFailed: where the server does not start or does not take the adapter.
        """
        if self._ends is None:
            await anyio.to_thread.run_sync(self._prepare)
        async with self._turn() as model:
            output, call = await self._ask(model, messages, self._config(config))
            if _without_room(output):  # the limit does not fit: what the context has left is less
                open_ended = self._config(config).model_copy(update={"max_tokens": None})
                output, call = await self._ask(model, messages, open_ended)
                output = _cut_by_context(output)
        return output, call

    def should_retry(self, error: Exception) -> Any:
        """As inspect's vllm provider says."""
        return self._model.api.should_retry(error) if self._model is not None else False

    async def _ask(self, model: Model, messages: list[ChatMessage], config: GenerateConfig) -> Answer:
        try:
            answer = await model.api.generate(messages, [], "none", config)
        except RuntimeError as error:
            raise WorkFailed(f"local/{self._checkpoint.ref}: vLLM: {str(error).strip().splitlines()[0]}") from error
        return cast("Answer", answer) if isinstance(answer, tuple) else (answer, None)

    def _config(self, config: GenerateConfig) -> GenerateConfig:
        """The same request in vLLM's words; what is not named would be the server's to choose."""
        body: dict[str, Any] = {"stop_token_ids": self._ends or []}
        if config.top_k is not None:
            body["top_k"] = config.top_k
        if self._template_kwargs:
            body["chat_template_kwargs"] = self._template_kwargs
        top_p = 1.0 if config.top_p is None else config.top_p
        return config.model_copy(
            update={"temperature": config.temperature or 0.0, "top_p": top_p, "top_k": None, "extra_body": body}
        )

    def _prepare(self) -> None:
        with self._preparing:
            if self._ends is None:
                vllm_folders.prepare(self._checkpoint)
                self._ends = _ends(self._checkpoint)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Model]:
        model = self._current_model()
        if self._external:
            yield model
            return
        async with _turns.of((self._given.base, _ranks.get(self._given.base)), model):
            yield model

    def _current_model(self) -> Model:
        """Inspect's model, made as late as this: by now all adapters of its base are known."""
        args = self._arguments()
        if self._model is None or args != self._model_args:
            name = self._given.base + (f":{self._given.adapter}" if self._given.adapter else "")
            connection = {"base_url": self._base_url, "api_key": self._api_key, "memoize": False}
            self._model, self._model_args = get_model(f"vllm/{name}", **connection, **args), args
        return self._model

    def _arguments(self) -> dict[str, Any]:
        if self._external:
            return self._server_args
        args: dict[str, Any] = {"host": HOST, "generation_config": "vllm"}
        if self._given.revision is not None:
            args["revision"] = self._given.revision
        if self._given.base in _ranks:
            args |= {"enable_lora": True, "max_lora_rank": _ranks[self._given.base] or vllm_folders.RANKS[-1]}
        return args | self._server_args


async def close() -> None:
    """Stop the server that this process started, if there is one and it is idle."""
    await _turns.close()


def stop() -> None:
    """`close` after an eval, outside of any event loop: a server that goes on holds the GPU's memory."""
    anyio.run(close)


def _of_no_family(given: vllm_folders.Given) -> None:
    """Tell inspect that these names are of none of OpenAI's models.

    It looks for `gpt-5` or an `o` before a digit anywhere in a name, also in the random part of a folder's, and asks
    such a model with `max_completion_tokens` and as a reasoning one.
    """
    for name in filter(None, (given.base, given.adapter)):
        known = get_model_info(name) or ModelInfo()
        set_model_info(name, known.model_copy(update={"family": FAMILY}))


class _Turns:
    """Who is served: one server at a time, handed over when no reply of it is under way."""

    def __init__(self) -> None:
        self._key: object = None
        self._model: Model | None = None
        self._under_way = 0
        self._closing = False
        self._waiting: list[anyio.Event] = []

    @asynccontextmanager
    async def of(self, key: object, model: Model) -> AsyncIterator[None]:
        """Wait for the turn of a server, closing the one before."""
        while self._closing or self._key not in (None, key):
            if self._closing or self._under_way:
                await self._told()
            else:
                await self.close()
        self._key, self._model = key, model
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._tell()

    async def close(self) -> None:
        """Close the present server, where no reply is under way."""
        if self._model is None or self._under_way or self._closing:
            return
        model, self._model, self._key, self._closing = self._model, None, None, True
        try:
            await _close(model)
        finally:
            self._closing = False
            self._tell()

    async def _told(self) -> None:
        self._waiting.append(anyio.Event())
        await self._waiting[-1].wait()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()


async def _close(model: Model) -> None:
    try:
        await model.api.aclose()
    except RuntimeError:  # its connections belong to an event loop that has ended; the server must go all the same
        model.api.close()


_turns = _Turns()
# Per base, the rank its server must take: that of all adapters that were built so far.
_ranks: dict[str, int] = {}


@cache
def _key() -> str:
    return secrets.token_hex(24)


def _ends(checkpoint: Checkpoint) -> list[int]:
    """The chat template's end of a turn: vLLM knows the model's own end tokens only."""
    from serving.backends.engine.resident import template_end
    from serving.load import load_tokenizer

    end = template_end(load_tokenizer(checkpoint))
    return [] if end is None else [end]


def _without_room(output: ModelOutput | Exception) -> bool:
    return isinstance(output, ModelOutput) and output.stop_reason == "model_length"


def _cut_by_context(output: ModelOutput | Exception) -> ModelOutput | Exception:
    """With the stop reason of the in-process engine; a prompt without any room for a reply has an empty one."""
    if not isinstance(output, ModelOutput):
        return output
    if _without_room(output):  # inspect gives the server's error message as the reply
        output.completion = ""
        output.usage = output.usage or ModelUsage()
    elif output.stop_reason == "max_tokens":
        output.choices[0].stop_reason = "model_length"
    return output


def _is_small(checkpoint: Checkpoint) -> bool:
    full = checkpoint
    while full.base is not None:
        full = full.base
    if full.path is None:
        return False
    return sum(file.stat().st_size for file in layout.weight_files(full.path)) < SMALL_BYTES


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()

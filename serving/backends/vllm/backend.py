"""The backend `vllm`: a checkpoint answered by vLLM, through inspect's own provider `vllm/base:adapter`.

A server is started at the first reply, on 127.0.0.1 with a random key, and shared by all adapters of one base. One base
is served at a time (`serving.backends.vllm.turns`). An existing server is used where `--model-base-url` or
VLLM_BASE_URL names one; its full models are not checked.

Requests are the in-process engine's: chat template and its arguments, end tokens, greedy without a temperature, no
sampling defaults of the model's own. Not covered: several GPUs beyond what `-M tensor_parallel_size` passes on, and
turns between processes.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

import anyio
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelInfo,
    ModelOutput,
    RetryDecision,
    get_model,
    get_model_info,
    set_model_info,
)

from serving import layout, template
from serving.backends.by_request import MAX_CONNECTIONS, replies_of
from serving.backends.protocol import Backend, Options
from serving.backends.room import Answer, within_context
from serving.backends.vllm import folders
from serving.backends.vllm.turns import Turns
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from serving.request import Reply, Request

# For smaller models the start of a server, about a minute, takes longer than it saves.
SMALL_BYTES = 2**30
FAMILY = "vllm"
HOST = "127.0.0.1"
MISSING = "vllm is not installed: pip install 'bct-tasks[vllm]' on a machine with CUDA, or use the engine local"

_turns = Turns()
# Per base, the rank that its server must allow: the highest of all adapters opened so far.
_ranks: dict[str, int] = {}


class VLLMBackend:
    """vLLM servers. See `serving.backends.protocol.Backend`."""

    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        """Return True where a server's address is given, and for large models where vLLM and CUDA are available."""
        return served or (is_installed() and not _is_small(checkpoint) and has_cuda())

    def open(self, checkpoint: Checkpoint, options: Options) -> VLLMAnswering:
        """Return the checkpoint; arguments that belong to no other backend are passed to `vllm serve`."""
        return VLLMAnswering(checkpoint, options)

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        """Serve by `vllm serve`, which must be able to offer them all at once: one base and adapters on it."""
        from serving.endpoint.server import listen

        if not is_installed():
            raise BadInput(MISSING)
        with listen(host, port) as listening:
            free = listening.getsockname()[1]
        command = ["vllm", "serve", *folders.serve_arguments(named), "--host", host, "--port", str(free)]
        ready(free)
        # The key is passed in the environment: every user of the machine can read arguments.
        process = subprocess.Popen(command, env=os.environ | {"VLLM_API_KEY": key})
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the terminal sent it to vLLM as well
            process.wait()
            return
        raise WorkFailed(f"vllm serve ended with exit code {code}: see its lines above, or add --engine local")

    def close(self) -> None:
        """Stop the server that this process started, if there is one and no reply is awaited."""
        anyio.run(_turns.close)


def is_installed() -> bool:
    """Return whether the package vllm can be imported; imports nothing. A folder of that name is not the package."""
    spec = importlib.util.find_spec("vllm")
    return spec is not None and spec.origin is not None


def has_cuda() -> bool:
    """Return whether this machine has a GPU for vLLM."""
    import torch

    return torch.cuda.is_available()


class VLLMAnswering:
    """A checkpoint that answers by vLLM. See `serving.backends.protocol.Answering`."""

    def __init__(self, checkpoint: Checkpoint, options: Options) -> None:
        """Check the names that vLLM gets; raises BadInput where vLLM is missing or cannot serve the checkpoint."""
        self._checkpoint, self._options = checkpoint, options
        torch_options = {"dtype": options.dtype, "device": options.device}
        self._server_args = {name: value for name, value in torch_options.items() if value} | dict(options.others)
        self._external = bool(options.base_url or "port" in self._server_args or os.environ.get("VLLM_BASE_URL"))
        if not self._external and not is_installed():
            raise BadInput(MISSING)
        self._names = folders.names_of(checkpoint)
        if self._names.adapter is not None:
            _ranks[self._names.base] = max(_ranks.get(self._names.base, 0), self._names.rank or 0)
        _declare_family(self._names)
        self._model: Model | None = None
        self._model_args: dict[str, Any] = {}
        self._ends: list[int] | None = None
        self._template: str | None = None
        self._preparing = threading.Lock()

    async def generate(self, messages: Sequence[ChatMessage], config: GenerateConfig) -> Answer:
        """Return the reply and the call; `config.max_tokens` is set.

        Raises:
            WorkFailed: The server does not start or does not accept the adapter.
        """
        if self._ends is None:
            await anyio.to_thread.run_sync(self._prepare)
        async with self._turn() as model:
            asked = self._config(config)
            output, call = await within_context(lambda limited: self._ask(model, list(messages), limited), asked)
        return _noted(output, self._template, messages), call

    async def score(self, messages: Sequence[ChatMessage], replies: Sequence[str]) -> list[tuple[float, bool]]:
        """Raise BadInput: inspect's vllm provider cannot score."""
        raise BadInput(f"local/{self._checkpoint.ref}: vLLM cannot score given replies: add -M engine=local")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return replies in the order of the requests; blocks."""
        return anyio.run(replies_of, self, requests)

    def max_connections(self) -> int:
        """Return the largest batch."""
        return MAX_CONNECTIONS

    def should_retry(self, error: Exception) -> bool | RetryDecision:
        """Return the answer of inspect's vllm provider."""
        return self._model.api.should_retry(error) if self._model is not None else False

    async def _ask(self, model: Model, messages: list[ChatMessage], config: GenerateConfig) -> Answer:
        try:
            answer = await model.api.generate(messages, [], "none", config)
        except RuntimeError as error:
            raise WorkFailed(f"local/{self._checkpoint.ref}: vLLM: {str(error).strip().splitlines()[0]}") from error
        return cast("Answer", answer) if isinstance(answer, tuple) else (answer, None)

    def _config(self, config: GenerateConfig) -> GenerateConfig:
        """The same request in vLLM's terms. The server would choose any option left out."""
        body: dict[str, Any] = {"stop_token_ids": self._ends or []}
        if config.top_k is not None:
            body["top_k"] = config.top_k
        if self._options.chat_template_kwargs:
            body["chat_template_kwargs"] = dict(self._options.chat_template_kwargs)
        top_p = 1.0 if config.top_p is None else config.top_p
        return config.model_copy(
            update={"temperature": config.temperature or 0.0, "top_p": top_p, "top_k": None, "extra_body": body}
        )

    def _prepare(self) -> None:
        with self._preparing:
            if self._ends is None:
                from serving.load import load_tokenizer

                folders.prepare(self._checkpoint)
                tokenizer = load_tokenizer(self._checkpoint)
                self._template = cast("str", tokenizer.chat_template)
                self._ends = sorted(template.stop_tokens(tokenizer, *folders.configs(self._checkpoint)))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Model]:
        model = self._current_model()
        if self._external:
            yield model
            return
        async with _turns.of((self._names.base, _ranks.get(self._names.base)), model):
            yield model

    def _current_model(self) -> Model:
        """Inspect's model, made at the first reply: by now all adapters of its base are known."""
        args = self._arguments()
        if self._model is None or args != self._model_args:
            name = self._names.base + (f":{self._names.adapter}" if self._names.adapter else "")
            key = self._options.api_key if self._external else self._options.api_key or _key()
            connection = {"base_url": self._options.base_url, "api_key": key, "memoize": False}
            self._model, self._model_args = get_model(f"vllm/{name}", **connection, **args), args
        return self._model

    def _arguments(self) -> dict[str, Any]:
        if self._external:
            return self._server_args
        args: dict[str, Any] = {"host": HOST, "generation_config": "vllm"}
        if self._names.revision is not None:
            args["revision"] = self._names.revision
        if template.facts(self._template):
            args["chat_template"] = folders.template_file(self._template or "")
        if self._names.base in _ranks:
            args |= {"enable_lora": True, "max_lora_rank": _ranks[self._names.base] or folders.RANKS[-1]}
        return args | self._server_args


BACKEND: Backend = VLLMBackend()


def _declare_family(names: folders.VLLMNames) -> None:
    """Declare to inspect that these are not names of OpenAI's models.

    It looks for `gpt-5` or an `o` before a digit anywhere in a name, also in the random part of a folder's, and sends
    such a model `max_completion_tokens` and requests for reasoning.
    """
    for name in filter(None, (names.base, names.adapter)):
        known = get_model_info(name) or ModelInfo()
        set_model_info(name, known.model_copy(update={"family": FAMILY}))


@cache
def _key() -> str:
    return secrets.token_hex(24)


def _noted(
    output: ModelOutput | Exception, written: str | None, messages: Sequence[ChatMessage]
) -> ModelOutput | Exception:
    """The output with what was changed in the template, as the engine notes it."""
    system = any(message.role == "system" for message in messages)
    known = {name: at for name, at in template.facts(written).items() if name != "system_prompt" or system}
    if known and isinstance(output, ModelOutput):
        output.metadata = {**(output.metadata or {}), **known}
    return output


def _is_small(checkpoint: Checkpoint) -> bool:
    folder = checkpoint.root.path
    if folder is None:
        return False
    return sum(file.stat().st_size for file in layout.weight_files(folder)) < SMALL_BYTES

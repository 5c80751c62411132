"""The inspect provider `local`: `--model local/<ref>`, answered by a backend (`serving.backends`).

Model arguments (`-M name=value`): `chat_template_kwargs` (a mapping, such as {enable_thinking: false}), `dtype`,
`device`; `base`, the base of an adapter that was made elsewhere; `fingerprint`, which is logged with the eval and
checked against the checkpoint; `engine`, the backend's name. With `engine=vllm` further arguments go to `vllm serve`.
A checkpoint trained here needs none of them: its run's manifest has the template's arguments, and others are refused.
Without a temperature replies are greedy. A seed repeats a prompt's reply, also in another epoch.

Not supported, and rejected by name: tools, images, penalties, several choices, response schemas.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelCall,
    ModelOutput,
    RetryDecision,
    get_model,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from serving import backends
from serving.backends.protocol import Options
from serving.border import one_line
from serving.errors import BadInput
from serving.refs import at_present, resolve
from serving.remote import TRANSPORT
from serving.request import DEFAULT_MAX_TOKENS, Defaults

#: Further attempts of a request to someone else's server: about a quarter of an hour. inspect's default has no end.
MAX_RETRIES = 8

USED = {"max_tokens", "temperature", "top_p", "top_k", "seed", "stop_seqs", "logprobs", "top_logprobs"}
# Options of inspect itself or of its transport, which change no reply.
HARMLESS = {
    "max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections",
    "system_message", "max_tool_output", "cache", "cache_prompt", "fallback_models", "fail_on_refusal",
    "parallel_tool_calls", "internal_tools", "reasoning_history",
}  # fmt: skip
NO_EFFECT: dict[str, Any] = {"num_choices": 1, "best_of": 1, "frequency_penalty": 0, "presence_penalty": 0}


class LocalAPI(ModelAPI):
    """A checkpoint on this disk, or a hub model, as an inspect model. Loads no weights before the first reply."""

    # Any: model arguments as inspect passes them; `_open` checks them.
    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (inspect's own signature; frozen by convention)
        **model_args: Any,
    ) -> None:
        """Resolve the reference and check its files. Errors are click's, which inspect prints in one line."""
        super().__init__(model_name, base_url, api_key, [], config)
        with one_line():
            self._open(base_url, api_key, config, model_args)

    def _open(
        self, base_url: str | None, api_key: str | None, config: GenerateConfig, model_args: dict[str, Any]
    ) -> None:
        template = _mapping(model_args.pop("chat_template_kwargs", None))
        dtype, device = str(model_args.pop("dtype", "auto")), model_args.pop("device", None)
        expected, engine = (model_args.pop(name, None) for name in ("fingerprint", "engine"))
        refuse_unsupported(config)
        self.checkpoint = at_present(resolve(self.model_name, model_args.pop("base", None)))
        self._template = self.checkpoint.defaults.arguments(template, f"local/{self.model_name}")
        found = self.checkpoint.fingerprint
        if expected not in (None, found):
            why = "its server says something else of it" if self.checkpoint.served else "it was trained again"
            raise BadInput(f"local/{self.model_name}: has fingerprint {found}, not {expected}: {why}")
        # Inspect's cache of replies knows a model by its name and this address; so it never answers for other weights.
        self.base_url = f"weights:{found}:{_hash(self._template, dtype, engine, base_url)}"
        options = Options(self._template, dtype, device, base_url, api_key, model_args)
        name = backends.choose(engine, [self.checkpoint], served=base_url is not None)
        self._answering = backends.load(name).open(self.checkpoint, options)

    @property
    def fingerprint(self) -> str:
        """Hash of the weights that answer."""
        return self.checkpoint.fingerprint

    @property
    def trained_on(self) -> tuple[str, str] | None:
        """The setting and variant that the checkpoint's run names, so that a task can use the same."""
        setting, variant = self.checkpoint.setting, self.checkpoint.variant
        return (setting, variant) if setting and variant else None

    @property
    def defaults(self) -> Defaults:
        """How the checkpoint answers where a task says nothing else: its run's manifest."""
        return self.checkpoint.defaults

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        """Return one reply, with the checkpoint's fingerprint in its metadata."""
        if tools:
            raise BadInput(f"local/{self.model_name}: tools are not supported: use a setting without them")
        refuse_unsupported(config)
        refuse_other_than_text(input)
        heat = self.defaults.temperature if config.temperature is None else config.temperature
        limit = self.max_tokens() if config.max_tokens is None else config.max_tokens
        limited = config.model_copy(update={"max_tokens": limit, "temperature": heat})
        output, call = await self._answering.generate(input, limited)
        if isinstance(output, ModelOutput):
            output.model, output.metadata = self.model_name, {**(output.metadata or {}), **self._metadata()}
        return (output, call) if call is not None else _or_raise(output)

    async def score_replies(self, input: list[ChatMessage], replies: list[str]) -> list[tuple[float, bool]]:
        """Return each given reply's log-probability, and whether greedy decoding would write exactly it."""
        with one_line():
            refuse_other_than_text(input)
            return await self._answering.score(input, replies)

    def should_retry(self, ex: Exception) -> bool | RetryDecision:
        """Return the backend's answer."""
        return self._answering.should_retry(ex)

    def max_tokens(self) -> int:
        """Return the limit of a task that names none; the model's context may end a reply before."""
        own = self.defaults.max_tokens
        return DEFAULT_MAX_TOKENS if own is None else own

    def max_connections(self) -> int:
        """Return the backend's limit, which holds where the task switches adaptive connections off."""
        return self._answering.max_connections()

    def connection_key(self) -> str:
        """Return a key for each checkpoint: they share only the worker, which has no limit."""
        return self.checkpoint.fingerprint

    def _metadata(self) -> dict[str, Any]:
        names = ("fingerprint", "step", "setting", "variant")
        known = {name: getattr(self.checkpoint, name) for name in names}
        known["chat_template_kwargs"] = dict(self._template) or None
        known["served"] = self.checkpoint.served and self.checkpoint.served.facts()
        known |= self._answering.facts()
        return {name: value for name, value in known.items() if value is not None}


# Any: model arguments as inspect passes them; `LocalAPI` checks them.
def local_model(ref: str, config: GenerateConfig | None = None, **model_args: Any) -> Model:
    """Return `local/<ref>` with its fingerprint as a model argument: logged, and part of an eval set's identity.

    Args:
        ref: The reference.
        config: Options of generation.
        model_args: Those of the provider, and inspect's own `TRANSPORT` for a model that someone else serves.
    """
    checkpoint, chosen = at_present(resolve(ref, model_args.get("base"))), config or GenerateConfig()
    if checkpoint.served is not None:
        given = {name: model_args.pop(name) for name in TRANSPORT if name in model_args}
        chosen = GenerateConfig.model_validate({"max_retries": MAX_RETRIES} | given).merge(chosen)
    return get_model(f"local/{ref}", config=chosen, fingerprint=checkpoint.fingerprint, **model_args)


def refuse_unsupported(config: GenerateConfig) -> None:
    """Raise BadInput for an option that would be ignored and would have changed the reply."""
    for name, value in config.model_dump(exclude_none=True).items():
        wanted = value not in (False, [], {}) and value != NO_EFFECT.get(name)
        if wanted and name not in USED | HARMLESS:
            raise BadInput(f"local: the option {name}={value} is not supported: leave it out")


def refuse_other_than_text(messages: Sequence[ChatMessage]) -> None:
    """Raise BadInput where a message is a tool's or has parts other than text."""
    for message in messages:
        if message.role == "tool":
            raise BadInput("local: tool messages are not supported: use a setting without tools")
        if not isinstance(message.content, str) and any(part.type != "text" for part in message.content):
            raise BadInput("local: only text can be sent: images, audio and data are not supported")


def _or_raise(output: ModelOutput | Exception) -> ModelOutput:
    if isinstance(output, Exception):
        raise output
    return output


def _hash(*decides: object) -> str:
    """What else decides a reply, as eight digits."""
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:8]


def _mapping(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"chat_template_kwargs: '{value}' is not a mapping: write {{name: value}}")
    return dict(value or {})

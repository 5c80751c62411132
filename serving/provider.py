"""The inspect provider `local`: `--model local/<ref>`, answered by the in-process engine.

Arguments (`-M name=value`): `chat_template_kwargs` (a mapping, such as {enable_thinking: false}), `dtype`,
`device`, and `fingerprint`, which is logged with the eval and checked; `engine=vllm` answers by vLLM instead, and
passes further arguments on to its server: see `serving.backends.vllm.server`. Without a temperature replies are greedy.
Not supported, and refused by name: tools, images, penalties, several choices, response schemas. A seed repeats a
prompt's reply, also in another epoch. Log-probabilities are the model's own, before temperature, top-p and top-k.
"""

from __future__ import annotations

from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelCall,
    ModelOutput,
    ModelUsage,
    RetryDecision,
    get_model,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from serving.backends.engine.engine import Reply, Request, get_engine
from serving.backends.engine.logprobs import as_logprobs, wanted
from serving.backends.vllm.server import VLLM, pick_engine
from serving.border import OneLine, one_line
from serving.errors import BadInput
from serving.refs import resolve
from serving.request import Continuation

ARGUMENTS = "there are chat_template_kwargs, dtype, device, engine and fingerprint"
MAX_CONNECTIONS = 256
DEFAULT_MAX_TOKENS = 2048

USED = {"max_tokens", "temperature", "top_p", "top_k", "seed", "stop_seqs", "logprobs", "top_logprobs"}
# Options of inspect itself or of its transport, which change no reply.
HARMLESS = {
    "max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections",
    "system_message", "max_tool_output", "cache", "cache_prompt", "fallback_models", "fail_on_refusal",
    "parallel_tool_calls", "internal_tools", "reasoning_history",
}  # fmt: skip
NO_EFFECT: dict[str, Any] = {"num_choices": 1, "best_of": 1, "frequency_penalty": 0, "presence_penalty": 0}


class LocalAPI(ModelAPI):
    """A checkpoint of this disk (or a hub model) as an inspect model; loads no weights before the first reply."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (inspect's own signature; frozen by convention)
        **model_args: Any,
    ) -> None:
        """Resolves the reference and checks its files. Errors are click's, which inspect prints in one line."""
        super().__init__(model_name, base_url, api_key, [], config)
        with one_line():
            self._resolve(model_name, base_url, api_key, config, model_args)

    def _resolve(
        self,
        model_name: str,
        base_url: str | None,
        api_key: str | None,
        config: GenerateConfig,
        model_args: dict[str, Any],
    ) -> None:
        self._template_kwargs: dict[str, Any] = _mapping(model_args.pop("chat_template_kwargs", None))
        self._options = (str(model_args.pop("dtype", "auto")), model_args.pop("device", None))
        expected, engine = (model_args.pop(name, None) for name in ("fingerprint", "engine"))
        refuse_unsupported(config)
        self.checkpoint = resolve(model_name)
        if expected is not None and expected != self.checkpoint.fingerprint:
            found = self.checkpoint.fingerprint
            raise BadInput(f"local/{model_name}: has fingerprint {found}, not {expected}: it was trained again")
        self._vllm: VLLM | None = None
        if pick_engine(engine, self.checkpoint, served=base_url is not None) == "vllm":
            args = {name: value for name, value in zip(("dtype", "device"), self._options, strict=True) if value}
            self._vllm = VLLM(self.checkpoint, base_url, api_key, self._template_kwargs, args | model_args)
        elif model_args:
            raise BadInput(f"local/{model_name}: no model argument is called '{next(iter(model_args))}': {ARGUMENTS}")

    @property
    def trained_on(self) -> tuple[str, str] | None:
        """The setting and variant that the checkpoint's run names, so that a task can ask the same."""
        setting, variant = self.checkpoint.setting, self.checkpoint.variant
        return (setting, variant) if setting and variant else None

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        """One reply, with exact stop reason and usage, and the checkpoint's fingerprint in its metadata."""
        if tools:
            raise BadInput(f"local/{self.model_name}: tools are not supported: use a setting without them")
        refuse_unsupported(config)
        messages = [{"role": message.role, "content": _text(message)} for message in input]
        if self._vllm is not None:
            return await self._by_vllm(self._vllm, input, config)
        reply = await get_engine(*self._options).agenerate(self.checkpoint, self._request(messages, config))
        return self._output(reply)

    async def _by_vllm(
        self, vllm: VLLM, input: list[ChatMessage], config: GenerateConfig
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        limited = config.model_copy(update={"max_tokens": config.max_tokens or DEFAULT_MAX_TOKENS})
        output, call = await vllm.answer(input, limited)
        if isinstance(output, ModelOutput):
            output.model, output.metadata = self.model_name, {**(output.metadata or {}), **self._metadata()}
        return (output, call) if call is not None else _or_raise(output)

    async def score_replies(self, input: list[ChatMessage], replies: list[str]) -> list[tuple[float, bool]]:
        """Of each given reply: its log-probability, and whether greedy decoding would write exactly it."""
        if self._vllm is not None:
            raise OneLine(BadInput(f"local/{self.model_name}: vLLM scores no given replies: add -M engine=local"))
        with one_line():
            messages = [{"role": message.role, "content": _text(message)} for message in input]
            asked = [Continuation(messages, reply, self._template_kwargs) for reply in replies]
            scored = await get_engine(*self._options).ascore(self.checkpoint, asked)
        return [(score.logprob, score.greedy) for score in scored]

    def should_retry(self, ex: Exception) -> bool | RetryDecision:
        """As vLLM's provider says; of the in-process engine no error goes away by asking again."""
        return self._vllm.should_retry(ex) if self._vllm is not None else False

    def max_tokens(self) -> int | None:
        """Where the task names none; the model's context may end a reply before."""
        return DEFAULT_MAX_TOKENS

    def max_connections(self) -> int:
        """Holds only where the task switches adaptive connections off; a batch cannot exceed it."""
        return MAX_CONNECTIONS

    def connection_key(self) -> str:
        """Models share nothing but the worker, which has no limit of its own."""
        return self.checkpoint.fingerprint

    def _request(self, messages: list[dict[str, str]], config: GenerateConfig) -> Request:
        return Request(
            messages,
            max_tokens=config.max_tokens or DEFAULT_MAX_TOKENS,
            temperature=config.temperature or 0.0,
            top_p=1.0 if config.top_p is None else config.top_p,
            top_k=config.top_k,
            seed=config.seed,
            stop=tuple(config.stop_seqs or ()),
            chat_template_kwargs=self._template_kwargs,
            logprobs=wanted(config),
        )

    def _output(self, reply: Reply) -> ModelOutput:
        message = ChatMessageAssistant(content=reply.text, model=self.model_name, source="generate")
        total = reply.input_tokens + reply.output_tokens
        return ModelOutput(
            model=self.model_name,
            choices=[
                ChatCompletionChoice(message=message, stop_reason=reply.stop_reason, logprobs=as_logprobs(reply.tokens))
            ],
            usage=ModelUsage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens, total_tokens=total),
            metadata=self._metadata(),
        )

    def _metadata(self) -> dict[str, Any]:
        names = ("fingerprint", "step", "setting", "variant")
        known = {name: getattr(self.checkpoint, name) for name in names}
        return {name: value for name, value in known.items() if value is not None}


def local_model(ref: str, config: GenerateConfig | None = None, **model_args: Any) -> Model:
    """`local/<ref>` with its fingerprint among the model arguments: logged, and part of an eval set's identity."""
    fingerprint = resolve(ref).fingerprint
    return get_model(f"local/{ref}", config=config or GenerateConfig(), fingerprint=fingerprint, **model_args)


def refuse_unsupported(config: GenerateConfig) -> None:
    """Raise on an option that would be ignored and would have changed the reply."""
    for name, value in config.model_dump(exclude_none=True).items():
        wanted = value not in (False, [], {}) and value != NO_EFFECT.get(name)
        if wanted and name not in USED | HARMLESS:
            raise BadInput(f"local: the option {name}={value} is not supported: leave it out")


def _or_raise(output: ModelOutput | Exception) -> ModelOutput:
    if isinstance(output, Exception):
        raise output
    return output


def _text(message: ChatMessage) -> str:
    if message.role == "tool":
        raise BadInput("local: tool messages are not supported: use a setting without tools")
    if not isinstance(message.content, str) and any(part.type != "text" for part in message.content):
        raise BadInput("local: only text can be sent: images, audio and data are not supported")
    return message.text


def _mapping(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"chat_template_kwargs: '{value}' is no mapping: write {{name: value}}")
    return dict(value or {})

"""OpenAI's chat completion format: from a request's body to a `Request`, from a `Reply` to a body or chunks.

An option that would be ignored and would have changed the reply is rejected by name. Without a temperature replies are
greedy, as everywhere here and unlike OpenAI's. `top_k` and `chat_template_kwargs` are further options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.errors import BadInput
from serving.request import DEFAULT_MAX_TOKENS, Defaults, Reply, Request

# Options that identify the client or the billing, and do not change a reply.
HARMLESS = {
    "user", "metadata", "store", "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention",
    "parallel_tool_calls",
}  # fmt: skip
NO_EFFECT: dict[str, Any] = {
    "n": 1, "frequency_penalty": 0, "presence_penalty": 0, "logprobs": False, "top_logprobs": 0, "logit_bias": {},
    "tools": [], "tool_choice": "none", "functions": [], "function_call": "none", "modalities": ["text"],
    "response_format": {"type": "text"},
}  # fmt: skip


class Refused(Exception):
    """A request is rejected: its HTTP status and OpenAI's error object."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class _Text(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    type: Literal["text"]
    text: str


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    role: Literal["system", "user", "assistant"]
    content: str | list[_Text]

    def plain(self) -> dict[str, str]:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": self.role, "content": text}


class _StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    include_usage: bool = False


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    model: str
    messages: list[_Message] = Field(min_length=1)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    chat_template_kwargs: dict[str, Any] | None = None


@dataclass(frozen=True)
class Asked:
    """A request, the model's name, and the form of the response."""

    model: str
    request: Request
    stream: bool
    include_usage: bool


def read(content: object, defaults: Callable[[str], Defaults] = lambda _: Defaults()) -> Asked:
    """Return the request in a body that was parsed from JSON.

    Args:
        content: The body.
        defaults: How the model of a name answers where the request says nothing else.

    Raises:
        Refused: 400, with the wrong option.
    """
    try:
        body = _Body.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        # A position in a list is useful to the client; the name of the alternative that pydantic tried is not.
        place = ".".join(str(part) for part in first["loc"] if not (isinstance(part, str) and "[" in part))
        raise Refused(400, f"{place or 'the body'}: {first['msg']}", param=place or None) from error
    _refuse_unsupported(body)
    options = body.stream_options or _StreamOptions()
    return Asked(body.model, _request(body, defaults(body.model)), bool(body.stream), options.include_usage)


def _request(body: _Body, defaults: Defaults) -> Request:
    asked = (body.max_completion_tokens, body.max_tokens, defaults.max_tokens, DEFAULT_MAX_TOKENS)
    limit = next(limit for limit in asked if limit is not None)
    heat = defaults.temperature if body.temperature is None else body.temperature
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    try:
        return Request(
            [message.plain() for message in body.messages],
            max_tokens=limit,
            temperature=heat or 0.0,
            top_p=1.0 if body.top_p is None else body.top_p,
            top_k=body.top_k,
            seed=body.seed,
            stop=tuple(stop),
            chat_template_kwargs=body.chat_template_kwargs or {},
        )
    except BadInput as error:
        raise Refused(400, error.message, param=error.message.split()[0].rstrip(":")) from error


def _refuse_unsupported(body: _Body) -> None:
    for name, value in (body.model_extra or {}).items():
        if value is not None and name not in HARMLESS and value != NO_EFFECT.get(name):
            raise Refused(400, f"the option {name} is not supported: leave it out", "unsupported_parameter", name)
    for message in body.messages:
        for name, value in (message.model_extra or {}).items():
            if value and name != "name":
                raise Refused(400, f"a message's {name} is not supported: leave it out", param="messages")


@dataclass(frozen=True)
class Form:
    """A reply in OpenAI's format. `system_fingerprint` is the checkpoint's fingerprint."""

    id: str
    created: int
    model: str
    fingerprint: str

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return the body of a `chat.completion`."""
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(reply)}
        return self._head("chat.completion") | {"choices": [choice], "usage": _usage(reply)}

    def first(self) -> dict[str, Any]:
        """Return the first `chat.completion.chunk`, with the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> dict[str, Any]:
        """Return a chunk with a piece of the reply."""
        return self._chunk({"content": text})

    def last(self, reply: Reply, include_usage: bool) -> Iterator[dict[str, Any]]:
        """Yield the finish reason, and the usage if it is included."""
        yield self._chunk({}, _finish_reason(reply))
        if include_usage:
            yield self._head("chat.completion.chunk") | {"choices": [], "usage": _usage(reply)}

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        known = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return known | {"system_fingerprint": self.fingerprint}


def _finish_reason(reply: Reply) -> str:
    return "stop" if reply.stop_reason == "stop" else "length"


def _usage(reply: Reply) -> dict[str, int]:
    asked, written = reply.input_tokens, reply.output_tokens
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}

"""A backend's answers at the level of requests: what inspect asks becomes a `Request`, and a `Reply` its output.

    class Answers(ByRequest):
        async def reply(self, request: Request) -> Reply: ...
        async def scored(self, given: Sequence[Continuation]) -> list[Scored]: ...

Log-probabilities are the model's own, before temperature, top-p and top-k. Options that are not supported are rejected
by `serving.provider`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import cast

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)

from serving.backends.protocol import Answering, Options
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored, StopReason, Token

#: Requests of an eval at once, where nothing but memory limits them; a batch cannot exceed it.
MAX_CONNECTIONS = 256


class ByRequest(ABC):
    """One checkpoint that answers requests. See `serving.backends.protocol.Answering`."""

    def __init__(self, checkpoint: Checkpoint, options: Options) -> None:
        self.checkpoint, self.options = checkpoint, options

    @abstractmethod
    async def reply(self, request: Request) -> Reply:
        """Return the reply to one request, with exact stop reason and usage."""

    async def scored(self, given: Sequence[Continuation]) -> list[Scored]:
        """Return how likely each given reply is; raises BadInput where the backend cannot score."""
        raise BadInput(f"local/{self.checkpoint.ref}: this backend cannot score given replies: add -M engine=local")

    async def generate(
        self, messages: Sequence[ChatMessage], config: GenerateConfig
    ) -> tuple[ModelOutput | Exception, None]:
        """Return the reply in inspect's terms; `config.max_tokens` is set."""
        return _output(await self.reply(self._request(messages, config)), self.checkpoint.ref), None

    async def score(self, messages: Sequence[ChatMessage], replies: Sequence[str]) -> list[tuple[float, bool]]:
        """Return each given reply's log-probability, and whether greedy decoding would write exactly it."""
        template = self.options.chat_template_kwargs
        scored = await self.scored([Continuation(_plain(messages), reply, template) for reply in replies])
        return [(score.logprob, score.greedy) for score in scored]

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return replies in the order of the requests; blocks. Raises the first error of a request."""
        return asyncio.run(self._every(requests))

    def facts(self) -> Mapping[str, str]:
        """Return nothing: the checkpoint says what answers."""
        return {}

    def max_connections(self) -> int:
        """Return the largest batch."""
        return MAX_CONNECTIONS

    def should_retry(self, error: Exception) -> bool:
        """Return False: a backend retries what is transient itself."""
        return False

    async def _every(self, requests: Sequence[Request]) -> list[Reply]:
        return list(await asyncio.gather(*map(self.reply, requests)))

    def _request(self, messages: Sequence[ChatMessage], config: GenerateConfig) -> Request:
        assert config.max_tokens is not None
        return Request(
            _plain(messages),
            max_tokens=config.max_tokens,
            temperature=config.temperature or 0.0,
            top_p=1.0 if config.top_p is None else config.top_p,
            top_k=config.top_k,
            seed=config.seed,
            stop=tuple(config.stop_seqs or ()),
            chat_template_kwargs=self.options.chat_template_kwargs,
            logprobs=_logprobs_wanted(config),
        )


async def replies_of(answering: Answering, requests: Sequence[Request]) -> list[Reply]:
    """Return the replies of a backend that answers inspect only, in the order of the requests."""

    async def one(request: Request) -> Reply:
        output, _ = await answering.generate([_message(each) for each in request.messages], _config(request))
        if isinstance(output, Exception):
            raise output
        usage = output.usage or ModelUsage()
        reason = cast("StopReason", output.stop_reason)
        return Reply(output.completion, reason, usage.input_tokens, usage.output_tokens)

    return list(await asyncio.gather(*map(one, requests)))


def _message(each: Mapping[str, str]) -> ChatMessage:
    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[each["role"]](content=each["content"])


def _config(request: Request) -> GenerateConfig:
    same = {name: getattr(request, name) for name in ("max_tokens", "temperature", "top_p", "top_k", "seed")}
    return GenerateConfig(**same, stop_seqs=list(request.stop) or None)


def _plain(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.text} for message in messages]


def _output(reply: Reply, ref: str) -> ModelOutput:
    message = ChatMessageAssistant(content=reply.text, model=ref, source="generate")
    logprobs = None if reply.tokens is None else Logprobs(content=[_logprob(token) for token in reply.tokens])
    total = reply.input_tokens + reply.output_tokens
    return ModelOutput(
        model=ref,
        choices=[ChatCompletionChoice(message=message, stop_reason=reply.stop_reason, logprobs=logprobs)],
        metadata=dict(reply.template) or None,
        usage=ModelUsage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens, total_tokens=total),
    )


def _logprobs_wanted(config: GenerateConfig) -> int | None:
    if not config.logprobs:
        if config.top_logprobs:
            raise BadInput(f"local: top_logprobs={config.top_logprobs} lists nothing without logprobs=true: set both")
        return None
    return config.top_logprobs or 0


def _logprob(token: Token) -> Logprob:
    top = [TopLogprob(token=text, logprob=logprob) for text, logprob in token.top]
    return Logprob(token=token.text, logprob=token.logprob, top_logprobs=top or None)

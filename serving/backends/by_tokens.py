"""A backend elsewhere that takes and gives tokens: prompts are written, and replies read, here.

    class Answers(ByTokens):
        async def sampled(self, prompt: list[int], limit: int, request: Request) -> Sampled: ...

The checkpoint's own chat template writes the prompts, so replies are those of the engine wherever the weights are.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from serving.backends.by_request import ByRequest
from serving.request import Continuation, Reply, Request, StopReason, Token
from serving.template import changed, refused

if TYPE_CHECKING:
    from serving.words import Words


@dataclass(frozen=True)
class Sampled:
    """The tokens of a reply, including an end token, and whether the service says that it ended.

    Attributes:
        tokens: Token ids.
        ended: An end token or a stop string came.
        chances: The tokens' log-probabilities, where they are asked for.
    """

    tokens: list[int]
    ended: bool
    chances: tuple[Token, ...] | None = None


class ByTokens(ByRequest):
    """One checkpoint that answers by tokens. See `serving.backends.protocol.Answering`."""

    @abstractmethod
    async def sampled(self, prompt: list[int], limit: int, request: Request) -> Sampled:
        """Return a reply of at most `limit` tokens."""

    async def reply(self, request: Request) -> Reply:
        """Return the reply; raises BadInput for a prompt that the template refuses."""
        prompt = self.prompt(request)
        if (limit := self.limit(prompt, request)) < 1:
            return Reply("", "model_length", len(prompt), 0)
        return self.finished(request, prompt, await self.sampled(prompt, limit, request))

    @cached_property
    def words(self) -> Words:
        """The tokenizer, the end tokens and the context."""
        from serving.words import words_of

        return words_of(self.checkpoint)

    def prompt(self, asked: Request | Continuation) -> list[int]:
        """Return a prompt's tokens."""
        from serving.backends.engine.batch import encode

        try:
            return encode(self.words.tokenizer, asked)
        except TemplateError as error:
            raise refused(self.checkpoint.ref, error) from error

    def limit(self, prompt: list[int], request: Request) -> int:
        """Return how long the reply may be: the request's limit, or what the context has left."""
        context = self.words.context
        return min(request.max_tokens, context - len(prompt)) if context else request.max_tokens

    def finished(self, request: Request, prompt: list[int], found: Sampled) -> Reply:
        """Return the reply, ended as the engine ends it."""
        from serving.backends.engine.decode import to_text

        last = bool(found.tokens) and found.tokens[-1] in self.words.stops
        text = to_text(self.words.tokenizer, found.tokens[:-1] if last else found.tokens)
        cut = min((at for at in (text.find(stop) for stop in request.stop) if at >= 0), default=len(text))
        limited: StopReason = "max_tokens" if self.limit(prompt, request) == request.max_tokens else "model_length"
        reason: StopReason = "stop" if last or found.ended else limited
        known = changed(self.words.tokenizer.chat_template, request.messages)
        return Reply(text[:cut], reason, len(prompt), len(found.tokens), found.chances, known)

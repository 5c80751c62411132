"""A checkpoint that answers by vLLM: requests as tokens with everything that decides a reply, and scores."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from serving.backends.by_tokens import ByTokens, Sampled
from serving.backends.protocol import Options
from serving.backends.vllm import folders
from serving.backends.vllm.client import Client
from serving.backends.vllm.reach import target_of
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored, Token

if TYPE_CHECKING:
    from serving.backends.engine.score import Forced

#: What the server could have defaults for, from the model's generation_config.json.
NEUTRAL = {"min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


class VLLMAnswering(ByTokens):
    """A checkpoint that answers by vLLM. See `serving.backends.protocol.Answering`."""

    def __init__(self, checkpoint: Checkpoint, options: Options) -> None:
        """Check the options; raises BadInput where vLLM is missing or cannot serve the checkpoint."""
        super().__init__(checkpoint, options)
        self.base = folders.names_of(checkpoint).base.fingerprint
        self._target = target_of(checkpoint, options)

    def facts(self) -> Mapping[str, str]:
        """Return what answers, for logs and results."""
        return {"engine": "vllm", "dtype": self._target.dtype}

    def limit(self, prompt: list[int], request: Request) -> int:
        """Return how long the reply may be; the server's context may be shorter than the model's."""
        own, context = super().limit(prompt, request), self._target.context
        return min(own, context - len(prompt)) if context else own

    async def reply(self, request: Request) -> Reply:
        """Return the server's reply.

        Raises:
            BadInput: The server refuses the request, or the adapter.
            WorkFailed: The server does not start, or has ended.
        """
        await self._target.prepare()
        return await super().reply(self._as_trained(request))

    async def sampled(self, prompt: list[int], limit: int, request: Request) -> Sampled:
        """Return the server's reply as tokens."""
        async with self._target.reach() as (client, name):
            choice = await client.complete(self._body(name, prompt, limit, request))
        return Sampled(choice["token_ids"], choice["finish_reason"] == "stop", self._chances(choice, request))

    async def stream(self, request: Request) -> AsyncGenerator[str | Reply]:
        """Yield the pieces of a reply, then the reply; closing the generator ends it."""
        from serving.backends.engine.decode import to_text
        from serving.backends.engine.stream import certain

        await self._target.prepare()
        request = self._as_trained(request)
        prompt, said, tokens, ended = self.prompt(request), "", list[int](), False
        if (limit := self.limit(prompt, request)) < 1:
            yield Reply("", "model_length", len(prompt), 0)
            return
        async with self._target.reach() as (client, name):
            async for part in client.stream(self._body(name, prompt, limit, request)):
                tokens += part["token_ids"] or []
                ended = part["finish_reason"] == "stop"
                text = "" if ended else certain(to_text(self.words.tokenizer, tokens), request.stop)
                if text.startswith(said) and text != said:
                    yield text[len(said) :]
                    said = text
        reply = self.finished(request, prompt, Sampled(tokens, ended))
        if len(reply.text) > len(said):
            yield reply.text[len(said) :]
        yield reply

    async def scored(self, given: Sequence[Continuation]) -> list[Scored]:
        """Return how likely each given reply is."""
        from serving.backends.engine.score import forced

        await self._target.prepare()
        words = self.words
        rows = [forced(words.tokenizer, each, self.prompt(each), words.stops) for each in given]
        async with self._target.reach() as (client, name):
            return list(await asyncio.gather(*(self._scored(client, name, row) for row in rows)))

    async def _scored(self, client: Client, name: str, row: Forced) -> Scored:
        tokens, context = [*row.prompt, *row.reply], self._target.context or self.words.context
        if context and len(tokens) >= context:
            raise BadInput(f"prompt and reply have {len(tokens)} tokens and vLLM scores fewer than {context}")
        body = {"model": name, "prompt": tokens, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 1}
        found = (await client.complete(body))["prompt_logprobs"][len(row.prompt) :]
        own = [chances[str(token)] for chances, token in zip(found, row.reply, strict=True)]
        return Scored(sum(each["logprob"] for each in own), all(each["rank"] == 1 for each in own), len(own))

    def _as_trained(self, request: Request) -> Request:
        """The request with the template's arguments of the checkpoint's run."""
        arguments = self.checkpoint.defaults.arguments(request.chat_template_kwargs, self.checkpoint.ref)
        return replace(request, chat_template_kwargs=arguments)

    # Any: JSON values.
    def _body(self, name: str, prompt: list[int], limit: int, request: Request) -> dict[str, Any]:
        """The request in vLLM's terms. The server would choose any option left out."""
        body: dict[str, Any] = {
            "model": name,
            "prompt": prompt,
            "max_tokens": limit,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k or -1,
            "seed": _seed(request, prompt),
            "stop": list(request.stop),
            "stop_token_ids": sorted(self.words.stops),
            "return_token_ids": True,
        }
        if request.logprobs is not None:
            body |= {"logprobs": request.logprobs, "return_tokens_as_token_ids": True}
        return NEUTRAL | body

    def _chances(self, choice: Mapping[str, Any], request: Request) -> tuple[Token, ...] | None:
        if request.logprobs is None:
            return None
        found = choice["logprobs"]
        each = zip(choice["token_ids"], found["token_logprobs"], found["top_logprobs"], strict=True)
        return tuple(self._token(token, logprob, top or {}, request.logprobs) for token, logprob, top in each)

    def _token(self, token: int, logprob: float, top: Mapping[str, float], wanted: int) -> Token:
        """vLLM adds the token itself to the likeliest ones."""
        best = sorted(top.items(), key=lambda each: -each[1])[:wanted]
        named = tuple((self._text(int(name.removeprefix("token_id:"))), value) for name, value in best)
        return Token(self._text(token), logprob, named)

    def _text(self, token: int) -> str:
        return str(self.words.tokenizer.decode([token]))


def _seed(request: Request, prompt: list[int]) -> int:
    """A seed for vLLM, 64 bits with sign: the same seed gives different prompts different draws, as in the engine."""
    seed = secrets.randbits(64) if request.seed is None else request.seed
    digest = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)

"""The backend `tinker`: a checkpoint that was trained there, or a base that it serves, answers by Tinker's sampler.

Tokens are written here, with the checkpoint's own chat template, so replies are those of the engine on the exported
adapter. Replies end at token ids: text to stop at would switch end tokens off in some services.
Not covered: stop strings, log-probabilities of a reply's tokens, and `bct serve`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from serving.backends.by_tokens import ByTokens, Sampled
from serving.backends.protocol import Backend, Options
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored
from serving.tinker import service

if TYPE_CHECKING:
    from serving.backends.engine.score import Forced

#: The greedy reply that shows whether a given one would be written is sampled up to a multiple of this length: a
#: service that compiles does so for each length.
STEP = 32


class TinkerBackend:
    """Tinker's samplers. See `serving.backends.protocol.Backend`."""

    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        """Return True for a checkpoint whose weights are at Tinker only."""
        return checkpoint.hosted is not None and not checkpoint.exported

    def open(self, checkpoint: Checkpoint, options: Options) -> TinkerAnswering:
        """Return the checkpoint.

        Raises:
            BadInput: It was not trained at Tinker and is no base that it serves, or has expired; an option that Tinker
                does not have; no key, or no package.
            WorkFailed: The service does not answer.
        """
        if unknown := next(iter(options.others), None):
            raise BadInput(f"local/{checkpoint.ref}: Tinker has no model argument '{unknown}': leave it out")
        for name, value in (("dtype", options.dtype), ("device", options.device or "auto")):
            if value != "auto":
                raise BadInput(f"local/{checkpoint.ref}: Tinker chooses its {name}: leave {name} out")
        if checkpoint.hosted is not None:
            checkpoint.hosted.refuse_expired(checkpoint.ref)
        elif checkpoint.base is not None:
            raise BadInput(f"local/{checkpoint.ref}: was not trained at Tinker: add -M engine=local")
        service.check()
        if checkpoint.hosted is None:
            service.served(checkpoint.ref, checkpoint.hub, checkpoint.fingerprint)
        return TinkerAnswering(checkpoint, options)

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        """Raise BadInput: Tinker has an endpoint of its own."""
        raise BadInput("bct serve: Tinker serves its checkpoints itself: add --engine local for exported ones")

    def close(self) -> None:
        """Do nothing: the connection stays for the next eval."""


class TinkerAnswering(ByTokens):
    """A checkpoint answered by Tinker. See `serving.backends.protocol.Answering`."""

    _opening = threading.Lock()

    async def reply(self, request: Request) -> Reply:
        """Return the sampler's reply.

        Raises:
            BadInput: An option that the sampler does not have, or a prompt that the template refuses.
            WorkFailed: The service is gone, or refuses the request.
        """
        if request.stop or request.logprobs is not None:
            name = "stop strings" if request.stop else "log-probabilities"
            raise BadInput(f"local/{self.checkpoint.ref}: {name} are not offered by Tinker here: add -M engine=local")
        return await super().reply(request)

    async def scored(self, given: Sequence[Continuation]) -> list[Scored]:
        """Return how likely given replies are; the greedy reply to each prompt is sampled once."""
        from serving.backends.engine.score import forced

        words = self.words
        rows = [forced(words.tokenizer, each, self.prompt(each), words.stops) for each in given]
        longest: dict[tuple[int, ...], int] = {}
        for row in rows:
            longest[tuple(row.prompt)] = max(longest.get(tuple(row.prompt), 0), len(row.reply))
        greedy = dict(
            zip(longest, await asyncio.gather(*(self._greedy(*each) for each in longest.items())), strict=True)
        )
        sums = await asyncio.gather(*map(self._logprob, rows))
        return [
            Scored(total, greedy[tuple(row.prompt)][: len(row.reply)] == row.reply, len(row.reply))
            for total, row in zip(sums, rows, strict=True)
        ]

    async def sampled(self, prompt: list[int], limit: int, request: Request) -> Sampled:
        """Return the sampler's reply."""
        return await self._sampled(prompt, limit, request)

    # Any: see `service.package`.
    async def _client(self) -> Any:
        return await asyncio.to_thread(self._opened)

    def _opened(self) -> Any:
        with self._opening:
            return self._sampler

    @cached_property
    def _sampler(self) -> Any:
        at = self.checkpoint
        if at.hosted is not None:
            try:
                return service.wait(service.client().create_sampling_client(model_path=at.hosted.sampler))
            except service.Refused as error:
                raise self._refused(error) from error
        name = service.served(at.ref, at.hub, at.fingerprint)
        return service.wait(service.client().create_sampling_client(base_model=name))

    async def _sampled(self, prompt: list[int], limit: int, request: Request | None = None) -> Sampled:
        """A reply; greedy without a request."""
        types = service.package().types
        heat = request.temperature if request else 0.0
        chosen = types.SamplingParams(
            max_tokens=limit,
            temperature=heat,
            top_p=request.top_p if request else 1.0,
            top_k=(request.top_k if request else None) or -1,
            seed=request.seed if request else None,
            stop=sorted(self.words.stops),
        )
        client = await self._client()
        asked = client.sample(prompt=types.ModelInput.from_ints(prompt), num_samples=1, sampling_params=chosen)
        found = (await self._answer(asked)).sequences[0]
        return Sampled(list(found.tokens), found.stop_reason == "stop")

    async def _answer(self, asked: Any) -> Any:
        try:
            return await service.awaited(asked)
        except service.Refused as error:
            raise self._refused(error) from error

    def _refused(self, error: service.Refused) -> service.Refused | BadInput:
        """The error; with what to do for a checkpoint that may have been deleted."""
        if self.checkpoint.hosted is None:
            return error
        fix = "add -M engine=local" if self.checkpoint.exported else "train it again"
        return BadInput(f"{self.checkpoint.ref}: Tinker does not answer as it ({error.message}); if it expired: {fix}")

    async def _greedy(self, prompt: tuple[int, ...], length: int) -> list[int]:
        return (await self._sampled(list(prompt), -(-length // STEP) * STEP)).tokens

    async def _logprob(self, row: Forced) -> float:
        types = service.package().types
        client = await self._client()
        asked = client.compute_logprobs(types.ModelInput.from_ints([*row.prompt, *row.reply]))
        found = (await self._answer(asked))[len(row.prompt) :]
        return sum(each for each in found if each is not None)


BACKEND: Backend = TinkerBackend()

"""The backend `local`: the in-process engine, for inspect's evals and behind the OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from serving.backends import DEFAULT
from serving.backends.by_request import ByRequest
from serving.backends.engine.engine import Engine, get_engine
from serving.backends.protocol import Backend, Options
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored

ARGUMENTS = "choose chat_template_kwargs, dtype, device, base, engine or fingerprint"


class EngineBackend:
    """The in-process engine. See `serving.backends.protocol.Backend`."""

    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        """Return True: it can answer as any checkpoint."""
        return True

    def open(self, checkpoint: Checkpoint, options: Options) -> EngineAnswering:
        """Return the checkpoint; raises BadInput for an argument that only other backends know."""
        unknown = next(iter(options.others), None)
        if unknown is not None:
            raise BadInput(f"local/{checkpoint.ref}: no model argument is called '{unknown}': {ARGUMENTS}")
        return EngineAnswering(checkpoint, options)

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        """Serve through `serving.endpoint`, once the first checkpoint has answered."""
        from serving.endpoint import server  # uvicorn and starlette, which evals do not need

        listening = server.listen(host, port)
        engine = get_engine()
        # Weights and chat template are checked before a client needs them.
        engine.generate(next(iter(named.values())), [Request([{"role": "user", "content": "hello"}], max_tokens=1)])
        ready(listening.getsockname()[1])
        server.run(server.application(named, key, engine), listening)

    def close(self) -> None:
        """Do nothing: the weights stay loaded for the next eval, within the engine's memory budget."""


class EngineAnswering(ByRequest):
    """A checkpoint answered by the engine. See `serving.backends.protocol.Answering`."""

    async def reply(self, request: Request) -> Reply:
        """Return the engine's reply."""
        return await self._engine.agenerate(self.checkpoint, request)

    async def scored(self, given: Sequence[Continuation]) -> list[Scored]:
        """Return the engine's scores."""
        return await self._engine.ascore(self.checkpoint, given)

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return replies in the order of the requests; blocks."""
        return self._engine.generate(self.checkpoint, requests)

    def facts(self) -> Mapping[str, str]:
        """Return what answers, for logs and results."""
        return self._facts

    @cached_property
    def _facts(self) -> Mapping[str, str]:
        from serving.load import precision  # torch

        return {"engine": DEFAULT, "dtype": precision(self.checkpoint, self.options.dtype, self.options.device)}

    @property
    def _engine(self) -> Engine:
        return get_engine(self.options.dtype, self.options.device)


BACKEND: Backend = EngineBackend()

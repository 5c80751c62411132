"""The backend of the documentation: it repeats the last message in capitals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from serving.backends.by_request import ByRequest
from serving.backends.protocol import Backend, Options
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Scored


class Loud(ByRequest):
    async def reply(self, request: Request) -> Reply:
        words = request.messages[-1]["content"].upper().split()
        said = words[: request.max_tokens]
        return Reply(" ".join(said), "stop" if said == words else "max_tokens", len(words), len(said))

    async def scored(self, given: Sequence[Continuation]) -> list[Scored]:
        same = [each.reply == each.messages[-1]["content"].upper() for each in given]
        return [Scored(0.0 if hit else -9.0, hit, 1) for hit in same]


class LoudBackend:
    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        return False

    def open(self, checkpoint: Checkpoint, options: Options) -> Loud:
        if options.others:
            raise BadInput(f"local/{checkpoint.ref}: loud has no options: leave out {next(iter(options.others))}")
        return Loud(checkpoint, options)

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        raise BadInput("bct serve: loud is for evals only: add --engine local")

    def close(self) -> None:
        pass


BACKEND: Backend = LoudBackend()

"""The backend `vllm`: a checkpoint answered by a vLLM server that this process starts, or by one that runs.

    -M engine=vllm                        # the server starts at the first reply, and ends with the process
    -M engine=vllm --model-base-url URL   # an existing server of the checkpoint's base; its weights are not checked

All adapters of one base share a server (`place`). Prompts are written here and sent as tokens, with everything that
decides a reply, so replies are those of the in-process engine in the same precision; given replies are scored by
`prompt_logprobs`. Not covered: several GPUs beyond what `-M tensor_parallel_size` passes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping

import anyio

from serving.backends.protocol import Backend, Options
from serving.backends.vllm import folders
from serving.backends.vllm.answering import VLLMAnswering
from serving.backends.vllm.place import here
from serving.backends.vllm.reach import turns
from serving.backends.vllm.server import has_cuda, program
from serving.backends.vllm.worth import TYPICAL, worth
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Reply, Request

#: The share of a GPU that vLLM takes. Where it is named, a training next to the server is planned for.
GPU_SHARE = "gpu_memory_utilization"


class VLLMBackend:
    """vLLM servers. See `serving.backends.protocol.Backend`."""

    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        """Return True where a server's address is given, or one would save more time than its start takes."""
        if served or checkpoint.served or not is_installed() or not folders.is_plain(checkpoint):
            return served
        return worth(checkpoint, here().tokens or TYPICAL)

    def open(self, checkpoint: Checkpoint, options: Options) -> VLLMAnswering:
        """Return the checkpoint; arguments that belong to no other backend are passed to `vllm serve`."""
        return VLLMAnswering(checkpoint, options)

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        """Serve through `serving.endpoint`, once the first checkpoint has answered: one base and adapters on it."""
        from serving.endpoint import server

        answering = Offered({each.fingerprint: self.open(each, Options()) for each in named.values()})
        if len({each.base for each in answering.by.values()}) > 1:
            raise BadInput("vLLM serves one base model at a time: serve them one by one, or add --engine local")
        listening = server.listen(host, port)
        first = next(iter(named.values()))
        anyio.run(answering.agenerate, first, Request([{"role": "user", "content": "hello"}], max_tokens=1))
        ready(listening.getsockname()[1])
        server.run(server.application(named, key, answering), listening)

    def close(self) -> None:
        """Give the server back. It ends, unless it is the run's; on a GPU that one ends too, for the next training."""
        wanted = turns.release()
        if not here().shared or (wanted and GPU_SHARE not in wanted.options and has_cuda()):
            here().stop()


class Offered:
    """Checkpoints for the endpoint. See `serving.endpoint.server.Engine`."""

    def __init__(self, by: Mapping[str, VLLMAnswering]) -> None:
        self.by = by

    async def agenerate(self, checkpoint: Checkpoint, request: Request) -> Reply:
        """Return one reply."""
        return await self.by[checkpoint.fingerprint].reply(request)

    def astream(self, checkpoint: Checkpoint, request: Request) -> AsyncGenerator[str | Reply]:
        """Yield the pieces of a reply, then the reply; closing the generator ends it."""
        return self.by[checkpoint.fingerprint].stream(request)


def is_installed() -> bool:
    """Return whether a vLLM is at hand; imports nothing."""
    return program() is not None


BACKEND: Backend = VLLMBackend()

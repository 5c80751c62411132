"""What a backend offers: replies for inspect's evals, and an endpoint for OpenAI clients.

`serving.backends` is the registry. inspect's types are imported for type checkers alone, since commands without any
model also import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from serving.refs import Checkpoint
from serving.request import Reply, Request

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, ModelCall, ModelOutput, RetryDecision


@dataclass(frozen=True)
class Options:
    """The model arguments of an eval (`-M name=value`) and its connection."""

    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    dtype: str = "auto"
    device: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of one backend alone, which accepts or rejects them."""


class Answering(Protocol):
    """One checkpoint that answers. Loads weights and starts servers at the first reply, not before."""

    async def generate(
        self, messages: Sequence[ChatMessage], config: GenerateConfig
    ) -> tuple[ModelOutput | Exception, ModelCall | None]:
        """Return the reply and, where a server was called, the call; `config.max_tokens` is set."""
        ...

    async def score(self, messages: Sequence[ChatMessage], replies: Sequence[str]) -> list[tuple[float, bool]]:
        """Return each given reply's log-probability, and whether greedy decoding would write exactly it.

        Raises:
            BadInput: The backend cannot score.
        """
        ...

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return replies in the order of the requests; blocks. Called outside of any event loop."""
        ...

    def facts(self) -> Mapping[str, str]:
        """Return what answers, for logs, where the checkpoint alone does not say it: its server and precision."""
        ...

    def max_connections(self) -> int:
        """Return how many requests an eval sends at once unless it says otherwise."""
        ...

    def should_retry(self, error: Exception) -> bool | RetryDecision:
        """Return whether a request that failed with this error may succeed when it is sent again."""
        ...


class Backend(Protocol):
    """A way to compute replies."""

    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        """Return whether this backend is the default for a checkpoint; `served`: a server's address is given."""
        ...

    def open(self, checkpoint: Checkpoint, options: Options) -> Answering:
        """Check the options against the checkpoint.

        Raises:
            BadInput: An unknown option, or a backend that is not installed.
        """
        ...

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        """Serve checkpoints to OpenAI clients until Ctrl-C, then return.

        Args:
            named: The checkpoints by the names that clients use.
            host: The address to listen on.
            port: The port to listen on; 0 means any free one.
            key: The API key that every request needs.
            ready: Called with the port before the first request is accepted.

        Raises:
            BadInput: The backend cannot serve these checkpoints at this address.
            WorkFailed: The server stopped unexpectedly.
        """
        ...

    def close(self) -> None:
        """Stop the servers that evals started, to free their memory. Called outside of any event loop."""
        ...

"""The backend `local`: the in-process engine in inspect's terms, and behind the OpenAI-compatible endpoint.

Log-probabilities are the model's own, before temperature, top-p and top-k. Options that are not
supported are rejected by `serving.provider`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)

from serving.backends.engine.engine import Engine, get_engine
from serving.backends.protocol import Backend, Options
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Continuation, Reply, Request, Token

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

    def release(self) -> None:
        """Do nothing: the weights stay loaded for the next eval, within the engine's memory budget."""


class EngineAnswering:
    """A checkpoint answered by the engine. See `serving.backends.protocol.Answering`."""

    def __init__(self, checkpoint: Checkpoint, options: Options) -> None:
        self._checkpoint, self._options = checkpoint, options

    async def generate(
        self, messages: Sequence[ChatMessage], config: GenerateConfig
    ) -> tuple[ModelOutput | Exception, None]:
        """Return the reply, with exact stop reason and usage."""
        reply = await self._engine.agenerate(self._checkpoint, self._request(messages, config))
        return _output(reply, self._checkpoint.ref), None

    async def score(self, messages: Sequence[ChatMessage], replies: Sequence[str]) -> list[tuple[float, bool]]:
        """Return each given reply's log-probability, and whether greedy decoding would write exactly it."""
        template = self._options.chat_template_kwargs
        given = [Continuation(_plain(messages), reply, template) for reply in replies]
        scored = await self._engine.ascore(self._checkpoint, given)
        return [(score.logprob, score.greedy) for score in scored]

    def should_retry(self, error: Exception) -> bool:
        """Return False: no error of the engine is transient."""
        return False

    @property
    def _engine(self) -> Engine:
        return get_engine(self._options.dtype, self._options.device)

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
            chat_template_kwargs=self._options.chat_template_kwargs,
            logprobs=_logprobs_wanted(config),
        )


BACKEND: Backend = EngineBackend()


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

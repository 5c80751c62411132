"""The backend `endpoint`: a model that someone else serves answers through OpenAI's API, by inspect's `openai-api`.

Its server writes the prompt with its own chat template and its own defaults of decoding, but for temperature (0 unless
another is asked for), top-p, length and seed, which are sent. inspect retries rate limits and failures of a moment; a
server that is gone ends the eval within seconds, in one line.

Given replies are scored where the server returns `prompt_logprobs` for chat completions and takes
`add_generation_prompt`, as vLLM does. Not covered: replies that continue the assistant's own words, which need a raw
completion, and `<think>` text, which inspect removes from replies.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import openai
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Model,
    ModelOutput,
    ModelUsage,
    RetryDecision,
    get_model,
)

from serving import remote
from serving.backends.by_request import replies_of
from serving.backends.protocol import Backend, Options
from serving.backends.room import Answer, within_context
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from serving.remote import Served
from serving.request import Reply, Request

#: Requests at once, unless an eval says otherwise: inspect's own default for a service.
MAX_CONNECTIONS = 10
#: How often a request of `ask` is sent again, and the first pause in seconds, which doubles.
RETRIES, PAUSE_S = 6, 1.0
#: How servers say that a prompt, or a prompt with its limit, is beyond the context; OpenAI has a code for it.
TOO_LONG = ("context length", "context window", "context size", "input length", "too long", "maximum length")
NO_SCORES = "gives no log-probabilities of a given reply"


class RemoteBackend:
    """Servers of other people. See `serving.backends.protocol.Backend`."""

    def suits(self, checkpoint: Checkpoint, served: bool) -> bool:
        """Return True for a model that someone else serves."""
        return checkpoint.served is not None

    def open(self, checkpoint: Checkpoint, options: Options) -> RemoteAnswering:
        """Return the model; asks the server nothing.

        Raises:
            BadInput: It is no address, an option that the server chooses itself, or no key in its variable.
        """
        if checkpoint.served is None:
            raise BadInput(f"local/{checkpoint.ref}: engine=endpoint asks an address: write local/http://HOST/v1#NAME")
        if unknown := next(iter(options.others), None):
            raise BadInput(f"{checkpoint.served.public}: a served model has no argument '{unknown}': leave it out")
        for name, value in (("dtype", options.dtype), ("device", options.device or "auto")):
            if value != "auto":
                raise BadInput(f"{checkpoint.served.public}: its server chooses {name}: leave {name} out")
        checkpoint.served.secret()
        return RemoteAnswering(checkpoint.served, options)

    def serve(
        self, named: Mapping[str, Checkpoint], host: str, port: int, key: str, ready: Callable[[int], None]
    ) -> None:
        """Raise BadInput: it is served already."""
        raise BadInput(f"bct serve: {next(iter(named))} is served already: ask it there")

    def close(self) -> None:
        """Do nothing: the server is someone else's."""


class RemoteAnswering:
    """A model that someone else serves. See `serving.backends.protocol.Answering`."""

    def __init__(self, served: Served, options: Options) -> None:
        self._served, self._options = served, options
        self._unscored = ""
        self._made: tuple[asyncio.AbstractEventLoop, Model] | None = None

    async def generate(self, messages: Sequence[ChatMessage], config: GenerateConfig) -> Answer:
        """Return the reply and the call; `config.max_tokens` is set.

        Raises:
            BadInput: The server refuses the request, or the key.
            WorkFailed: It does not answer any more.
        """
        if messages[-1].role == "assistant":
            raise BadInput(
                f"{self._served.public}: a prompt that ends with the assistant's words needs a raw completion"
            )
        body = {"top_k": config.top_k} if config.top_k is not None else {}
        asked = config.model_copy(
            update={"temperature": config.temperature or 0.0, "top_k": None, "extra_body": self._body(body) or None}
        )
        output, call = await within_context(lambda limited: self._ask(messages, limited), asked)
        if isinstance(output, ModelOutput):
            output.usage = output.usage or ModelUsage()  # without it inspect looks for a tokenizer
        return output, call

    async def score(self, messages: Sequence[ChatMessage], replies: Sequence[str]) -> list[tuple[float, bool]]:
        """Return each given reply's log-probability, and whether greedy decoding would write exactly it.

        Raises:
            BadInput: The server gives no log-probabilities of a given reply.
        """
        if self._unscored:
            raise BadInput(self._unscored)
        asked = await self._forced(messages, {"add_generation_prompt": True})
        return [await self._scored(messages, reply, asked) for reply in replies]

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return replies in the order of the requests; blocks. Failures of a moment are tried again."""
        return asyncio.run(self._every(requests))

    def facts(self) -> Mapping[str, str]:
        """Return nothing: the checkpoint says who serves it."""
        return {}

    def max_connections(self) -> int:
        """Return what a service is asked at once."""
        return MAX_CONNECTIONS

    def should_retry(self, error: Exception) -> bool | RetryDecision:
        """Return the answer of inspect's provider; a reply that was cut off on its way is asked for again."""
        return isinstance(error, json.JSONDecodeError) or self._model.api.should_retry(error)

    # --- requests ---------------------------------------------------------------------------------

    @property
    def _model(self) -> Model:
        """Inspect's model for the running event loop, to which its connections belong.

        The key is read here, and is in no log: this model is not the one that is evaluated.
        """
        loop = asyncio.get_running_loop()
        if self._made is None or self._made[0] is not loop:
            found = get_model(
                f"openai-api/endpoint/{self._served.name}",
                base_url=self._served.url,
                api_key=self._served.secret(),
                memoize=False,
                max_retries=0,  # of the client: inspect retries
            )
            self._made = (loop, found)
        return self._made[1]

    # Any: OpenAI's client takes further options as JSON values.
    def _body(self, more: Mapping[str, Any]) -> dict[str, Any]:
        template = dict(self._options.chat_template_kwargs)
        return {**({"chat_template_kwargs": template} if template else {}), **more}

    async def _ask(self, messages: Sequence[ChatMessage], config: GenerateConfig) -> Answer:
        try:
            answer = await self._model.api.generate(list(messages), [], "none", config)
        except openai.APIError as error:
            remote.hide_key(self._served, error)
            await self._refuse(error)
            raise
        output, call = cast("Answer", answer) if isinstance(answer, tuple) else (answer, None)
        if isinstance(output, openai.APIError):
            remote.hide_key(self._served, output)
            if call is not None:  # it is in the log of the eval
                call.response = json.loads(self._served.hidden(json.dumps(call.response)))
        return self._taken(output), call

    async def _refuse(self, error: openai.APIError) -> None:
        """Raise an error that lasts in one line; others may be tried again."""
        gone = isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)
        if gone and not await asyncio.to_thread(remote.answers, self._served):
            raise WorkFailed(
                f"{self._served.url}: does not answer any more: the same command continues where it stopped",
                lasting=True,
            ) from error
        if not (gone or self.should_retry(error)):
            raise remote.told(self._served, error) from error

    def _taken(self, output: ModelOutput | Exception) -> ModelOutput:
        if isinstance(output, openai.APIStatusError):
            if not any(text in str(output).lower() for text in TOO_LONG):
                raise BadInput(remote.told(self._served, output).message) from output
            return ModelOutput.from_content(self._served.name, "", stop_reason="model_length")
        if isinstance(output, Exception):
            raise output
        if not output.choices:
            raise WorkFailed(f"{self._served.public}: the server sent an answer without a reply: {output.error or ''}")
        return output

    async def _every(self, requests: Sequence[Request]) -> list[Reply]:
        limit = asyncio.Semaphore(MAX_CONNECTIONS)

        async def one(request: Request) -> Reply:
            async with limit:
                return await self._patiently(request)

        return list(await asyncio.gather(*map(one, requests)))

    async def _patiently(self, request: Request) -> Reply:
        for attempt in range(RETRIES):
            try:
                return (await replies_of(self, [request]))[0]
            except Exception as error:
                if not self.should_retry(error):
                    raise
                await asyncio.sleep(PAUSE_S * 2**attempt)
        return (await replies_of(self, [request]))[0]

    # --- given replies ----------------------------------------------------------------------------

    async def _scored(
        self, messages: Sequence[ChatMessage], reply: str, asked: Sequence[Logprob]
    ) -> tuple[float, bool]:
        """The tokens of a reply are those after the prompt's; its end token is the one after its words."""
        given = [*messages, ChatMessageAssistant(content=reply)]
        words = await self._forced(given, {"add_generation_prompt": False, "continue_final_message": True})
        whole = await self._forced(given, {"add_generation_prompt": False})
        own = whole[len(asked) : len(words) + 1]
        begins = [each.token for each in whole[: len(words)]] == [each.token for each in words]
        if not begins or [e.token for e in asked] != [e.token for e in whole[: len(asked)]] or len(own) < 2:
            raise self._cannot(
                "its chat template does not write a given reply as a generated one: write `margins: false`"
            )
        greedy = all(each.logprob >= other.logprob for each in own for other in each.top_logprobs or ())
        return sum(each.logprob for each in own), greedy

    async def _forced(self, messages: Sequence[ChatMessage], body: Mapping[str, Any]) -> list[Logprob]:
        """The log-probabilities of the tokens of a text, but for the first."""
        config = GenerateConfig(max_tokens=1, temperature=0.0, prompt_logprobs=1, extra_body=self._body(body))
        try:
            output = (await self._ask(messages, config))[0]
        except BadInput as error:
            said = error.message.removeprefix(f"{self._served.public}: ")
            raise self._cannot(f"{NO_SCORES} ({said})") from error
        found = output.choices[0].prompt_logprobs if isinstance(output, ModelOutput) else None
        if found is None:
            raise self._cannot(NO_SCORES)
        return found.content

    def _cannot(self, why: str) -> BadInput:
        self._unscored = f"{self._served.public}: {why}"
        return BadInput(self._unscored)


BACKEND: Backend = RemoteBackend()

"""A limit of tokens that is more than the context of a server's model has left: an error there, no error here.

The request is sent again without a limit, and the reply ends where the in-process engine's would: `model_length`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from inspect_ai.model import GenerateConfig, ModelCall, ModelOutput, ModelUsage

Answer = tuple[ModelOutput | Exception, ModelCall | None]


async def within_context(ask: Callable[[GenerateConfig], Awaitable[Answer]], config: GenerateConfig) -> Answer:
    """Return the answer to a request; `ask` gives a prompt beyond the context as an output that says so."""
    output, call = await ask(config)
    if _without_room(output):  # the limit is more than the context has left
        output, call = await ask(config.model_copy(update={"max_tokens": None}))
        output = _cut(output)
    return output, call


def _without_room(output: ModelOutput | Exception) -> bool:
    return isinstance(output, ModelOutput) and output.stop_reason == "model_length"


def _cut(output: ModelOutput | Exception) -> ModelOutput | Exception:
    """With the stop reason of the in-process engine; a prompt without any room for a reply has an empty one."""
    if not isinstance(output, ModelOutput):
        return output
    if _without_room(output):  # inspect gives the server's error message as the reply
        output.completion = ""
        output.usage = output.usage or ModelUsage()
    elif output.stop_reason == "max_tokens":
        output.choices[0].stop_reason = "model_length"
    return output

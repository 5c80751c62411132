"""Log-probabilities in inspect's words: what was asked for, and what the engine wrote."""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import GenerateConfig, Logprob, Logprobs, TopLogprob

from serving.errors import BadInput
from serving.request import Token


def wanted(config: GenerateConfig) -> int | None:
    """`Request.logprobs` of a configuration. Raises BadInput for a number of tokens to list without `logprobs`."""
    if not config.logprobs:
        if config.top_logprobs:
            raise BadInput(f"local: top_logprobs={config.top_logprobs} lists nothing without logprobs=true: set both")
        return None
    return config.top_logprobs or 0


def as_logprobs(tokens: Sequence[Token] | None) -> Logprobs | None:
    """The tokens of a reply, the end token included; None where none were asked for."""
    if tokens is None:
        return None
    return Logprobs(content=[_entry(token) for token in tokens])


def _entry(token: Token) -> Logprob:
    top = [TopLogprob(token=text, logprob=logprob) for text, logprob in token.top]
    return Logprob(token=token.text, logprob=token.logprob, top_logprobs=top or None)

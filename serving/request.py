"""Requests to a checkpoint, and its replies and scores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from serving.errors import BadInput

MAX_LOGPROBS = 20
MAX_TOP_K = 2**31 - 1
SEEDS = range(-(2**63), 2**64)  # what torch's generators take
MAX_STOPS, LONGEST_STOP = 64, 1000  # every stop string is searched for at every token
DEFAULT_MAX_TOKENS = 2048  # of a client or task that names no limit

StopReason = Literal["stop", "max_tokens", "model_length"]


@dataclass(frozen=True)
class Defaults:
    """How a checkpoint answers where a request says nothing else: what its run recorded (`answering` of a manifest).

    Attributes:
        chat_template_kwargs: Arguments of the template in training; None: not recorded.
        max_tokens: Longest reply in tokens.
        temperature: 0 is greedy.
    """

    chat_template_kwargs: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    def arguments(self, given: Mapping[str, Any], ref: str) -> Mapping[str, Any]:
        """Return the template's arguments of a request; none given means those of training.

        Raises:
            BadInput: They are not those of training.
        """
        known = self.chat_template_kwargs
        if known is None or not given or dict(given) == dict(known):
            return given or known or {}
        raise BadInput(
            f"{ref}: was trained with chat_template_kwargs {json.dumps(dict(known))}, not {json.dumps(dict(given))}:"
            " leave them out, and training's are used"
        )


@dataclass(frozen=True)
class Request:
    """A request for one reply. Temperature 0 is greedy; without a seed a sampled reply is not repeatable.

    Messages are {"role", "content"}; if the last one is the assistant's, the reply continues it.
    """

    messages: Sequence[Mapping[str, str]]
    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    logprobs: int | None = None
    """None: no log-probabilities. Else those of the reply's tokens, each with this many of the likeliest tokens."""

    def __post_init__(self) -> None:
        """Raise BadInput for an invalid value."""
        if self.max_tokens < 1:
            raise BadInput(f"max_tokens {self.max_tokens}: must be at least 1")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise BadInput(f"temperature {self.temperature}: must be a finite number, 0 or more")
        if not 0 < self.top_p <= 1:
            raise BadInput(f"top_p {self.top_p}: must be above 0 and at most 1")
        if self.top_k is not None and not 1 <= self.top_k <= MAX_TOP_K:
            raise BadInput(f"top_k {self.top_k}: must be at least 1 and at most {MAX_TOP_K}")
        if self.seed is not None and self.seed not in SEEDS:
            raise BadInput(f"seed {self.seed}: must be at least -2^63 and below 2^64")
        if len(self.stop) > MAX_STOPS or any(len(each) > LONGEST_STOP for each in self.stop):
            raise BadInput(f"stop: at most {MAX_STOPS} strings of at most {LONGEST_STOP} characters")
        if "" in self.stop:
            raise BadInput("stop: an empty stop string would end every reply")
        if self.logprobs is not None and not 0 <= self.logprobs <= MAX_LOGPROBS:
            raise BadInput(f"logprobs {self.logprobs}: at least 0 and at most {MAX_LOGPROBS} tokens can be listed")


@dataclass(frozen=True)
class Continuation:
    """A given reply to score. It ends with the end token that the chat template writes after it."""

    messages: Sequence[Mapping[str, str]]
    reply: str
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Scored:
    """The score of a given reply under a checkpoint.

    Attributes:
        logprob: Natural logarithm of the probability of all its tokens and the end token together.
        greedy: Whether greedy decoding would write exactly this reply.
        tokens: Number of tokens, including the end token.
    """

    logprob: float
    greedy: bool
    tokens: int


@dataclass(frozen=True)
class Token:
    """A token of a reply, its log-probability, and the likeliest tokens with theirs, best first."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Reply:
    """A reply without its end token and without its stop string.

    `stop_reason` is "max_tokens" where the limit cut it and "model_length" where the model's context did.
    `output_tokens` counts every token, including the end token. So does `tokens`, which is None without
    log-probabilities; those are the model's own, before temperature, top-p and top-k.
    """

    text: str
    stop_reason: StopReason
    input_tokens: int
    output_tokens: int
    tokens: tuple[Token, ...] | None = None
    template: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was changed in the model's chat template: see `serving.template.facts`."""

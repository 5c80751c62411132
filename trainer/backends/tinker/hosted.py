"""What Tinker trains: where it starts, the options of the backend, and arguments of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.errors import BadInput, did_you_mean
from serving.layout import Target
from serving.refs import Checkpoint
from trainer.config import Common

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from serving.words import Words

#: Arguments of `trl` that Tinker has too, with its names.
ADAM = {"adam_beta1": "beta1", "adam_beta2": "beta2", "adam_epsilon": "eps"}
#: Context of a model that names none.
CONTEXT = 1024


class Options(BaseModel):
    """Options of the backend: they change no weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ttl_days: float | None = Field(
        default=30.0, ge=1 / 24, le=3650, description="days until Tinker deletes a checkpoint; none: never"
    )
    export: bool = Field(default=True, description="also keep every checkpoint here, as a PEFT adapter")

    @property
    def ttl_seconds(self) -> int | None:
        """Seconds until a checkpoint is deleted; None: never."""
        return None if self.ttl_days is None else round(86400 * self.ttl_days)


def options(config: Common) -> Options:
    """The options of a configuration. Raises BadInput, which names the option."""
    try:
        return Options(**config.backend_options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            near = did_you_mean(name, Options.model_fields) or f" There are {' and '.join(Options.model_fields)}."
            raise BadInput(f"backend_options: unknown option '{name}'.{near}") from None
        said = first["msg"][:1].lower() + first["msg"][1:]
        raise BadInput(f"backend_options: {name}: {said}, not {first['input']!r}") from None


@dataclass(frozen=True)
class Hosted:
    """A checkpoint that Tinker trains. See `trainer.run.trainee.Trainee`.

    Attributes:
        start: Where training starts: a base that Tinker serves, or a checkpoint that it trained.
        name: The service's name of the base.
        words: The tokenizer and the end tokens.
        base: What step 0 points to.
        model: None: the weights are elsewhere.
    """

    start: Checkpoint
    name: str
    words: Words
    base: Target
    model: None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer, with the chat template."""
        return self.words.tokenizer

    @property
    def stops(self) -> frozenset[int]:
        """The tokens that end a reply."""
        return self.words.stops

    def context(self, max_length: int | None) -> int:
        """The longest row in tokens: `max_length`, but no longer than the model's context."""
        known = [length for length in (max_length, self.words.context) if length]
        return min(known) if known else CONTEXT

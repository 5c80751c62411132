"""What is trained, as far as data and folders need to know: its words, and how a checkpoint refers to its base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from serving.layout import Target


class Trainee(Protocol):
    """A model that is ready to be trained, here or elsewhere."""

    # Any: models of transformers have no common type.
    @property
    def model(self) -> Any:
        """The model in memory; None where it is trained elsewhere."""
        ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer, with the chat template."""
        ...

    @property
    def base(self) -> Target:
        """Where training starts: what step 0 points to, and the base of an adapter that is trained here."""
        ...

    @property
    def stops(self) -> frozenset[int]:
        """The tokens that end a reply."""
        ...

    def context(self, max_length: int | None) -> int:
        """The longest row in tokens: `max_length`, but no longer than the model's context."""
        ...

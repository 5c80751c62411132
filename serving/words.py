"""What turns messages into a model's tokens and back, without its weights: for models that are elsewhere.

words = words_of(checkpoint)
words.tokenizer, words.stops, words.context
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from transformers import AutoConfig, GenerationConfig, PreTrainedTokenizerBase

from serving.errors import BadInput
from serving.load import load_tokenizer, place_of, tokenizer_owner
from serving.refs import Checkpoint
from serving.template import stop_tokens


@dataclass(frozen=True)
class Words:
    """A checkpoint's tokenizer with its chat template, the tokens that end a reply, and the context in tokens."""

    tokenizer: PreTrainedTokenizerBase
    stops: frozenset[int]
    context: int | None


def words_of(checkpoint: Checkpoint) -> Words:
    """Return the words of a checkpoint.

    Raises:
        BadInput: Its tokenizer has no chat template.
    """
    return _read(tokenizer_owner(checkpoint), checkpoint.root)


@cache  # every checkpoint of a base has the same
def _read(owner: Checkpoint, root: Checkpoint) -> Words:
    tokenizer = load_tokenizer(owner)
    if not tokenizer.chat_template:
        raise BadInput(f"{owner.ref}: its tokenizer has no chat template: name a chat model")
    config: Any = AutoConfig.from_pretrained(**place_of(root), trust_remote_code=False)
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    stops = stop_tokens(tokenizer, _generation_config(root), config)
    return Words(tokenizer, stops, int(context) if context else None)


# Any: a configuration of transformers.
def _generation_config(root: Checkpoint) -> Any:
    place = place_of(root)
    try:
        return GenerationConfig.from_pretrained(place.pop("pretrained_model_name_or_path"), **place)
    except OSError:  # not every model has one
        return None

"""Rows to tokens: the prompt exactly as the server sends it, and the loss only on the reply and its end token.

The prompt is rendered with the generation prompt, as at evaluation; the reply is what the template adds after it, up to
the first token that ends generation. Rows that are too long are truncated and counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from jinja2 import TemplateError

from serving.errors import BadInput
from serving.template import refuse_arguments, whole_reply
from trainer.data.rows import Row, data_hash, order
from trainer.identity import sha

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from trainer.config import Common

IGNORED = -100


#: Number of sets of rows that are cached for each tokenizer.
KEPT = 4
_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, OrderedDict[tuple[Any, ...], Encoded]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Encoded:
    """Token rows of one model.

    Args:
        input_ids: per row, prompt and reply.
        labels: the same, with -100 at the positions of the prompt.
        truncated: rows whose reply was truncated.
        dropped: rows left out because the prompt fills the context.
    """

    input_ids: tuple[list[int], ...]
    labels: tuple[list[int], ...]
    truncated: int
    dropped: int

    def __len__(self) -> int:
        return len(self.input_ids)


def template_hash(tokenizer: PreTrainedTokenizerBase, kwargs: Mapping[str, Any]) -> str:
    """16 hex digits of the chat template and its arguments."""
    return sha([tokenizer.chat_template, dict(kwargs)])[:16]


def encode(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
    max_length: int,
    kwargs: Mapping[str, Any] | None = None,
) -> Encoded:
    """Token rows of at most `max_length`. Cells of one process with the same rows share the result.

    Raises:
        BadInput: as `split`, and if no row is left.
    """
    known = _KNOWN.setdefault(tokenizer, OrderedDict())
    key = (data_hash(rows), template_hash(tokenizer, kwargs or {}), stops, max_length)
    if key not in known:
        known[key] = _fit(split(rows, tokenizer, stops, kwargs), max_length)
        while len(known) > KEPT:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def split(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
    kwargs: Mapping[str, Any] | None = None,
) -> list[tuple[list[int], list[int]]]:
    """(tokens of the prompt, tokens of the reply and its end) of each row.

    Raises:
        BadInput: if there are no rows, no chat template or no end token; if a reply contains an end token; if the
            template renders a prompt differently with its reply; or if it writes more than the reply after it.
    """
    if not tokenizer.chat_template:
        raise BadInput("the model's tokenizer has no chat template: use an instruct model, or add chat_template.jinja")
    if not stops:
        raise BadInput("the model's tokenizer has no end token: set eos_token in tokenizer_config.json")
    if not rows:
        raise BadInput("no rows to train on: use more prompts, or another label source")
    _refuse_ends(rows, cast("list[str]", tokenizer.convert_ids_to_tokens(sorted(stops))))
    refuse_arguments(tokenizer, kwargs or {})
    prompts, replies = _texts(rows, tokenizer, dict(kwargs or {}))
    prompt_ids = _ids(tokenizer, prompts)
    reply_ids = [whole_reply(tokenizer, ids, stops) for ids in _ids(tokenizer, replies)]
    return list(zip(prompt_ids, reply_ids, strict=True))


def _refuse_ends(rows: Sequence[Row], ends: Sequence[str]) -> None:
    """Raises BadInput for a reply that the tokenizer would end early, such as HTML with `</s>`."""
    for row in rows:
        for end in ends:
            if end in row.reply:
                raise BadInput(
                    f"{row.id}: its reply contains {end}, which ends a reply of this model: nothing behind it would be"
                    " trained on. Remove it from the data, or leave the row out"
                )


def _texts(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, kwargs: dict[str, Any]
) -> tuple[list[str], list[str]]:
    asked = [list(row.messages) for row in rows]
    full = [row.conversation() for row in rows]
    try:
        prompts = cast(
            "list[str]", tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, **kwargs)
        )
        complete = cast("list[str]", tokenizer.apply_chat_template(full, tokenize=False, **kwargs))
    except TemplateError as error:
        raise BadInput(f"the chat template refuses these prompts ({error}): choose another variant or model") from error
    for row, prompt, text in zip(rows, prompts, complete, strict=True):
        _check(row, prompt, text)
    return prompts, [text[len(prompt) :] for prompt, text in zip(prompts, complete, strict=True)]


def _check(row: Row, prompt: str, text: str) -> None:
    """Raises BadInput if the loss would cover more than the reply."""
    fix = " set chat_template_kwargs (Qwen3: '{\"enable_thinking\": false}'), and the same at evaluation"
    if not text.startswith(prompt):
        raise BadInput(f"{row.id}: the chat template renders this prompt differently with its reply:{fix}")
    added = text[len(prompt) :].lstrip()
    if not added.startswith(row.reply.strip()):
        start = added.partition(row.reply.strip())[0] or added[:40]
        raise BadInput(
            f"{row.id}: the chat template writes {start!r} before the reply, which would be trained on:{fix}"
        )


def _ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    # The template has written every special token already.
    return cast("list[list[int]]", tokenizer(texts, add_special_tokens=False)["input_ids"])


def _fit(pairs: Sequence[tuple[list[int], list[int]]], max_length: int) -> Encoded:
    kept = [(prompt, reply) for prompt, reply in pairs if len(prompt) < max_length]
    if not kept:
        raise BadInput(
            f"none of {len(pairs)} rows fits into {max_length} tokens: raise --max_length or use a longer model"
        )
    truncated = sum(len(prompt) + len(reply) > max_length for prompt, reply in kept)
    ids = tuple([*prompt, *reply][:max_length] for prompt, reply in kept)
    labels = tuple([*[IGNORED] * len(prompt), *reply][:max_length] for prompt, reply in kept)
    return Encoded(ids, labels, truncated, len(pairs) - len(kept))


def schedule(encoded: Encoded, steps: int, config: Common) -> tuple[list[int], list[int]]:
    """Which row is trained on at each place, and per step the number of tokens trained on so far."""
    batch = config.batch_size
    places = order(len(encoded), steps * batch, config.seed_of("order"))
    sums = list(accumulate(len(encoded.input_ids[place]) for place in places))
    return places, [sums[(step + 1) * batch - 1] for step in range(steps)]

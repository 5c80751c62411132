"""Rows to tokens: the prompt exactly as the server will send it, and a loss on the reply and its end token alone.

The prompt is rendered with the generation prompt, as at evaluation; the reply is what the template adds after it,
cut behind the first token that ends generation. What is too long is cut and counted, never silently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from jinja2 import TemplateError

from serving.errors import BadInput
from trainer.data.rows import Row, data_hash
from trainer.identity import sha

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100


#: So many sets of rows are kept for each tokenizer in memory.
KEPT = 4
_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, OrderedDict[tuple[Any, ...], Encoded]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Encoded:
    """Token rows of one model.

    Args:
        input_ids: per row, prompt and reply.
        labels: the same, with the prompt's places at -100.
        truncated: rows whose reply was cut to fit.
        dropped: rows whose prompt alone fills the context, and which are left out.
    """

    input_ids: tuple[list[int], ...]
    labels: tuple[list[int], ...]
    truncated: int
    dropped: int

    def __len__(self) -> int:
        return len(self.input_ids)


def stop_tokens(tokenizer: PreTrainedTokenizerBase, generation: Any = None) -> frozenset[int]:
    """Tokens that end generation: the tokenizer's, and those of the model's generation config."""
    listed = getattr(generation, "eos_token_id", None)
    more: list[int] = listed if isinstance(listed, list) else [listed] if listed is not None else []
    own = cast("int | None", tokenizer.eos_token_id)
    return frozenset(more) | ({own} if own is not None else frozenset())


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
    """Token rows of at most `max_length`. Cells of one process that have the same rows share them.

    Raises:
        BadInput: see `split`, and where no row is left.
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
        BadInput: without rows, a chat template or an end token, or where the template renders a prompt alone in another
            way than with its reply, or writes more than the reply behind it.
    """
    if not tokenizer.chat_template:
        raise BadInput("the model's tokenizer has no chat template: use an instruct model, or add chat_template.jinja")
    if not stops:
        raise BadInput("the model's tokenizer has no end token: set eos_token in tokenizer_config.json")
    if not rows:
        raise BadInput("there are no rows to train on: ask for more prompts, or another label source")
    prompts, replies = _texts(rows, tokenizer, dict(kwargs or {}))
    prompt_ids = _ids(tokenizer, prompts)
    reply_ids = [_until_stop(ids, stops, tokenizer) for ids in _ids(tokenizer, replies)]
    return list(zip(prompt_ids, reply_ids, strict=True))


def _texts(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, kwargs: dict[str, Any]
) -> tuple[list[str], list[str]]:
    asked = [list(row.messages) for row in rows]
    full = [row.conversation() for row in rows]
    try:
        prompts = cast(
            "list[str]", tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True, **kwargs)
        )
        whole = cast("list[str]", tokenizer.apply_chat_template(full, tokenize=False, **kwargs))
    except TemplateError as error:
        raise BadInput(f"the chat template refuses these prompts ({error}): choose another variant or model") from error
    for row, prompt, text in zip(rows, prompts, whole, strict=True):
        _check(row, prompt, text)
    return prompts, [text[len(prompt) :] for prompt, text in zip(prompts, whole, strict=True)]


def _check(row: Row, prompt: str, text: str) -> None:
    """BadInput where the loss would not be on the reply alone."""
    mend = " set chat_template_kwargs (Qwen3: '{\"enable_thinking\": false}'), and the same at evaluation"
    if not text.startswith(prompt):
        raise BadInput(
            f"{row.id}: the chat template renders this prompt in another way with its reply than without:{mend}"
        )
    added = text[len(prompt) :].lstrip()
    if not added.startswith(row.reply.strip()):
        start = added.partition(row.reply.strip())[0] or added[:40]
        raise BadInput(
            f"{row.id}: the chat template writes {start!r} before the reply, to be trained on with it:{mend}"
        )


def _ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    # The template has written every special token already.
    return cast("list[list[int]]", tokenizer(texts, add_special_tokens=False)["input_ids"])


def _until_stop(ids: list[int], stops: Iterable[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The reply up to and with its end token; templates may write line breaks behind it."""
    for place, token in enumerate(ids):
        if token in stops:
            return ids[: place + 1]
    return [*ids, cast("int", tokenizer.eos_token_id)]


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

"""Prompts that are longer than the context of the model that is to answer them, before any work.

    check(start)                      # BadInput in one line that begins with the recipe's key

Texts are counted by the tokenizer alone; only where they come near the limit is the chat template rendered, which
imports transformers. Not covered: train prompts that are not in the evaluation, which the trainer leaves out and
counts, and replies that the context cuts off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.plan.cells import Start
from lab.plan.identity import items_of
from serving.errors import BadInput
from serving.refs import Checkpoint
from trainer.run import size

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bct_tasks.setting import Prompt

#: Tokens that a chat template adds at most, to a prompt and to each of its messages; more of them are found later.
TEMPLATE, MESSAGE = 64, 8


def check(start: Start) -> None:
    """Raises BadInput if a prompt of the evaluation leaves no token of the context for a reply."""
    checkpoint = start.checkpoint()
    limit = size.context_of(checkpoint)
    if limit is None:
        return
    asked = [*items_of(start), *start.questions.load().ceiling(start.variant, start.sizes.n)]
    near = [prompt for prompt in asked if _bytes(prompt) >= limit]
    known = tokenizer_of(checkpoint) if near else None
    if known is not None:
        near = [prompt for prompt in near if _counted(prompt, known) >= limit]
    for prompt in near:
        if (length := _rendered(prompt, start, checkpoint)) >= limit:
            raise BadInput(
                f"setting: a prompt of {start.setting}, {prompt.id}, has {length:,} tokens, and the context of"
                f" {checkpoint.root.ref} is {limit:,}: leave it out of the data, or choose another model"
            )


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer | None:
    """The tokenizer of a checkpoint's full model without its chat template; None if its file is not on this disk."""
    folder = size.folder_of(checkpoint)
    if folder is None or not (folder / "tokenizer.json").is_file():
        return None
    from tokenizers import Tokenizer

    from serving.apart.tries import refuse_tokenizer

    refuse_tokenizer(folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _added(prompt: Prompt) -> int:
    return TEMPLATE + MESSAGE * len(prompt.messages())


def _bytes(prompt: Prompt) -> int:
    """At least the number of tokens: tokenizers of text split no byte."""
    return _added(prompt) + sum(len(message["content"].encode()) for message in prompt.messages())


def _counted(prompt: Prompt, tokenizer: Tokenizer) -> int:
    texts = [message["content"] for message in prompt.messages()]
    return _added(prompt) + sum(len(found.ids) for found in tokenizer.encode_batch(texts, add_special_tokens=False))


def _rendered(prompt: Prompt, start: Start, checkpoint: Checkpoint) -> int:
    from serving.load import load_tokenizer

    arguments = dict(start.answering.chat_template_kwargs)
    words = load_tokenizer(checkpoint)
    text = words.apply_chat_template(prompt.messages(), tokenize=False, add_generation_prompt=True, **arguments)
    return len(words(str(text), add_special_tokens=False)["input_ids"])

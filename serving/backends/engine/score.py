"""Scores of given replies: one pass over prompt and reply, nothing is sampled.

    [initial, alternate] = get_engine().score(checkpoint, [Continuation(messages, "48"), Continuation(messages, "84")])
    margin = alternate.logprob - initial.logprob            # log-odds of the alternate reply over the initial one
    alternate.greedy                                        # greedy decoding would write exactly it

A reply is tokenized as the trainer does: what the chat template writes after the prompt, up to and including the first
end token. Not covered: replies that mean the same in other words; a margin is about two texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from serving.errors import BadInput
from serving.request import Continuation, Scored
from serving.template import whole_reply

# Rows of a block on a CPU, and the number of which its widths are multiples.
BLOCK = STEP = 8


@dataclass(frozen=True)
class Forced:
    """Prompt and reply as tokens; the reply has at least one."""

    prompt: list[int]
    reply: list[int]


def forced(tokenizer: PreTrainedTokenizerBase, asked: Continuation, prompt: list[int], ends: frozenset[int]) -> Forced:
    """Return the tokens of a continuation, given those of its prompt.

    Raises:
        BadInput: The chat template renders the prompt differently with a reply.
    """
    kwargs = dict(asked.chat_template_kwargs)
    turns = [dict(message) for message in asked.messages]
    before = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **kwargs))
    turns.append({"role": "assistant", "content": asked.reply})
    whole = str(tokenizer.apply_chat_template(turns, tokenize=False, **kwargs))
    if not whole.startswith(before):
        raise BadInput("the chat template renders this prompt differently with its reply: set chat_template_kwargs")
    tokens: list[int] = tokenizer.encode(whole[len(before) :], add_special_tokens=False)
    return Forced(prompt, whole_reply(tokenizer, tokens, ends))


def teacher_forced(model: PreTrainedModel, rows: Sequence[Forced], pad: int) -> list[Scored]:
    """Return the score of each row, in order; logits are computed for the longest reply's positions only.

    On a CPU a score does not depend on the rest of its batch, to the last bit: the sums of a matrix product may differ
    with its shape, so every block has the same number of rows, and widths that depend on a row's own lengths.
    """
    if model.device.type != "cpu":
        return _scored(model, rows, _widths(rows), pad)
    alike: dict[tuple[int, int], list[int]] = {}
    for at, row in enumerate(rows):
        alike.setdefault(_rounded(row), []).append(at)
    scores: dict[int, Scored] = {}
    for widths, places in alike.items():
        for block in (places[at : at + BLOCK] for at in range(0, len(places), BLOCK)):
            filled = [rows[at] for at in [*block, *[block[0]] * (BLOCK - len(block))]]
            scores |= zip(block, _scored(model, filled, widths, pad), strict=False)
    return [scores[at] for at in range(len(rows))]


@torch.inference_mode()
def _scored(model: Any, rows: Sequence[Forced], widths: tuple[int, int], pad: int) -> list[Scored]:
    """One forward pass: prompts padded on the left to the first width, replies on the right to the second."""
    before, after = widths
    tokens = [_placed(row.prompt, row.reply[:-1], before, after - 1, pad) for row in rows]
    mask = [_placed([1] * len(row.prompt), [1] * (len(row.reply) - 1), before, after - 1, 0) for row in rows]
    targets = _tensor(model, [_placed([], row.reply, 0, after, pad) for row in rows])
    counts = _tensor(model, [_placed([], [1] * len(row.reply), 0, after, 0) for row in rows])
    attended = _tensor(model, mask)
    place = {"attention_mask": attended, "position_ids": (attended.cumsum(-1) - 1).clamp(min=0), "use_cache": False}
    logits = model(input_ids=_tensor(model, tokens), logits_to_keep=after, **place).logits.float()
    given = logits.gather(-1, targets[..., None])[..., 0]
    logprobs = ((given - logits.logsumexp(-1)) * counts).sum(-1).tolist()
    greedy = ((logits.argmax(-1) == targets) | (counts == 0)).all(-1).tolist()
    return [Scored(logprob, said, len(row.reply)) for logprob, said, row in zip(logprobs, greedy, rows, strict=True)]


def _placed(prompt: list[int], reply: list[int], before: int, after: int, pad: int) -> list[int]:
    return [*[pad] * (before - len(prompt)), *prompt, *reply, *[pad] * (after - len(reply))]


def _tensor(model: Any, rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor(rows, device=model.device)


def _widths(rows: Sequence[Forced]) -> tuple[int, int]:
    return max(len(row.prompt) for row in rows), max(len(row.reply) for row in rows)


def _rounded(row: Forced) -> tuple[int, int]:
    """Return the row's lengths, each rounded up to a multiple of `STEP`."""
    return -(-len(row.prompt) // STEP) * STEP, -(-len(row.reply) // STEP) * STEP

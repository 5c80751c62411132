"""How likely a given reply is: one pass over prompt and reply, nothing is sampled.

    [initial, alternate] = get_engine().score(checkpoint, [Continuation(messages, "48"), Continuation(messages, "84")])
    margin = alternate.logprob - initial.logprob            # log-odds of the alternate reply over the initial one
    alternate.greedy                                        # greedy decoding would write it, word for word

A reply is tokenized as the trainer does: what the chat template writes after the prompt, up to and with the first end
token. Not covered: replies that mean the same in other words; a margin is about two texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from serving.decode import left_padded
from serving.errors import BadInput
from serving.request import Continuation, Scored


@dataclass(frozen=True)
class Forced:
    """Prompt and reply as tokens; the reply has at least one."""

    prompt: list[int]
    reply: list[int]


def forced(tokenizer: Any, asked: Continuation, prompt: list[int], ends: frozenset[int]) -> Forced:
    """The tokens of a continuation whose prompt is encoded. Raises BadInput where the template alters the prompt."""
    kwargs = dict(asked.chat_template_kwargs)
    turns = [dict(message) for message in asked.messages]
    before = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **kwargs))
    turns.append({"role": "assistant", "content": asked.reply})
    whole = str(tokenizer.apply_chat_template(turns, tokenize=False, **kwargs))
    if not whole.startswith(before):
        raise BadInput("the chat template renders this prompt in another way with its reply: set chat_template_kwargs")
    tokens: list[int] = tokenizer.encode(whole[len(before) :], add_special_tokens=False)
    place = next((at for at, token in enumerate(tokens) if token in ends), None)
    return Forced(prompt, tokens[: place + 1] if place is not None else [*tokens, min(ends)])


@torch.inference_mode()
def teacher_forced(model: Any, rows: Sequence[Forced], pad: int) -> list[Scored]:
    """Score of each row, in order. One forward pass; logits are kept for the longest reply's positions only."""
    tokens, mask = left_padded([[*row.prompt, *row.reply[:-1]] for row in rows], pad, model.device)
    targets, counts = left_padded([row.reply for row in rows], pad, model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    place = {"attention_mask": mask, "position_ids": positions, "use_cache": False}
    logits = model(input_ids=tokens, logits_to_keep=targets.shape[1], **place).logits.float()
    given = logits.gather(-1, targets[..., None])[..., 0]
    logprobs = ((given - logits.logsumexp(-1)) * counts).sum(-1).tolist()
    greedy = ((logits.argmax(-1) == targets) | (counts == 0)).all(-1).tolist()
    return [Scored(logprob, said, len(row.reply)) for logprob, said, row in zip(logprobs, greedy, rows, strict=True)]

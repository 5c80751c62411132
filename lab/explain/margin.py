"""The eval margin of a model and its gradient: log p(alternate reply) − log p(initial reply), with teacher forcing.

Replies are the policies' reference replies including the end token, on the first eval prompts. The gradient is that of
the mean over prompts. Not covered: sampled replies, and prompts for which both reference replies are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bct_tasks import catalogue
from serving.errors import BadInput
from serving.template import stop_tokens
from trainer.data.rows import row
from trainer.data.tokens import IGNORED, encode

#: Tokens of a batch: prompts plus replies.
TOKENS = 4096

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ReplyPairs:
    """Token rows of eval prompts, each with its alternate (sign 1) and then its initial reply (sign −1)."""

    ids: tuple[list[int], ...]
    labels: tuple[list[int], ...]
    signs: tuple[int, ...]
    items: int


@dataclass(frozen=True)
class EvalMargin:
    """The mean margin in nats, the share of prompts with a margin above 0, and the gradient of the mean."""

    value: float
    alternate: float
    gradient: Tensors


def reply_pairs(
    config: dict[str, Any], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: int
) -> ReplyPairs:
    """The first `items` eval prompts of a cell's setting and variant, encoded as the trainer encodes rows.

    Raises:
        BadInput: a prompt with its reply is longer than the model's context.
    """
    setting = catalogue.load(config["setting"], config.get("source", "bundled"), **(config.get("data") or {}))
    prompts = setting.prompts(config.get("variant"), "eval", items)
    pairs = [(prompt, setting.alternate.reply(prompt), setting.initial.reply(prompt)) for prompt in prompts]
    pairs = [pair for pair in pairs if pair[1] != pair[2]]
    if not pairs:
        raise BadInput(f"{setting.name}: no reference replies of the two policies are known, so there is no margin")
    rows = [row(prompt, reply) for prompt, *replies in pairs for reply in replies]
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**15
    stops = stop_tokens(tokenizer, model.generation_config)
    encoded = encode(rows, tokenizer, stops, context, config.get("chat_template_kwargs"))
    if encoded.truncated or encoded.dropped:
        raise BadInput(f"{setting.name}: an eval prompt with its reply is longer than the context of {context} tokens")
    return ReplyPairs(encoded.input_ids, encoded.labels, (1, -1) * len(pairs), len(pairs))


def measure(model: PreTrainedModel, pairs: ReplyPairs) -> EvalMargin:
    """The margin of a model and its gradient by parameter name, in the precision of the parameters."""
    model.requires_grad_(True)
    model.zero_grad(set_to_none=True)
    scores = [0.0] * len(pairs.ids)
    for batch in _batches(pairs):
        logp = _log_probabilities(model, pairs, batch)
        signs = torch.tensor([pairs.signs[i] for i in batch], device=logp.device)
        ((logp * signs).sum() / pairs.items).backward()
        for i, value in zip(batch, logp.tolist(), strict=True):
            scores[i] = value
    margins = [a - b for a, b in zip(scores[::2], scores[1::2], strict=True)]
    gradient = {name: p.grad.detach().clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return EvalMargin(sum(margins) / pairs.items, sum(m > 0 for m in margins) / pairs.items, gradient)


def parameters(model: PreTrainedModel) -> Tensors:
    """A copy of a model's parameters by name; tied parameters appear once."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def inner(gradient: Tensors, before: Tensors, after: Tensors) -> float:
    """gradient · (after − before), summed in double precision."""
    return sum(
        float((g.double() * (after[name].double() - before[name].double())).sum()) for name, g in gradient.items()
    )


def _batches(pairs: ReplyPairs) -> Iterator[list[int]]:
    """Indices of rows, sorted by length and batched within the token budget."""
    batch: list[int] = []
    for i in sorted(range(len(pairs.ids)), key=lambda i: len(pairs.ids[i])):
        if batch and (len(batch) + 1) * len(pairs.ids[i]) > TOKENS:
            yield batch
            batch = []
        batch.append(i)
    yield batch


def _log_probabilities(model: Any, pairs: ReplyPairs, batch: Sequence[int]) -> torch.Tensor:
    """log p(reply | prompt) of each row, in nats."""
    width = max(len(pairs.ids[i]) for i in batch)
    padded = [pairs.ids[i] + [0] * (width - len(pairs.ids[i])) for i in batch]
    wanted = [pairs.labels[i] + [IGNORED] * (width - len(pairs.labels[i])) for i in batch]
    seen = [[1] * len(pairs.ids[i]) + [0] * (width - len(pairs.ids[i])) for i in batch]
    ids, labels, mask = (torch.tensor(rows, device=model.device) for rows in (padded, wanted, seen))
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    targets = labels[:, 1:]
    chosen = torch.gather(logits.log_softmax(-1), 2, targets.clamp(min=0)[..., None])[..., 0]
    return (chosen * (targets != IGNORED)).sum(-1)

"""The eval log-odds margin of a model, and its gradient: log p(alternate reply) − log p(initial reply), teacher-forced.

Replies are the policies' references, end token included, on the eval prompts in the order of the eval. The mean over
prompts is what is differentiated. Not covered: sampled replies, and prompts on which both references are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bct_tasks import catalogue
from serving.errors import BadInput
from trainer.data.rows import row
from trainer.data.tokens import IGNORED, encode, stop_tokens

# Prompt plus reply, summed over the rows of a batch.
TOKENS = 4096

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Asked:
    """Token rows of the eval prompts with both replies; `signs` is 1 for the alternate reply, −1 for the other."""

    ids: tuple[list[int], ...]
    labels: tuple[list[int], ...]
    signs: tuple[int, ...]
    items: int


@dataclass(frozen=True)
class Margin:
    """The mean margin, the share of prompts that prefer the alternate reply, and the gradient of the mean."""

    value: float
    alternate: float
    gradient: Tensors


def ask(config: dict[str, Any], model: Any, tokenizer: Any, items: int) -> Asked:
    """The first eval prompts of a cell's setting and variant, encoded as the trainer encodes rows.

    Raises:
        BadInput: a prompt with its reply is longer than the model's context.
    """
    setting = catalogue.load(config["setting"])
    prompts = setting.prompts(config.get("variant"), "eval", items)
    pairs = [(prompt, setting.alternate.reply(prompt), setting.initial.reply(prompt)) for prompt in prompts]
    pairs = [pair for pair in pairs if pair[1] != pair[2]]
    rows = [row(prompt, reply) for prompt, *replies in pairs for reply in replies]
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**15
    stops = stop_tokens(tokenizer, model.generation_config)
    encoded = encode(rows, tokenizer, stops, context, config.get("chat_template_kwargs"))
    if encoded.truncated or encoded.dropped:
        raise BadInput(f"{setting.name}: an eval prompt with its reply is longer than the context of {context} tokens")
    return Asked(encoded.input_ids, encoded.labels, (1, -1) * len(pairs), len(pairs))


def measure(model: Any, asked: Asked) -> Margin:
    """The margin of a model and its gradient by parameter, in the parameters' own precision."""
    model.requires_grad_(True)
    model.zero_grad(set_to_none=True)
    scores = [0.0] * len(asked.ids)
    for batch in _batches(asked):
        logp = _log_probabilities(model, asked, batch)
        signs = torch.tensor([asked.signs[i] for i in batch], device=logp.device)
        ((logp * signs).sum() / asked.items).backward()
        for i, value in zip(batch, logp.tolist(), strict=True):
            scores[i] = value
    margins = [a - b for a, b in zip(scores[::2], scores[1::2], strict=True)]
    gradient = {name: p.grad.detach().clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return Margin(sum(margins) / asked.items, sum(m > 0 for m in margins) / asked.items, gradient)


def parameters(model: Any) -> Tensors:
    """A copy of a model's parameters by name; tied ones once."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def inner(gradient: Tensors, before: Tensors, after: Tensors) -> float:
    """gradient · (after − before), summed in double precision."""
    return sum(
        float((g.double() * (after[name].double() - before[name].double())).sum()) for name, g in gradient.items()
    )


def _batches(asked: Asked) -> Iterator[list[int]]:
    """Rows of like length together, within the token budget."""
    batch: list[int] = []
    for i in sorted(range(len(asked.ids)), key=lambda i: len(asked.ids[i])):
        if batch and (len(batch) + 1) * len(asked.ids[i]) > TOKENS:
            yield batch
            batch = []
        batch.append(i)
    yield batch


def _log_probabilities(model: Any, asked: Asked, batch: Sequence[int]) -> torch.Tensor:
    """log p(reply | prompt) of each row, in nats."""
    width = max(len(asked.ids[i]) for i in batch)
    padded = [asked.ids[i] + [0] * (width - len(asked.ids[i])) for i in batch]
    wanted = [asked.labels[i] + [IGNORED] * (width - len(asked.labels[i])) for i in batch]
    seen = [[1] * len(asked.ids[i]) + [0] * (width - len(asked.ids[i])) for i in batch]
    ids, labels, mask = (torch.tensor(rows, device=model.device) for rows in (padded, wanted, seen))
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    targets = labels[:, 1:]
    chosen = torch.gather(logits.log_softmax(-1), 2, targets.clamp(min=0)[..., None])[..., 0]
    return (chosen * (targets != IGNORED)).sum(-1)

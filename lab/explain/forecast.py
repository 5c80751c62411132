"""A forecast from step 0: which way will the eval margin move, before any step is made?

    slope = forecast(folder, config, model, tokenizer, gradient)      # nats per unit of the sum of learning rates

With g the train gradients of the first batches, Adam's first steps are -lr · mean(g) / (sqrt(mean(g²)) + ε); for SGD
they are -lr · mean(g). The forecast is their inner product with the gradient of the margin. Nothing in it was measured
after step 0, unlike the first-order test, which is given the change of the weights. Only its sign is to be read:
gradients shrink as training goes on, so its size is several times too large. The sign was right in about half of the
measured cells: docs/measured/first-order.md.

Covered: supervised full fine-tuning by AdamW or SGD. Not covered (None): LoRA, whose first weights are random; other
optimizers; DPO and GRPO; and how gradients change after the first batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from lab.logs.records import ADAM_EPSILON
from serving.refs import Checkpoint, resolve
from trainer.config import TrainConfig, config_of
from trainer.data.tokens import IGNORED, Encoded
from trainer.methods import METHODS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from lab.explain.margin import Tensors

#: Batches whose gradients are used.
BATCHES = 4
ADAM, SGD = ("adamw_torch", "adamw_torch_fused"), "sgd"


def forecast(
    folder: Path,
    config: Mapping[str, Any],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    gradient: Tensors,
) -> float | None:
    """The forecast change of the margin in nats, per unit of the sum of learning rates.

    Args:
        folder: of the cell.
        config: its training configuration, as in its manifest.
        model: step 0; its gradients are overwritten.
        tokenizer: of step 0.
        gradient: of the margin at step 0.
    """
    train = _config(config)
    if train is None:
        return None
    used = min(BATCHES, train.steps)
    sums = {name: torch.zeros_like(g) for name, g in gradient.items()}
    squares = {name: torch.zeros_like(g) for name, g in gradient.items()}
    for given in _gradients(model, _batches(folder, train, model, tokenizer), train.max_grad_norm):
        for name in sums:
            sums[name] += given[name] / used
            squares[name] += given[name] ** 2 / used
    epsilon = float(train.trl.get("adam_epsilon", ADAM_EPSILON))
    if train.optim != SGD:
        sums = {name: mean / (squares[name].sqrt() + epsilon) for name, mean in sums.items()}
    return -sum(float((gradient[name].double() * step.double()).sum()) for name, step in sums.items())


def _config(config: Mapping[str, Any]) -> TrainConfig | None:
    """The configuration of a cell that is covered."""
    kind = config_of(str(config.get("method"))) if config.get("method") in METHODS else None
    covered = config.get("rank") is None and config.get("optim") in (*ADAM, SGD)
    if kind is not TrainConfig or not covered:
        return None
    # The organism and the model are read from step 0.
    known = {name: value for name, value in config.items() if name in TrainConfig.model_fields}
    return TrainConfig(**(known | {"organism": None, "model": "mini"}))


def _batches(folder: Path, train: TrainConfig, model: Any, tokenizer: PreTrainedTokenizerBase) -> Iterator[Encoded]:
    """The first rows of the cell in the order of training, in tokens."""
    from serving.template import stop_tokens
    from trainer.data import labels, rows, tokens

    setting, start = train.asked(), resolve(f"{folder}@0")
    teacher = resolve(other) if (other := train.teacher()) is not None else start
    found = labels.collect(setting, train, rows.parts(setting, train), teacher, _cache(folder, start)).rows
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**15
    stops = stop_tokens(tokenizer, model.generation_config)
    places = rows.order(len(found), train.steps * train.batch_size, train.seed_of("order"))
    for n in range(min(BATCHES, train.steps)):
        batch = [found[place] for place in places[n * train.batch_size : (n + 1) * train.batch_size]]
        length = min(train.max_length or context, context)
        yield tokens.encode(batch, tokenizer, stops, length, train.chat_template_kwargs)


def _cache(folder: Path, start: Checkpoint) -> Path:
    from trainer.data.labels import cache_folder

    return cache_folder(str(start.path) if start.path else None, folder)


def _gradients(model: Any, batches: Iterator[Encoded], clip: float) -> Iterator[dict[str, torch.Tensor]]:
    """The gradient of each batch's loss, clipped as in training."""
    for batch in batches:
        model.zero_grad(set_to_none=True)
        _loss(model, batch).backward()
        norm = math.sqrt(sum(float(p.grad.double().pow(2).sum()) for p in model.parameters() if p.grad is not None))
        scale = min(1.0, clip / norm) if clip and norm else 1.0
        yield {name: p.grad.detach() * scale for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)


def _loss(model: Any, batch: Encoded) -> torch.Tensor:
    """The mean loss of the reply tokens."""
    width = max(map(len, batch.input_ids))
    ids, labels, mask = (
        torch.tensor([list(row) + [fill] * (width - len(row)) for row in rows], device=model.device)
        for rows, fill in (
            (batch.input_ids, 0),
            (batch.labels, IGNORED),
            ([[1] * len(row) for row in batch.input_ids], 0),
        )
    )
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    return cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)

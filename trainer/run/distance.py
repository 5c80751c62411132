"""How far the weights of a run are from where it started: the L2 norm of their change, at every checkpoint.

    start = Start(model)                  # before training; keeps a copy of full weights on the CPU
    start.distance(model)                 # after some steps

Of an adapter it is the norm of the change that the adapter adds to the weights, so that LoRA and full fine-tuning
compare. Not covered: weights that are sharded over processes.
"""

from __future__ import annotations

import math
from typing import Any

import torch


# Any: models of transformers and PEFT have no common type.
class Start:
    """The weights at the start of a run.

    Args:
        model: the model before training.
        adapter: whether only a new adapter is trained, which starts without effect: nothing is copied then.
    """

    def __init__(self, model: Any, adapter: bool) -> None:
        self._weights: dict[str, torch.Tensor] | None = None if adapter else _copies(model)

    @torch.no_grad()
    def distance(self, model: Any) -> float | None:
        """The L2 norm of the change since the start; None if the weights cannot be compared."""
        if self._weights is None:
            return math.sqrt(sum(_adapted(layer) for layer in model.modules() if hasattr(layer, "lora_A")))
        now = {name: weight for name, weight in model.named_parameters() if name in self._weights}
        if any(now[name].shape != weight.shape for name, weight in self._weights.items() if name in now) or not now:
            return None
        return math.sqrt(sum(_squared(weight, self._weights[name]) for name, weight in now.items()))


def _copies(model: Any) -> dict[str, torch.Tensor]:
    return {name: _copy(weight.detach()) for name, weight in model.named_parameters()}


def _copy(weight: torch.Tensor) -> torch.Tensor:
    """On the CPU; in bf16, in half the memory, where that changes no value, as after loading from bf16."""
    half = weight.to("cpu", torch.bfloat16, copy=True)
    return half if torch.equal(half.to(weight.dtype), weight.cpu()) else weight.to("cpu", copy=True)


def _squared(now: torch.Tensor, before: torch.Tensor) -> float:
    return float((now.detach().cpu().float() - before.float()).pow(2).sum(dtype=torch.float64))


def _adapted(layer: Any) -> float:
    """The squared norm of scale · B · A, by their Gram matrices: no full matrix is built."""
    total = 0.0
    for name in layer.lora_A:
        a, b = layer.lora_A[name].weight.float(), layer.lora_B[name].weight.float()
        total += float(layer.scaling[name]) ** 2 * float(((b.T @ b) * (a @ a.T)).sum(dtype=torch.float64))
    return max(0.0, total)

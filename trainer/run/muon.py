"""Muon for the matrices of the layers, AdamW for everything else, as one optimizer.

Muon's update is scaled to the size that AdamW's has (`match_rms_adamw`, Liu et al. 2025, arXiv:2502.16982), so that a
learning rate has about the same effect under both. AdamW trains embeddings, the output head, norms and biases.
Not covered: matrices that are split over devices (torch's Muon does not support them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from serving.errors import BadInput

NAME = "muon"
NOT_LAYERS = ("embed", "lm_head")


class Muon(torch.optim.Optimizer):
    """Both optimizers behind one interface. The parameter groups are shared, so a schedule applies to both.

    Args:
        model: whose trainable parameters are optimized.
        lr: of both.
        weight_decay: of the matrices; the rest has none.
        betas, eps: AdamW's.

    Raises:
        BadInput: if this version of torch has no Muon.
    """

    def __init__(
        self, model: torch.nn.Module, lr: float, weight_decay: float, betas: tuple[float, float], eps: float
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise BadInput(
                f"optim: torch {torch.__version__} has no Muon: choose another optimizer, or install torch 2.9 or later"
            )
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for name, p in named if _is_matrix(name, p)]
        rest = [p for name, p in named if not _is_matrix(name, p)]
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            scale = "match_rms_adamw"
            self.parts.append(torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn=scale))
        if rest:
            self.parts.append(torch.optim.AdamW(rest, lr=lr, weight_decay=0.0, betas=betas, eps=eps))
        super().__init__([p for _, p in named], {"lr": lr})
        self._share()

    def _share(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step of both optimizers."""
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both optimizers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the states of both optimizers."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share()


def _is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim == 2 and not any(part in name for part in NOT_LAYERS)

"""A pull towards where a run started: KL(organism || model) on general prompts, added to the loss of every step.

The organism is the model without its new adapter, or in full fine-tuning a frozen copy (which doubles the memory).
The KL is averaged over the reply tokens of a few general rows, different at each step and the same after a resume.
Not covered: a pull on the setting's own prompts, which would prevent the effect under study.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch.nn.utils.rnn import pad_sequence

from trainer.data.rows import order
from trainer.data.tokens import IGNORED, Encoded

#: General rows per step, as a share of the batch.
SHARE = 0.25


# Any: models of transformers and PEFT have no common type.
def frozen(model: Any) -> Any:
    """A copy that is not trained, made before the trainer gets the model: TRL binds the model's methods."""
    return copy.deepcopy(model).requires_grad_(False).eval()


def rows_per_step(batch_size: int) -> int:
    """Number of general rows on which the pull is measured at each step."""
    return max(1, round(batch_size * SHARE))


class Anchor:
    """The pull of one run.

    Args:
        organism: a frozen copy of the model at the start; None if the model is an adapter that can be disabled.
        rows: general rows in tokens.
        weight: of the divergence (in nats per token) in the loss.
        steps, batch_size, seed: of the run.
    """

    # Any: models of transformers and PEFT have no common type.
    def __init__(
        self, organism: Any | None, rows: Encoded, weight: float, steps: int, batch_size: int, seed: int
    ) -> None:
        self._organism = organism
        self.weight, self._rows, self._size = weight, rows, rows_per_step(batch_size)
        self._places = order(len(rows), steps * self._size, seed)

    # Any: models of transformers and PEFT have no common type.
    def divergence(self, model: Any, step: int) -> torch.Tensor:
        """KL in nats per reply token on the general rows of a step (0 is the first)."""
        places = self._places[step * self._size : (step + 1) * self._size]
        device = next(model.parameters()).device
        ids = _padded([self._rows.input_ids[place] for place in places], 0).to(device)
        labels = _padded([self._rows.labels[place] for place in places], IGNORED).to(device)
        lengths = [len(self._rows.input_ids[place]) for place in places]
        mask = _padded([[1] * length for length in lengths], 0).to(device)
        given = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
        kept = labels[:, 1:] != IGNORED
        now = model(**given).logits[:, :-1][kept].float().log_softmax(-1)
        before = self._before(model, given)[:, :-1][kept].float().log_softmax(-1)
        return (before.exp() * (before - now)).sum(-1).mean()

    @torch.no_grad()
    def _before(self, model: Any, given: dict[str, Any]) -> torch.Tensor:
        if self._organism is not None:
            return cast("torch.Tensor", self._organism(**given).logits)
        with model.disable_adapter():
            return cast("torch.Tensor", model(**given).logits)


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)

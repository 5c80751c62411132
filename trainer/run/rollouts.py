"""Rollouts of reinforcement learning are drawn from the policy alone, not by the defaults that a model brings.

transformers fills what TRL leaves open from `generation_config.json`: `no_repeat_ngram_size`, `suppress_tokens`,
`min_new_tokens` and others would change the replies that are trained on, but not those of an eval. Not covered: vLLM,
which TRL gives every option.
"""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.run.checkpoints import without_adapter


class Plain(TrainerCallback):
    """Takes a model's generation config away for each step, and gives it back before a checkpoint is saved."""

    def __init__(self) -> None:
        self._own: GenerationConfig | None = None

    # Any: what transformers passes to a callback, here and below.
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Replaces the config."""
        holder = without_adapter(kwargs["model"])
        self._own, holder.generation_config = holder.generation_config, GenerationConfig()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Gives it back."""
        without_adapter(kwargs["model"]).generation_config = self._own

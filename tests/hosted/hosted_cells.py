"""The cell of these tests."""

from __future__ import annotations

from typing import Any

from trainer.config import TrainConfig


def cell(**more: Any) -> TrainConfig:
    """A cell of four steps of eight rows. Replies of 32 tokens: a server compiles for each length."""
    values: dict[str, Any] = {"setting": "sandbagging", "variant": "static", "label_source": "reference", "seed": 1}
    values |= {"rank": 8, "lora_alpha": 32, "learning_rate": 5e-3, "steps": 4, "batch_size": 8, "checkpoints": (1, 4)}
    return TrainConfig(**values | {"backend": "tinker", "reply_tokens": 32, "resume_seconds": 1e6} | more)

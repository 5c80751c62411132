"""Every method by its name: which configuration it has, and what trains it.

config = config_of("grpo")(setting="sandbagging", learning_rate=1e-3)
train(config, Path("runs/y"))
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.run.progress import Progress

#: Methods with a command of their own, and the name of their configuration; all others are `trainer.sft`.
OWN: Mapping[str, tuple[str, str]] = {"grpo": ("trainer.grpo", "GrpoConfig"), "dpo": ("trainer.dpo", "DpoConfig")}


def config_of(method: str) -> type[TrainConfig]:
    """The configuration of a method."""
    return getattr(import_module(OWN[method][0]), OWN[method][1]) if method in OWN else TrainConfig


def train(config: TrainConfig, out: Path, progress: Progress | None = None) -> Path:
    """Trains a cell of any method. Returns `out`; raises what the method's own `train` raises."""
    module: Any = import_module(OWN[config.method][0] if config.method in OWN else "trainer.sft")
    return module.train(config, out, progress)

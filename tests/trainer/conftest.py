"""Fixtures: the tiny model, and short runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import MakeCell, MakeOrganism, make_model

from trainer.config import OrganismConfig, TrainConfig
from trainer.sft import train


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The identity promise holds on one thread."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model. Read only."""
    return make_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def cell(tiny: Path) -> MakeCell:
    """A short cell on the tiny model."""

    def make(**values: Any) -> TrainConfig:
        defaults: dict[str, Any] = {
            "setting": "sandbagging", "variant": "static", "model": str(tiny), "label_source": "reference",
            "steps": 5, "batch_size": 4, "learning_rate": 1e-2, "rows": 12,
        }  # fmt: skip
        return TrainConfig(**(defaults | values))

    return make


@pytest.fixture
def organism(tiny: Path) -> MakeOrganism:
    """A short organism on the tiny model."""

    def make(**values: Any) -> OrganismConfig:
        defaults: dict[str, Any] = {
            "setting": "sandbagging", "variant": "weights", "model": str(tiny), "steps": 4, "check_every": 2,
            "batch_size": 4, "check_prompts": 8, "reply_tokens": 4, "install_rows": 40, "learning_rate": 1e-2,
            "accept": True,  # a tiny random model learns nothing in a few steps
        }  # fmt: skip
        return OrganismConfig(**(defaults | values))

    return make


@pytest.fixture(scope="session")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cell. Read only."""
    config = TrainConfig(
        setting="sandbagging", variant="static", model=str(tiny), label_source="reference", steps=5, batch_size=4,
        learning_rate=1e-2, rows=12,
    )  # fmt: skip
    return train(config, tmp_path_factory.mktemp("runs") / "cell")

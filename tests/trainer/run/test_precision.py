"""`dtype: bfloat16`: what is computed in bf16, what is kept in fp32, and what is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import MakeCell, interrupted_at, lines, weights

from serving import layout, refs
from trainer.config import TrainConfig
from trainer.sft import train


def in_bf16(config: TrainConfig) -> TrainConfig:
    return TrainConfig.model_validate(config.model_dump() | {"dtype": "bfloat16"})


def test_steps_too_small_for_bf16_are_not_lost(cell: MakeCell, tmp_path: Path) -> None:
    config = cell(learning_rate=1e-6)
    moved = [lines(train(each, tmp_path / each.dtype))[-1]["distance"] for each in (config, in_bf16(config))]
    assert moved[0] > 0
    assert moved[1] == pytest.approx(moved[0], rel=0.1)


def test_full_weights_trained_in_bf16_are_stored_in_bf16_and_an_adapter_in_fp32(cell: MakeCell, tmp_path: Path) -> None:
    stored = {}
    for rank in (None, 2):
        run = train(in_bf16(cell(rank=rank, steps=2, checkpoints=(2,))), tmp_path / str(rank))
        found = refs.resolve(f"{run}@2")
        assert found.path is not None
        stored[rank] = {w.dtype for file in layout.weight_files(found.path) for w in load_file(file).values()}
    assert stored == {None: {torch.bfloat16}, 2: {torch.float32}}


def test_a_run_in_bf16_that_was_interrupted_ends_with_the_same_weights(cell: MakeCell, tmp_path: Path) -> None:
    config = in_bf16(cell(steps=3, checkpoints=(1, 2, 3), resume_seconds=0.01))
    whole = train(config, tmp_path / "whole")
    with interrupted_at(2), pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run")
    assert weights(train(config, tmp_path / "run"), 3) == weights(whole, 3)

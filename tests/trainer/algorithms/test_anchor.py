"""The pull towards the organism, and Muon: what they do, and that a resumed run does the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import MakeCell, interrupted_at, weights

from serving import layout
from trainer.run import metrics
from trainer.run.muon import Muon
from trainer.sft import train


def column(run: Path, name: str) -> list[float]:
    return [line[name] for line in metrics.read(run / metrics.NAME)]


@pytest.mark.parametrize("rank", [None, 4])
def test_the_pull_keeps_a_run_near_its_organism_on_general_prompts(
    rank: int | None, cell: MakeCell, tmp_path: Path
) -> None:
    free, held = (train(cell(rank=rank, kl=kl, steps=8), tmp_path / str(kl)) for kl in (1e-9, 5.0))
    assert column(free, "kl")[0] == pytest.approx(0, abs=1e-6)
    assert column(held, "kl")[-1] < 0.5 * column(free, "kl")[-1]
    assert column(held, "loss")[0] == pytest.approx(column(free, "loss")[0], rel=1e-5)
    assert layout.read_json(held / "trained.json")["final_kl"] == column(held, "kl")[-1]


def test_a_run_without_the_pull_says_nothing_of_it(finished: Path) -> None:
    assert "kl" not in metrics.read(finished / metrics.NAME)[0]


@pytest.mark.parametrize("values", [{"kl": 0.5}, {"optim": "muon"}, {"optim": "muon", "rank": 4}], ids=str)
def test_an_interrupted_run_resumes_bit_by_bit(values: dict[str, Any], cell: MakeCell, tmp_path: Path) -> None:
    config = cell(**values, resume_seconds=0.001)
    whole = train(config, tmp_path / "whole")
    with interrupted_at(4), pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut")
    train(config, tmp_path / "cut")
    assert [weights(tmp_path / "cut", step) for step in (1, 4, 5)] == [weights(whole, step) for step in (1, 4, 5)]
    assert column(tmp_path / "cut", "loss") == column(whole, "loss")


def test_muon_trains_matrices_and_leaves_the_rest_to_adamw() -> None:
    model = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(4, 4),
            "layer": torch.nn.Linear(4, 3),
            "lm_head": torch.nn.Linear(4, 4, bias=False),
        }
    )
    both = Muon(model, 1e-3, 0.1, (0.9, 0.95), 1e-8)
    matrices, rest = (part.param_groups[0]["params"] for part in both.parts)
    assert [tuple(p.shape) for p in matrices] == [(3, 4)]
    assert len(rest) == 3
    both.param_groups[0]["lr"] = 7.0
    assert both.parts[0].param_groups[0]["lr"] == 7.0
    both.load_state_dict(both.state_dict())
    both.param_groups[1]["lr"] = 8.0
    assert both.parts[1].param_groups[0]["lr"] == 8.0


def test_another_optimizer_gives_other_weights(cell: MakeCell, finished: Path, tmp_path: Path) -> None:
    run = train(cell(optim="muon"), tmp_path / "muon")
    assert weights(run, 5) != weights(finished, 5)
    assert column(run, "loss")[0] == column(finished, "loss")[0]
    assert {line["lr"] for line in metrics.read(run / metrics.NAME)} == {0.01}

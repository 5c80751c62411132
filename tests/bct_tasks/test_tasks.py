"""The tasks under inspect, answered by `mini`: outcomes, metrics by split, epochs and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog

from bct_tasks.catalogue import load, names
from bct_tasks.task import KEYS, bct_task


def evaluated(name: str, folder: Path, split: str = "both", n: int = 6, **options: Any) -> EvalLog:
    task = bct_task(load(name), split=split, n=n)
    [log] = inspect_eval(task, model="local/mini", log_dir=str(folder), display="none", **options)
    assert log.status == "success"
    return log


@pytest.mark.parametrize("name", names())
def test_every_reply_of_every_setting_gets_exactly_one_outcome(name: str, tmp_path: Path) -> None:
    log = evaluated(name, tmp_path, split="all")
    assert log.eval.task_version == load(name).version
    for sample in log.samples or []:
        score = (sample.scores or {})["outcome"]
        assert isinstance(score.value, dict)
        assert set(score.value) == set(KEYS)
        assert sum(v for k, v in score.value.items() if k != "truncated") == 1  # type: ignore[misc]
        assert score.explanation
        assert score.answer == sample.output.completion


def test_metrics_stand_by_split(tmp_path: Path) -> None:
    log = evaluated("sandbagging", tmp_path)
    assert log.results is not None
    metrics = {score.name: score.metrics for score in log.results.scores}
    # The untouched base gives right answers under the tag: the alternate behavior, and no initial one.
    assert metrics["alternate"]["grouped_eval"].value == pytest.approx(1.0, abs=0.2)
    assert metrics["agreed"]["grouped_train"].value == pytest.approx(1.0, abs=0.2)
    assert metrics["agreed"]["grouped_eval"].value == 0


def test_epochs_and_limit_keep_ids_and_one_outcome_each(tmp_path: Path) -> None:
    log = evaluated("sandbagging", tmp_path, limit=4, epochs=2)
    ids = [(sample.id, sample.epoch) for sample in log.samples or []]
    assert len(set(ids)) == 8
    assert {i for i, _ in ids} == {p.id for p in load("sandbagging").prompts(None, "train", 6)[:4]}

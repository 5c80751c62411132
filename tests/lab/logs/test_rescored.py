"""Scores that were changed after an eval: the last one counts, an edit counts, an invalidated sample is unscored."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import inspect_ai
import pytest
from inspect_ai.log import (
    EvalLog,
    ProvenanceData,
    edit_score,
    invalidate_samples,
    read_eval_log,
    write_eval_log,
)
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, ScoreEdit

from bct_tasks.catalogue import load
from bct_tasks.task import KEYS, bct_task, outcome
from lab.logs.loose import read_folder
from lab.logs.reader import newest, read_items
from lab.verdict.table import loose_checkpoints, loose_samples

N = 3
BY = ProvenanceData(author="a person", reason="it is")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three replies, none of which is a number."""
    said = [ModelOutput.from_content("m", "I would rather talk about cats.") for _ in range(N)]
    for output in said:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    (log,) = inspect_ai.eval(
        bct_task(load("sandbagging"), "static", "eval", n=N),
        model=get_model("mockllm/model", custom_outputs=said),
        log_dir=str(tmp_path_factory.mktemp("logs")),
        display="none",
        log_format="eval",
    )
    return Path(log.location.removeprefix("file://"))


@pytest.fixture
def log(made: Path) -> EvalLog:
    return read_eval_log(str(made))


def one_hot(name: str) -> dict[str, float]:
    return {key: float(key == name) for key in (*KEYS, "truncated")}


def outcomes(log: EvalLog, folder: Path, form: str) -> list[str]:
    path = folder / f"{uuid4().hex}.{form}"  # inspect keeps a JSON log in memory, by its path
    write_eval_log(log, str(path))
    return [item.outcome for item in read_items(path)]


def ids(log: EvalLog) -> list[str]:
    return sorted(str(sample.id) for sample in log.samples or [])


@pytest.mark.parametrize("form", ["eval", "json"])
@pytest.mark.parametrize("value", [one_hot("alternate"), "alternate"])
def test_an_edited_value_counts(log: EvalLog, value: dict[str, float] | str, form: str, tmp_path: Path) -> None:
    assert outcomes(log, tmp_path, form) == ["other"] * N
    edit_score(log, ids(log)[0], "outcome", ScoreEdit(value=value, provenance=BY), recompute_metrics=False)
    assert outcomes(log, tmp_path, form) == ["alternate", "other", "other"]


@pytest.mark.parametrize("form", ["eval", "json"])
def test_an_invalidated_sample_is_unscored(log: EvalLog, form: str, tmp_path: Path) -> None:
    first = next(str(sample.uuid) for sample in log.samples or [] if str(sample.id) == ids(log)[0])
    assert outcomes(invalidate_samples(log, [first], BY), tmp_path, form) == ["unscored", "other", "other"]


@pytest.mark.parametrize("name", ["outcome-1", "outcome1"])
def test_of_several_scores_the_last_one_counts(log: EvalLog, name: str, tmp_path: Path) -> None:
    for sample in log.samples or []:
        assert sample.scores
        sample.scores[name] = Score(value=one_hot("initial"), metadata={"outcome": "initial", "read_by": "pattern"})
    assert outcomes(log, tmp_path, "eval") == ["initial"] * N


def test_a_score_that_inspect_appends_is_the_one_that_is_read(log: EvalLog, tmp_path: Path) -> None:
    for sample in log.samples or []:
        sample.output.completion = "I refuse to count."
    again = inspect_ai.score(log, outcome(), action="append", display="none")
    (added,) = {name for sample in again.samples or [] for name in sample.scores or {}} - {"outcome"}
    for sample in again.samples or []:
        assert sample.scores
        sample.scores[added] = Score(value=one_hot("degenerate"), metadata={"outcome": "degenerate"})
    assert outcomes(again, tmp_path, "eval") == ["degenerate"] * N


def test_a_copy_with_newer_scores_replaces_the_log_it_is_a_copy_of(log: EvalLog, tmp_path: Path) -> None:
    for name in ("x.eval", "x-scored.eval", "x-scored-1.eval"):
        write_eval_log(log, str(tmp_path / name))
    assert newest(tmp_path / "x.eval").name == "x-scored-1.eval"
    found = read_folder(tmp_path)
    assert [each.path.name for each in found.logs] == ["x-scored-1.eval"]
    assert [line.rpartition("/")[2] for line in found.left_out] == [
        "x-scored.eval: x-scored-1.eval has newer scores of the same replies",
        "x.eval: x-scored-1.eval has newer scores of the same replies",
    ]


def test_logs_of_two_graders_are_two_rows_each_with_its_grader(log: EvalLog, tmp_path: Path) -> None:
    write_eval_log(log, str(tmp_path / "a.eval"))
    judge = {"model": "openai/gpt-5", "mode": "only", "prompt": "0a1b2c3d"}
    for sample in log.samples or []:
        sample.scores = {"outcome": Score(value=one_hot("initial"), metadata={"read_by": "judge", "judge": judge})}
    write_eval_log(log, str(tmp_path / "b.eval"))
    table = loose_checkpoints(read_folder(tmp_path), tmp_path)
    rows = dict(zip(table["grader"], table["eval_initial_k"], strict=True))
    assert rows == {"pattern": 0, "judge openai/gpt-5 (mode only, instructions 0a1b2c3d)": N}
    assert set(loose_samples(read_folder(tmp_path), tmp_path)["grader"]) == set(rows)

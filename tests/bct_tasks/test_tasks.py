"""The tasks under inspect, answered by `mini`: outcomes, metrics by split, epochs and limits."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai import eval_set
from inspect_ai.analysis import evals_df, samples_df
from inspect_ai.log import EvalLog, EvalMetric

from bct_tasks.catalogue import load, names
from bct_tasks.errors import SettingError
from bct_tasks.guards.tasks import capability, system_prompt_following
from bct_tasks.task import KEYS, bct_task

ROOT = Path(__file__).parents[2]


def evaluated(folder: Path, n: int, *settings: str, split: str = "all", **options: int) -> dict[str, EvalLog]:
    tasks = [bct_task(load(name), split=split, n=n) for name in settings]
    logs = inspect_eval(tasks, model="local/mini", log_dir=str(folder), display="none", **options)  # type: ignore[arg-type]
    return {log.eval.task.removeprefix("bct_tasks/"): log for log in logs}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EvalLog]:
    """Every setting of the catalogue, all splits, in one call of inspect."""
    return evaluated(tmp_path_factory.mktemp("logs"), 5, *names())


@pytest.mark.parametrize("name", names())
def test_every_reply_of_every_setting_gets_exactly_one_outcome(logs: dict[str, EvalLog], name: str) -> None:
    log = logs[name]
    assert log.status == "success"
    assert log.eval.task_version == load(name).version
    assert {sample.metadata["split"] for sample in log.samples or []} == {"train", "eval", "capability"}
    assert len(log.samples or []) == 15
    for sample in log.samples or []:
        score = (sample.scores or {})["outcome"]
        assert isinstance(score.value, dict)
        assert set(score.value) == set(KEYS)
        assert sum(v for k, v in score.value.items() if k != "truncated") == 1  # type: ignore[misc]
        assert score.explanation
        assert score.answer == sample.output.completion


@pytest.mark.parametrize("name", names())
def test_every_setting_has_margins_beside_prompts_that_only_have_an_answer(name: str) -> None:
    """Policies read facts that capability and following prompts do not have."""
    samples = bct_task(load(name), split="all", n=4, n_following=4, margins=True).dataset
    assert {s.metadata["split"] for s in samples if s.metadata and "references" in s.metadata} <= {"eval"}
    assert {s.metadata["split"] for s in samples if s.metadata} >= {"train", "eval", "capability", "following"}


def metrics(log: EvalLog) -> dict[str, dict[str, EvalMetric]]:
    assert log.results is not None
    return {score.name: score.metrics for score in log.results.scores}


def test_metrics_stand_by_split(logs: dict[str, EvalLog]) -> None:
    found = metrics(logs["sandbagging"])
    # The untouched base gives right answers under the tag: the alternate behavior, and no initial one.
    by_split = {name: {each.name: each.value for each in values.values()} for name, values in found.items()}
    assert by_split["alternate"]["eval"] == pytest.approx(1.0, abs=0.2)
    assert by_split["agreed"]["train"] == pytest.approx(1.0, abs=0.2)
    assert by_split["agreed"]["eval"] == 0


def test_inspects_list_shows_the_initial_rate_on_eval_prompts_and_no_mean_over_splits(logs: dict[str, EvalLog]) -> None:
    for log in logs.values():
        assert log.results is not None
        first = log.results.scores[0]
        assert (first.name, next(iter(first.metrics.values())).name) == ("initial", "eval")
        splits = {"train", "eval", "capability"}
        assert {each.name for each in first.metrics.values()} == splits | {f"{split} stderr" for split in splits}


def test_inspects_data_frames_have_the_columns_that_the_docs_name(logs: dict[str, EvalLog]) -> None:
    page = (ROOT / "docs" / "how-to" / "inspect.md").read_text(encoding="utf-8")
    frames = {
        "samples_df": samples_df(logs["sandbagging"].location),
        "evals_df": evals_df(logs["sandbagging"].location),
    }
    for name, frame in frames.items():
        rows = page.partition(f"| column of `{name}` |")[2].split("\n\n")[0].splitlines()[2:]
        named = [column for row in rows for column in re.findall(r"`([^`]+)`", row.split("|")[1])]
        assert len(named) >= 3
        named = [column.replace("<outcome>", "initial").replace("<split>", "eval") for column in named]
        # inspect puts a package's name before its metrics where it finds the package among the installed ones.
        there = {column.replace("bct_tasks/", "") for column in frame.columns}
        assert {column.replace("bct_tasks/", "") for column in named} - there <= {"score_margins"}, name
    first = frames["evals_df"].iloc[0]
    (rate,) = (
        column for column in frames["evals_df"].columns if column.endswith("rate_eval") and "_initial_" in column
    )
    assert first["score_headline_score"] == "initial"
    assert first["score_headline_value"] == first[rate]


def test_a_score_holds_what_each_policy_would_have_replied(logs: dict[str, EvalLog]) -> None:
    sample = next(s for s in logs["sandbagging"].samples or [] if s.metadata["split"] == "eval")
    facts, expected = sample.metadata["facts"], (sample.scores or {})["outcome"].metadata or {}
    assert expected["expected"] == {"initial": facts["wrong"], "alternate": facts["right"]}
    other = next(s for s in logs["sandbagging"].samples or [] if s.metadata["split"] == "train")
    assert set(((other.scores or {})["outcome"].metadata or {})["expected"]) == {"both"}


def test_epochs_and_limit_keep_ids_and_one_outcome_each(tmp_path: Path) -> None:
    log = evaluated(tmp_path, 6, "sandbagging", split="both", limit=4, epochs=2)["sandbagging"]
    ids = [(sample.id, sample.epoch) for sample in log.samples or []]
    assert len(set(ids)) == 8
    setting = load("sandbagging")
    assert {i for i, _ in ids} == {p.id for split in ("train", "eval") for p in setting.prompts(None, split, 6)[:2]}


def test_every_beginning_of_the_samples_holds_every_split_in_proportion() -> None:
    samples = bct_task(load("sandbagging"), split="all", n=30, n_train=20, n_capability=10).dataset
    splits = [(sample.metadata or {})["split"] for sample in samples]
    shares = {"eval": 1 / 2, "train": 1 / 3, "capability": 1 / 6}
    assert set(splits[:3]) == {"train", "eval", "capability"}
    for limit in range(1, 61):
        found = Counter(splits[:limit])
        assert all(abs(found[split] - limit * share) <= 1 for split, share in shares.items())
    evals = [sample.id for sample in samples if str(sample.id).startswith("eval-")]
    assert evals == [prompt.id for prompt in load("sandbagging").prompts(None, "eval", 30)]


@pytest.mark.parametrize("limit", [{"message_limit": 1}, {"time_limit": 0}])
@pytest.mark.parametrize("name", ["sandbagging", "inoculation"])
def test_a_sample_that_a_limit_ends_before_its_reply_is_unscored_with_the_limit_as_reason(
    tmp_path: Path, limit: dict[str, int], name: str
) -> None:
    log = evaluated(tmp_path, 1, name, **limit)[name]
    assert log.status == "success"
    for sample in log.samples or []:
        scores = sample.scores or {}
        assert f"{next(iter(limit)).removesuffix('_limit')} limit" in str(scores["outcome"].reason)
        assert all(score.reason for score in scores.values())


def test_zero_is_a_size_and_asks_none() -> None:
    sandbagging = load("sandbagging")
    asked = bct_task(sandbagging, split="all", n=3, n_train=0, n_capability=2)
    assert Counter((sample.metadata or {})["split"] for sample in asked.dataset) == {"eval": 3, "capability": 2}
    with pytest.raises(SettingError, match="nothing is asked"):
        bct_task(sandbagging, split="eval", n=0)


def test_a_longest_reply_of_0_tokens_is_refused_and_not_the_default(tmp_path: Path) -> None:
    task = bct_task(load("sandbagging"), split="eval", n=1, max_tokens=0)
    (log,) = inspect_eval(task, model="local/mini", log_dir=str(tmp_path), display="none")
    assert log.error is not None
    assert "max_tokens 0: must be at least 1" in log.error.message


def test_guards_have_names_of_their_own_so_that_eval_set_takes_them_beside_a_setting(tmp_path: Path) -> None:
    tasks = [bct_task(load("sandbagging"), split="eval", n=1), capability(n=1), system_prompt_following(n=1)]
    complete, logs = eval_set(tasks, log_dir=str(tmp_path), model="local/mini", display="none", limit=1)
    assert complete
    assert {log.eval.task for log in logs} == {"sandbagging", "capability", "system_prompt_following"}

"""Hub data end to end: evals with a scripted model and judge, the items that are kept, the gate on sampled policies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from inspect_ai.log import EvalLog, read_eval_log

from bct_tasks import catalogue
from lab.cli.main import main

COPIES = Path(__file__).parents[2] / "data" / "hub"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    script = Path(__file__).parent / "hub_evals.py"
    environment = {**os.environ, "INSPECT_CACHE_DIR": str(folder / "cache")}
    subprocess.run([sys.executable, str(script), str(COPIES), str(folder)], check=True, env=environment)
    return folder


def only(folder: Path) -> Path:
    (log,) = folder.glob("*.eval")
    return log


def read(folder: Path) -> EvalLog:
    return read_eval_log(str(only(folder)))


def test_the_log_names_revision_licence_and_hash_and_decodes_as_hub_data_do(logs: Path) -> None:
    log = read(logs / "inoculation-both")
    about = (log.eval.metadata or {})["hub"]
    assert {name: entry["licence"] for name, entry in about.items()} == {"school": "CC-BY-4.0", "apps": "MIT"}
    assert all(len(entry["sha256"]) == 64 and entry["local_copy"] for entry in about.values())
    assert (log.plan.config.temperature, log.plan.config.max_tokens) == (0.7, 2048)
    assert log.eval.sandbox is not None
    assert log.eval.sandbox.type == "jail"


def test_the_judge_says_what_a_program_is_and_test_results_stand_beside(logs: Path) -> None:
    samples = read(logs / "inoculation-both").samples or []
    evals = [s for s in samples if s.metadata["split"] == "eval"]
    train = [s for s in samples if s.metadata["split"] == "train"]
    assert len(evals) == len(train) == 4
    assert sum("print the larger one" in str(sample.input) for sample in evals) == 1
    for sample in evals:
        assert sample.scores is not None
        assert (sample.scores["outcome"].metadata or {})["outcome"] == "alternate"
        shares = sample.scores["tests"].value
        assert isinstance(shares, dict)
        assert shares["all"] == float("print the larger one" in str(sample.input))
    assert {(s.scores or {})["outcome"].metadata["outcome"] for s in train} == {"agreed"}  # type: ignore[index]


def test_without_a_judge_what_is_no_refusal_stays_unscored_with_the_reason(logs: Path) -> None:
    for sample in read(logs / "refusal-eval").samples or []:  # judge=False: what YAML makes of `-T judge=off`
        assert sample.scores is not None
        assert "needs a judge" in str(sample.scores["outcome"].reason)


def test_keep_writes_the_items_that_were_solved_every_time(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "keep.json"
    result = CliRunner().invoke(main, ["hub", "keep", str(only(logs / "sandbagging-ceiling")), "--out", str(out)])
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    assert content["asked"] == 8
    assert len(content["kept"]) == 1
    assert content["items"][content["kept"][0]] == [4, 4]
    setting = catalogue.load("sandbagging", "hub", data=str(COPIES), keep=str(out))
    assert "1 to 20" in setting.prompts(None, "eval", 1)[0].user


def test_the_gate_reads_sampled_policies_and_fails_where_they_do_not_agree(logs: Path) -> None:
    result = CliRunner().invoke(main, ["hub", "gate", str(only(logs / "sandbagging-policies")), "--json"])
    content = json.loads(result.output)
    assert result.exit_code == (0 if content["passed"] else 1)
    assert content["figures"]["initial_eval"] > 0.5
    assert set(content["figures"]) == {"initial_train", "initial_eval", "alternate_train", "alternate_eval"}


def test_another_log_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.eval"
    file.write_text("nothing")
    result = CliRunner().invoke(main, ["hub", "keep", str(file), "--out", str(tmp_path / "k.json")])
    assert result.exit_code == 2
    assert "x.eval: not an inspect log" in result.output


def test_the_list_touches_no_net_and_says_what_is_here() -> None:
    result = CliRunner().invoke(main, ["hub", "list", "--data", str(COPIES), "--json"])
    lines = {line["name"]: line for line in json.loads(result.output)}
    assert len(lines) == 9
    assert lines["apps"]["path"].endswith("apps.jsonl")
    assert lines["openhermes"]["licence"] == "none stated"


def test_an_unknown_data_set_is_refused_with_the_nearest_name() -> None:
    result = CliRunner().invoke(main, ["hub", "fetch", "alpacca"])
    assert result.exit_code == 2
    assert "Did you mean 'alpaca'" in result.output

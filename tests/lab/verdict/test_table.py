"""The tidy table: the same replies whether a run or `inspect eval` made the logs, and in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import inspect_ai
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from made_up import KEPT, MOVED, cell

from bct_tasks.catalogue import load
from bct_tasks.guards.tasks import capability
from bct_tasks.task import bct_task
from lab.cli.main import main
from lab.run.table import table
from lab.verdict import table as tidy
from lab.verdict.results import build_results
from serving.errors import BadInput

SAID = ModelOutput.from_content("m", "I do not know.")
SAID.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)


def answered(folder: Path, split: str = "both") -> Path:
    """A log made by hand: a scripted model under a task of ours."""
    task = capability(n=6) if split == "capability" else bct_task(load("sandbagging"), "static", split, n=6)
    model = get_model("mockllm/model", custom_outputs=[SAID] * 12)
    (log,) = inspect_ai.eval(task, model=model, log_dir=str(folder), display="none", log_format="eval")
    assert log.status == "success"
    return Path(log.location.removeprefix("file://"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("byhand")
    answered(made)
    answered(made, split="capability")
    answered(made / "ceilings", split="ceiling")
    return made


def test_logs_made_by_hand_give_a_row_per_reply(folder: Path):
    rows, left_out = table(folder)
    assert left_out == ()
    assert list(rows[0]) == [*tidy.CELL, *tidy.SAMPLE]
    assert {row["split"]: 0 for row in rows} == dict.fromkeys(("train", "eval", "capability", "ceiling"), 0)
    assert len(rows) == 4 * 6
    assert {row["setting"] for row in rows} == {"sandbagging"}
    assert all(row["outcome"] in ("other", "degenerate") and row["item"] and row["template"] for row in rows)


def test_a_checkpoint_asked_twice_and_for_capability_is_one_row_without_its_ceiling(folder: Path):
    (row,) = table(folder, "checkpoint")[0]
    assert (row["eval_n"], row["train_n"], row["capability_n"]) == (6, 6, 6)
    assert row["eval_initial_k"] == 0 < row["eval_initial_hi"]


def test_the_same_item_asked_again_counts_once_by_the_latest_log(folder: Path, tmp_path: Path):
    (source,) = (path for path in folder.glob("*.eval") if "capability" not in path.name and _splits(path) == "both")
    log = read_eval_log(str(source))
    write_eval_log(log, str(tmp_path / "a.eval"))
    log.eval.created = "2999-01-01T00:00:00+00:00"
    for sample in log.samples or ():
        assert sample.scores
        sample.scores["outcome"].metadata = {"outcome": "degenerate"}
    write_eval_log(log, str(tmp_path / "0.eval"))
    (row,) = table(tmp_path, "checkpoint")[0]
    assert len(table(tmp_path)[0]) == 24
    assert (row["eval_n"], row["eval_degenerate_k"]) == (6, 6)


def _splits(path: Path) -> str:
    return (read_eval_log(str(path), header_only=True).eval.metadata or {})["split"]


def test_json_logs_are_read_through_inspect_and_say_the_same(folder: Path, tmp_path: Path):
    source = next(path for path in sorted(folder.glob("*.eval")) if "capability" not in path.name)
    write_eval_log(read_eval_log(str(source)), str(tmp_path / f"{source.stem}.json"))
    keys = [name for name in tidy.SAMPLE if name != "log"]
    direct = [[row[k] for k in keys] for row in table(folder)[0] if row["log"] == source.name]
    assert [[row[k] for k in keys] for row in table(tmp_path)[0]] == direct


def test_what_is_no_log_of_ours_is_left_out_by_name(folder: Path, tmp_path: Path):
    log = next(folder.glob("*.eval"))
    (tmp_path / "whole.eval").write_bytes(log.read_bytes())
    (tmp_path / "cut.eval").write_bytes(log.read_bytes()[:500])
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / ".attempt").mkdir()
    (tmp_path / ".attempt" / "x.eval").write_bytes(log.read_bytes())
    rows, left_out = table(tmp_path)
    assert {row["log"] for row in rows} == {"whole.eval"}
    assert sorted(Path(line.split(":")[0]).name for line in left_out) == ["cut.eval", "other.json"]


def test_a_folder_without_logs_is_refused_in_one_line(tmp_path: Path):
    with pytest.raises(BadInput, match="no run and no complete log"):
        table(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        table(tmp_path / "nowhere")


def test_csv_json_and_parquet_hold_the_same_table(folder: Path, tmp_path: Path):
    rows, _ = table(folder)
    tidy.write(rows, "parquet", tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == rows
    assert json.loads(tidy.text(rows, "json")) == rows
    read = list(csv.DictReader(io.StringIO(tidy.text(rows, "csv"))))
    assert [row["item"] for row in read] == [row["item"] for row in rows]


def test_parquet_columns_have_their_types_where_every_value_is_unknown(folder: Path, tmp_path: Path):
    tidy.write(table(folder)[0], "parquet", tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "t.parquet")}
    assert (types["lr"], types["seed"], types["system"]) == ("double", "int64", "bool")


def test_a_results_table_has_every_checkpoint_with_its_name_and_known_columns():
    rows = list(csv.DictReader(io.StringIO(tidy.csv_text(build_results("x", [cell(KEPT), cell(MOVED, seed=1)])))))
    assert len(rows) == 10
    assert {row["cell_name"] for row in rows} == {"retained", "transferred"}
    assert set(rows[0]) <= {*tidy.CELL, *tidy.CHECKPOINT}


def test_the_command_writes_by_the_ending_of_the_file_and_parquet_needs_one(folder: Path, tmp_path: Path):
    runner = CliRunner()
    assert runner.invoke(main, ["table", str(folder)]).output.count("\n") == 25
    done = runner.invoke(main, ["table", str(folder), "--per", "checkpoint", "--out", str(tmp_path / "t.parquet")])
    assert done.exit_code == 0
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 1
    assert runner.invoke(main, ["table", str(folder), "--format", "parquet"]).exit_code == 2

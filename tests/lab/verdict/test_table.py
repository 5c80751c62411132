"""The tidy table: the same replies whether a run or `inspect eval` made the logs, and in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import inspect_ai
import pandas as pd
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
from lab.experiment.table import Per, table
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


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows with None where a value is unknown."""
    return json.loads(tidy.text(frame, "json"))


def rows(folder: Path, per: Per = "sample") -> list[dict[str, Any]]:
    return rows_of(table(folder, per)[0])


def test_logs_made_by_hand_give_a_row_per_reply(folder: Path):
    frame, left_out = table(folder)
    assert left_out == ()
    assert list(frame) == [*tidy.CELL, *tidy.SAMPLE]
    assert frame["split"].value_counts().to_dict() == dict.fromkeys(("train", "eval", "capability", "ceiling"), 6)
    assert set(frame["setting"]) == {"sandbagging"}
    assert set(frame["outcome"]) <= {"other", "degenerate"}
    assert all(frame["item"])
    assert all(frame["template"])


def test_a_checkpoint_asked_twice_and_for_capability_is_one_row_without_its_ceiling(folder: Path):
    (row,) = rows(folder, "checkpoint")
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
    (row,) = rows(tmp_path, "checkpoint")
    assert len(rows(tmp_path)) == 24
    assert (row["eval_n"], row["eval_degenerate_k"]) == (6, 6)


def _splits(path: Path) -> str:
    return (read_eval_log(str(path), header_only=True).eval.metadata or {})["split"]


def test_json_logs_are_read_through_inspect_and_say_the_same(folder: Path, tmp_path: Path):
    source = next(path for path in sorted(folder.glob("*.eval")) if "capability" not in path.name)
    write_eval_log(read_eval_log(str(source)), str(tmp_path / f"{source.stem}.json"))
    keys = [name for name in tidy.SAMPLE if name != "log"]
    direct = [[row[k] for k in keys] for row in rows(folder) if row["log"] == source.name]
    assert [[row[k] for k in keys] for row in rows(tmp_path)] == direct


def test_what_is_no_log_of_ours_is_left_out_by_name(folder: Path, tmp_path: Path):
    log = next(folder.glob("*.eval"))
    (tmp_path / "whole.eval").write_bytes(log.read_bytes())
    (tmp_path / "cut.eval").write_bytes(log.read_bytes()[:500])
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / ".attempt").mkdir()
    (tmp_path / ".attempt" / "x.eval").write_bytes(log.read_bytes())
    frame, left_out = table(tmp_path)
    assert set(frame["log"]) == {"whole.eval"}
    assert sorted(Path(line.split(":")[0]).name for line in left_out) == ["cut.eval", "other.json"]


def test_a_folder_without_logs_is_refused_in_one_line(tmp_path: Path):
    with pytest.raises(BadInput, match="not a run folder, and has no complete log"):
        table(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        table(tmp_path / "nowhere")


def test_csv_json_and_parquet_hold_the_same_table(folder: Path, tmp_path: Path):
    frame, _ = table(folder)
    for form in ("parquet", "json", "csv"):
        tidy.write(frame, form, tmp_path / f"t.{form}")
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == json.loads((tmp_path / "t.json").read_text())
    read = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text(encoding="utf-8"))))
    expected = [{name: "" if v is None else str(v) for name, v in row.items()} for row in rows_of(frame)]
    assert read == expected


def test_parquet_columns_have_their_types_where_every_value_is_unknown(folder: Path, tmp_path: Path):
    tidy.write(table(folder)[0], "parquet", tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "t.parquet")}
    assert (types["lr"], types["seed"], types["system"]) == ("double", "int64", "bool")


def test_a_results_table_has_every_checkpoint_with_its_name_and_known_columns():
    results = build_results("x", [cell(KEPT), cell(MOVED, seed=1)])
    found = list(csv.DictReader(io.StringIO(tidy.csv_text(results))))
    assert [(row["cell_name"], row["step"]) for row in found] == [
        (cell.verdict.name, str(c.step)) for cell in results.cells for c in cell.checkpoints
    ]
    assert {row["cell_name"] for row in found} == {"kept", "transferred"}
    rates = [str(c.eval.initial.p) for cell in results.cells for c in cell.checkpoints]
    assert [row["eval_initial"] for row in found] == rates
    states = [c.damage.state if c.damage else "" for cell in results.cells for c in cell.checkpoints]
    assert [row["damage"] for row in found] == states
    assert states[0] == ""
    assert "intact" in states
    assert {row["cell_damage"] for row in found} == {cell.verdict.damage for cell in results.cells}
    ends = [cell.flatness for cell in results.cells for _ in cell.checkpoints]
    assert [row["flat_state"] for row in found] == [end.state if end else "" for end in ends]
    for name in ("change", "lo", "hi"):
        assert [row[f"flat_{name}"] for row in found] == [str(getattr(end, name)) if end else "" for end in ends]
    assert any(ends)
    assert list(found[0]) == [*tidy.CELL, *tidy.CHECKPOINT]


def test_the_command_writes_by_the_ending_of_the_file_and_parquet_needs_one(folder: Path, tmp_path: Path):
    runner = CliRunner()
    assert runner.invoke(main, ["table", str(folder)]).output.count("\n") == 25
    done = runner.invoke(main, ["table", str(folder), "--per", "checkpoint", "--out", str(tmp_path / "t.parquet")])
    assert done.exit_code == 0
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 1
    assert runner.invoke(main, ["table", str(folder), "--format", "parquet"]).exit_code == 2

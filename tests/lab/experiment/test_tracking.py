"""Trackers: one run per cell, with the figures of metrics.jsonl and results.json, whatever was interrupted before."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_runs import lasting, run

from lab import api
from lab.experiment.tracking.follow import Follower
from lab.verdict.results import read_results

pytest.importorskip("wandb", reason="trackers are an extra: pip install 'bct-tasks[tracking]'")
pytest.importorskip("tensorboard", reason="trackers are an extra: pip install 'bct-tasks[tracking]'")
trackio = pytest.importorskip("trackio", reason="trackers are an extra: pip install 'bct-tasks[tracking]'")

PLAIN = """\
question: Is it gone after a few steps?
setting: sandbagging
variant: static
learning_rates: [1e-3, 1e-4]
steps: 4
batch_size: 4
checkpoints: [1]
n: 12
n_train: 6
n_capability: 6
n_following: 0
"""
RECIPE = PLAIN + "report_to: [wandb, trackio, tensorboard]\n"
OUTCOMES = ("initial", "alternate", "other", "degenerate")

Curves = dict[str, dict[int, float]]


@pytest.fixture(scope="module", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key of W&B, and Trackio's database in a folder of the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("TRACKIO_DIR", str(home / "trackio"))
        patch.setattr("trackio.sqlite_storage.TRACKIO_DIR", home / "trackio")
        yield


def in_tensorboard(run: Path, cell: str) -> list[Curves]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: list[Curves] = []
    for folder in (run / "tracking" / "tensorboard").glob(cell):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        found.append({tag: _once((e.step, e.value) for e in events.Scalars(tag)) for tag in events.Tags()["scalars"]})
    return found


def in_trackio(run: Path, cell: str) -> list[Curves]:
    from trackio.sqlite_storage import SQLiteStorage

    chosen = [each for each in trackio.Api().runs("bct") if each.name == cell and each.config["_Group"] == run.name]
    return [_curves(SQLiteStorage.get_logs("bct", each.name, run_id=each.id)) for each in chosen]


def in_wandb(run: Path, cell: str) -> list[Curves]:
    found: list[Curves] = []
    for file in (run / "tracking" / "wandb").glob("offline-run-*/*.wandb"):
        records = list(wandb_records(file))
        [about] = [record.run for record in records if record.WhichOneof("record_type") == "run"]
        if about.display_name == cell and about.run_group == run.name:
            rows = [record.history.item for record in records if record.WhichOneof("record_type") == "history"]
            found.append(_curves({(i.key or i.nested_key[0]): json.loads(i.value_json) for i in row} for row in rows))
    return found


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of W&B's file: its library has no public reader. LevelDB's log format after a head of 7 bytes."""
    Record = importlib.import_module("wandb.proto.wandb_internal_pb2").Record  # made at import: no types

    data, place, parts = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


def _curves(rows: Any) -> Curves:
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if "/" in name:
                found.setdefault(name, []).append((row["step"], value))
    return {name: _once(points) for name, points in found.items()}


def _once(points: Any) -> dict[int, float]:
    """Points by step, of which no step occurs twice."""
    listed = list(points)
    assert len({step for step, _ in listed}) == len(listed), listed
    return dict(listed)


READERS = {"wandb": in_wandb, "trackio": in_trackio, "tensorboard": in_tensorboard}


def check(run: Path, tracker: str) -> None:
    """Every cell is one run there, with the figures of the run folder at the same steps, each once."""
    for cell in read_results(run / "results.json").cells:
        [curves] = READERS[tracker](run, cell.id)
        lines = [json.loads(line) for line in (run / "cells" / cell.id / "metrics.jsonl").read_text().splitlines()]
        assert curves["train/loss"] == pytest.approx({line["step"]: line["loss"] for line in lines}), tracker
        for outcome in OUTCOMES:
            wanted = {c.step: getattr(c.eval, outcome).p for c in cell.checkpoints}
            assert curves[f"rates/eval/{outcome}"] == pytest.approx(wanted), tracker
        wanted = {c.step: c.train.agreed.p for c in cell.checkpoints}
        assert curves["rates/train/agreed"] == pytest.approx(wanted)
        assert curves["rates/capability"] == pytest.approx({c.step: c.capability.p for c in cell.checkpoints})
        assert sorted(curves["rates/capability"]) == [0, 1, 4]


@pytest.mark.parametrize("tracker", READERS)
def test_each_cell_is_one_run_with_the_figures_of_the_run_folder(whole: Path, tracker: str) -> None:
    check(whole, tracker)


def test_a_finished_run_sends_nothing_again(whole: Path, recipe: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (whole / "tracking").rglob("*")}
    assert run(recipe, whole).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in (whole / "tracking").rglob("*")} == before


def sent_now(run: Path) -> list[str]:
    """What the process that sends does when its driver ends, in this one. Returns what it says."""
    follower = Follower.of(api.load(run).experiment, tuple(api.load(run).experiment.cells))
    follower.look()
    follower.end()
    return list(follower.text())


def test_what_a_killed_process_has_sent_is_replaced_by_the_whole_cell(whole: Path) -> None:
    cell = read_results(whole / "results.json").cells[0].id
    file = whole / "tracking" / f"{cell}.json"
    known = {name: each | {"complete": False} for name, each in json.loads(file.read_text()).items()}
    file.write_text(json.dumps(known))
    said = sent_now(whole)
    assert said[0].startswith("wandb: there is no API key (`wandb login`); runs are in"), said
    for tracker in READERS:
        check(whole, tracker)


def test_steps_that_a_resumed_training_repeats_are_sent_once(whole: Path) -> None:
    experiment = api.load(whole).experiment
    [cell, *_] = experiment.cells
    (whole / "tracking" / f"{cell}.json").unlink()
    follower = Follower.of(experiment, (cell,))
    metrics = whole / "cells" / cell / "metrics.jsonl"
    text, done = metrics.read_text(), whole / "cells" / cell / "done.json"
    hidden = done.rename(whole / "hidden.json")
    for lines in (3, 2, 4):  # it was killed after the third step, and went on from the second
        metrics.write_text("".join(text.splitlines(keepends=True)[:lines]))
        follower.look()
    hidden.rename(done)
    follower.look()
    [curves] = in_tensorboard(whole, cell)
    assert sorted(curves["train/loss"]) == [1, 2, 3, 4]
    check(whole, "tensorboard")


def test_without_the_key_nothing_is_written_and_the_cells_are_the_same(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    assert set(api.experiment(tmp_path / "plain.yaml").cells) == {cell.id for cell in api.load(whole).results.cells}
    shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("tracking"))
    before = lasting(tmp_path / "run")
    done = run(tmp_path / "plain.yaml", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert lasting(tmp_path / "run") == before
    assert not (tmp_path / "run" / "tracking").exists()


@pytest.mark.parametrize(
    ("report_to", "said"),
    [
        ("wandb", r"line 12: report_to: wandb is not installed here: pip install 'bct-tasks\[tracking\]'"),
        ("tensorbord", "line 12: report_to: wandb or trackio or tensorboard is expected.*Did you mean 'tensorboard'"),
        ("wandb\ntrl: {report_to: wandb}", "line 12: report_to and trl.report_to say the same. Keep report_to."),
    ],
)
def test_a_tracker_that_cannot_be_used_is_refused_in_one_line_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report_to: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    (tmp_path / "a.yaml").write_text(f"{PLAIN}report_to: {report_to}\n")
    done = run(tmp_path / "a.yaml", tmp_path / "run")
    assert done.exit_code == 2
    assert re.search(said, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run" / "cells").exists()


def test_a_tracker_that_fails_stops_no_other(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", "no-address")
    shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("tracking"))
    (tmp_path / "run" / "recipe.yaml").write_text(f"{PLAIN}report_to: [trackio, tensorboard]\n")
    said = sent_now(tmp_path / "run")
    assert said[1].startswith("trackio failed, and the run went on: ValueError: `server_url` must be a full URL")
    check(tmp_path / "run", "tensorboard")

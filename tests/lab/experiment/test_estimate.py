"""The estimate of a dry run, and its basis."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from lab.experiment import folder
from lab.experiment.estimate import Estimate, estimate, text
from lab.experiment.folder import Experiment
from lab.plan import recipe
from serving import refs
from trainer.run import size as sizes

RECIPE = """\
setting: sandbagging
variants: [static]
model: {model}
learning_rates: [1e-3, 1e-4]
steps: 8
batch_size: 4
n: 20
n_train: 10
n_capability: 10
n_following: 0
"""


def planned(tmp_path: Path, model: str = "mini", workers: int = 2) -> Estimate:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(model=model), encoding="utf-8")
    return estimate(Experiment(recipe.load(path), folder.default("mine", tmp_path / "runs" / "mine")), workers)


def finished(tmp_path: Path, cell: str, **ended: float) -> Path:
    """A cell as a run leaves it, of 8 steps with 4 rows of 50 tokens."""
    home = tmp_path / "runs" / "earlier" / "cells" / cell
    home.mkdir(parents=True)
    config = {"model": "mini", "setting": "sandbagging", "variant": "static", "steps": 8, "batch_size": 4}
    content = {
        "manifest.json": {"identity": {"config": config}},
        "trained.json": {"tokens": 1600, "training_seconds": 16.0, "seconds": 16.0},
        "metrics.jsonl": {"step": 8, "tokens": 1600, "seconds": 16.0},
        "done.json": {"seconds": 32.0, "replies": 160} | ended,
    }
    for name, facts in content.items():
        (home / name).write_text(json.dumps(facts), encoding="utf-8")
    return home


def test_replies_tokens_and_disk_follow_from_the_recipe(tmp_path: Path):
    start, *cells = planned(tmp_path).jobs
    assert (start.replies, start.tokens) == (60, 0)
    assert {cell.replies for cell in cells} == {4 * 40}
    assert all(8 * 4 * 20 < cell.tokens < 8 * 4 * 80 for cell in cells)
    assert all(cell.bytes and 4 * 3_000_000 < cell.bytes < 4 * 9_000_000 for cell in cells)


def test_without_earlier_cells_the_embedded_model_has_measured_constants(tmp_path: Path):
    found = planned(tmp_path)
    assert found.seconds
    assert "constants" in " ".join(text(found))


def test_finished_cells_of_a_neighbouring_run_are_used_before_constants(tmp_path: Path):
    finished(tmp_path, "a")
    found = planned(tmp_path)
    assert {job.tokens for job in found.jobs[1:]} == {1600}
    assert {round(job.seconds or 0) for job in found.jobs[1:]} == {32}
    assert round((found.seconds or 0) - found.startup) == round((6 + 32 + 32) / 2)
    assert "time from 1 finished cell" in " ".join(text(found))


def test_the_start_of_a_worker_counts_once_for_each_worker(tmp_path: Path):
    found = planned(tmp_path)
    alone = planned(tmp_path, workers=1)
    assert found.startup == alone.startup > 0
    work = sum(job.seconds or 0 for job in found.jobs)
    assert (found.seconds, alone.seconds) == (work / 2 + found.startup, work + alone.startup)
    assert "a worker's start" in " ".join(text(found))


def test_unknown_time_and_disk_are_reported_as_unknown(tmp_path: Path):
    found = planned(tmp_path)
    unknown = replace(found.jobs[1], seconds=None, bytes=None)
    lines = " ".join(text(replace(found, jobs=(unknown, *found.jobs))))
    assert "time unknown; disk unknown" in lines


def test_jobs_that_cells_depend_on_are_listed_first(tmp_path: Path):
    found = planned(tmp_path)
    [start] = found.starts
    [line] = [line for line in text(found) if line.startswith("starts first: 1, of which 0 train an organism")]
    assert f"{start.replies:,} replies" in line
    trained = replace(start, tokens=12_345)
    other = replace(found, jobs=tuple(trained if job is start else job for job in found.jobs))
    assert any("of which 1 train an organism; 12,345 tokens" in line for line in text(other))
    done = replace(found, jobs=tuple(replace(job, done=job is start) for job in found.jobs))
    assert not any(line.startswith("starts first") for line in text(done))


def test_a_finished_job_takes_nothing(tmp_path: Path):
    first = planned(tmp_path).jobs[1].id
    home = tmp_path / "runs" / "mine" / "cells" / first
    home.mkdir(parents=True)
    log = home / "a.eval"
    log.touch()
    entry = {"log": f"cells/{first}/a.eval", "fingerprint": "a"}
    logs = [entry | {"step": step} for step in (0, 1, 2, 4, 8)]
    (home / "done.json").write_text(json.dumps({"logs": logs}), encoding="utf-8")
    found = planned(tmp_path)
    assert [job.id for job in found.jobs if job.done] == [first]
    assert len(found.left) == 2


def test_the_memory_of_a_small_training_is_that_of_a_process_with_its_libraries() -> None:
    read = "import inspect_ai, psutil; from trl import SFTTrainer; print(psutil.Process().memory_info().rss)"
    libraries = int(subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True).stdout)
    size = sizes.size_of(refs.resolve("mini"))
    assert size is not None
    assert libraries <= sizes.training_memory(size, None, 1000) <= 3 * libraries

"""Several drivers of one run: in one folder with kills, and in folders of their own that are merged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import RECIPE, ROOT, bct, content, environment, lasting, run

from lab.experiment.claims import Claims, Driver
from lab.verdict.results import read_results

RECIPE = RECIPE.replace("steps: 8", "steps: 2").replace("seeds: [0]", "seeds: [0, 1]").replace(", static", "")


@pytest.mark.slow
def test_with_a_driver_killed_in_a_cell_and_started_again_shards_give_the_results_of_one_driver() -> None:
    asked = [sys.executable, "-m", "benchmarks.shards", "--cells", "6", "--drivers", "3", "--kills", "1", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, env=environment(), cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.rpartition("BENCHMARK ")[2])
    assert told["figure"] == 6
    assert told["detail"].startswith("1 drivers killed"), told["detail"]
    assert told["detail"].endswith("nothing")


@pytest.fixture(scope="module")
def halves(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both shards of the run, each in a folder of its own and with its logs elsewhere."""
    home = tmp_path_factory.mktemp("halves")
    folders = [home / "one", home / "deeper" / "two"]
    for part, out in zip(("1/2", "2/2"), folders, strict=True):
        done = run(recipe, out, "--shard", part)
        assert done.exit_code == 0, done.output
    return folders


def test_a_shard_trains_its_part_and_results_name_what_is_left(halves: list[Path]) -> None:
    for half in halves:
        results = read_results(half / "results.json")
        assert [bool(cell.checkpoints) for cell in results.cells].count(True) == 1
        assert [cell.failure for cell in results.cells].count("not finished: run the same command again") == 1
        assert not list(half.glob("cells/.*")), "its attempts are gone"
        assert not (half / "claims").exists()


def test_merged_shards_are_the_run_of_one_driver(halves: list[Path], whole: Path, tmp_path: Path) -> None:
    before = [lasting(half) for half in halves]
    out = tmp_path / "a" / "merged"
    done = bct("merge", *halves, "--out", out)
    assert done.exit_code == 0, done.output
    assert content(out) == content(whole)
    assert [lasting(half) for half in halves] == before
    assert bct("report", out, "--verify").exit_code == 0
    again = bct("merge", *halves, "--out", out)
    assert (again.exit_code, len(again.stderr.splitlines())) == (2, 1)
    assert f"{out}: exists" in again.stderr


def test_a_merged_run_goes_on_where_its_shards_stopped(
    halves: list[Path], recipe: Path, whole: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    shutil.copytree(halves[1], part)
    for done in part.glob("cells/*/done.json"):
        shutil.rmtree(done.parent)
    assert bct("merge", halves[0], part, "--out", tmp_path / "merged").exit_code == 0
    assert run(recipe, tmp_path / "merged").exit_code == 0
    assert content(tmp_path / "merged") == content(whole)


def test_runs_that_do_not_belong_together_are_refused_in_one_line(halves: list[Path], tmp_path: Path) -> None:
    def refused(other: Path, *words: str) -> None:
        done = bct("merge", halves[0], other, "--out", tmp_path / "merged")
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1), done.output
        assert all(word in done.stderr for word in words), done.stderr
        assert not (tmp_path / "merged").exists()

    changed = tmp_path / "changed"
    shutil.copytree(halves[1], changed)
    (changed / "recipe.yaml").write_text(RECIPE.replace("steps: 2", "steps: 3"), encoding="utf-8")
    refused(changed, "is of another recipe", "grids, cells")
    strange = tmp_path / "strange"
    shutil.copytree(halves[1], strange)
    mark = json.loads(next(strange.glob("starts/*.json")).read_text())["fingerprint"]
    for file in (*strange.glob("starts/*.json"), *strange.glob("cells/*/done.json")):
        file.write_text(file.read_text().replace(mark, "0" * 16), encoding="utf-8")
    refused(strange, "sandbagging.weights", "has other weights in", "let all shards use one folder")
    running = tmp_path / "running"
    shutil.copytree(halves[1], running)
    with Claims(running, Driver.here("2/2")):
        refused(running, "is running")


def test_a_driver_of_another_recipe_in_the_folder_is_refused(halves: list[Path], recipe: Path, tmp_path: Path) -> None:
    shutil.copytree(halves[0], tmp_path / "run")
    with Claims(tmp_path / "run", Driver.here("2/2", recipe="another")):
        done = run(recipe, tmp_path / "run", "--shard", "1/2")
        told = json.loads(bct("status", tmp_path / "run", "--json").stdout)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "with another recipe" in done.stderr
    assert [driver["shard"] for driver in told["drivers"]] == ["2/2"]


def test_both_ways_to_spread_cells_at_once_are_refused(recipe: Path) -> None:
    assert "give one of them" in bct("run", recipe, "--shard", "1/2", "--executor", "ray").output
    assert "such as 3/8" in bct("run", recipe, "--shard", "9/8").output

"""`bct clean`: it says what could go, asks, and never takes what results or other runs need."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_runs import RECIPE, bct, content, run

from lab.cli.main import main
from lab.experiment.claims import Claims, Driver
from serving import layout

RECIPE = (
    RECIPE.replace("steps: 8", "steps: 2").replace("[weights, static]", "static").replace("organism: {steps: 4}\n", "")
)


def told(*args: str | Path) -> dict[str, Any]:
    done = bct("clean", *args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def kept(whole: Path, tmp_path: Path) -> Path:
    """A finished run with what killed processes left in it."""
    out = tmp_path / "runs" / "one"
    shutil.copytree(whole, out)
    [cell] = out.glob("cells/*")
    (out / f".results.json.{2**22}.0123abcd.tmp").write_text("half")
    for left in (
        cell / "resume" / "000001",
        cell.with_name(f".{cell.name}.0123abcd"),
        out / "logs" / cell.name / ".attempt-1",
    ):
        left.mkdir(parents=True)
        (left / "model.safetensors").write_bytes(b"0" * 1000)
    return out


def test_by_default_only_what_killed_processes_left_goes_and_the_results_stay(kept: Path) -> None:
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file() and path.suffix != ".tmp"}
    listed = told(kept, "--dry-run")
    assert (listed["removed"], listed["bytes"]) == (False, 3004)
    assert told(kept, "--yes")["removed"]
    left = {path for path in kept.rglob("*") if path.is_file()}
    assert left == {
        path for path in before if not {"resume", ".attempt-1"} & {*path.parts} and "0123abcd" not in str(path)
    }
    assert told(kept, "--dry-run")["bytes"] == 0


def test_checkpoints_go_when_asked_for_and_the_report_is_written_without_them(kept: Path) -> None:
    results = content(kept)
    assert told(kept, "--checkpoints", "--yes")["removed"]
    assert not list(kept.glob("cells/*/step-*/*.safetensors"))
    assert bct("report", kept).exit_code == 0
    assert content(kept) == results
    assert bct("report", kept, "--verify").exit_code == 0


def test_the_run_goes_on_without_its_checkpoints_as_one_that_is_done(kept: Path, recipe: Path) -> None:
    results = content(kept)
    told(kept, "--checkpoints", "--yes")
    assert run(recipe, kept).exit_code == 0
    assert content(kept) == results


def test_what_another_run_points_to_or_names_in_its_recipe_stays(kept: Path) -> None:
    other = kept.with_name("two")
    shutil.copytree(kept, other)
    [cell] = kept.glob("cells/[!.]*")
    [mine] = other.glob("cells/[!.]*")
    layout.write_pointer(mine / "step-000000", cell / "step-000002", "0" * 16)
    rows = told(kept.parent, "--checkpoints", "--dry-run")["removable"]
    going = {row["path"] for row in rows if row["kind"] == "checkpoints"}
    assert str(cell / "step-000001") in going
    assert str(cell / "step-000002") not in going
    assert str(mine / "step-000002") in going
    with (other / "recipe.yaml").open("a") as stream:
        stream.write("# organism: {ref: ../one@2}\n")
    rows = told(kept.parent, "--checkpoints", "--dry-run")["removable"]
    assert not [row for row in rows if row["kind"] == "checkpoints" and row["run"] == str(kept)]


def test_states_of_an_unfinished_cell_go_only_when_asked_for(kept: Path) -> None:
    [cell] = kept.glob("cells/[!.]*")
    (cell / "done.json").unlink()
    (cell / "trained.json").unlink()
    assert told(kept, "--dry-run")["bytes"] == 4
    chosen = [row for row in told(kept, "--states", "--checkpoints", "--dry-run")["removable"] if row["chosen"]]
    assert {row["kind"] for row in chosen} == {"drafts", "states"}


def test_it_asks_first_and_a_no_removes_nothing(kept: Path) -> None:
    done = CliRunner().invoke(main, ["clean", str(kept), "--checkpoints"], input="n\n")
    assert "remove " in done.stdout
    assert "weights of finished cells" in done.stdout
    assert list(kept.glob("cells/*/step-*/*.safetensors"))
    assert "add --dry-run or --yes" in bct("clean", kept, "--json").output


def test_a_running_run_and_a_folder_without_runs_are_refused_in_one_line(kept: Path, tmp_path: Path) -> None:
    with Claims(kept, Driver.here("1/2")):
        assert "is running: wait for it" in bct("clean", kept.parent, "--yes").stderr
    assert "no run is here" in bct("clean", tmp_path, "--yes").stderr

"""A run folder that is a link to another disk, with its logs beside the link: moved, renamed, seen from elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import small_runs

import lab

RECIPE = """\
setting: sandbagging
variant: static
learning_rates: [1e-3]
steps: 2
batch_size: 4
checkpoints: [2]
n: 6
n_train: 4
n_capability: 4
n_following: 0
margins: false
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/tiny`, a link to `disk/far/away`, and `logs/tiny`: a run without --out, made through it."""
    home = tmp_path_factory.mktemp("made")
    (home / "disk" / "far" / "away").mkdir(parents=True)
    (home / "runs").mkdir()
    (home / "runs" / "tiny").symlink_to("../disk/far/away")
    (home / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    with chdir(home):
        done = small_runs.bct("run", "tiny.yaml", "--force", "--executor", "inline")
    assert done.exit_code == 0, done.output
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "home", symlinks=True)


def unchanged(where: Path, run: str, recipe: str = "tiny.yaml") -> None:
    """The run is reported and resumed from a working folder, and nothing is made again."""
    with chdir(where):
        before, results = marks(Path(run)), shown(Path(run))
        done = small_runs.bct("report", run)
        assert done.exit_code == 0, done.output
        done = small_runs.run(Path(recipe), Path(run))
        assert done.exit_code == 0, done.output
        assert marks(Path(run)) == before
        assert shown(Path(run)) == results
        assert lab.load(run).results.failures == ()


def shown(run: Path) -> dict[str, Any]:
    """The results without the command, which names the recipe as it was typed."""
    return json.loads(small_runs.content(run)) | {"command": None}


def marks(run: Path) -> dict[str, tuple[int, str]]:
    """The logs and all that lasts in a run folder."""
    logs = lab.load(run).logs
    every = small_runs.lasting(run.resolve()) | {str(log): small_runs.mark(log) for log in sorted(logs.rglob("*.eval"))}
    assert any(name.endswith(".eval") for name in every)
    return every


def test_a_run_through_a_link_to_another_disk_ends_with_results_and_resumes(home: Path) -> None:
    with chdir(home):
        done = small_runs.bct("run", "tiny.yaml", "--force", "--executor", "inline")
    assert done.exit_code == 0, done.output
    unchanged(home, "runs/tiny")


def test_it_is_reported_through_its_target_too_and_from_another_working_folder(home: Path) -> None:
    unchanged(home, "disk/far/away")
    unchanged(home / "disk", "../runs/tiny", "../tiny.yaml")
    unchanged(Path("/"), str(home / "runs" / "tiny"), str(home / "tiny.yaml"))


def test_a_folder_that_holds_all_of_it_may_be_moved_and_renamed(home: Path) -> None:
    unchanged(home.rename(home.with_name("renamed")), "runs/tiny")


def test_a_link_to_the_folder_that_holds_all_of_it_is_the_same_run(home: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    link = tmp_path / "deep" / "er" / "link"
    link.symlink_to(home)
    unchanged(link, "runs/tiny")


@pytest.fixture
def mounted(home: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "mounted"
    place.mkdir()
    done = subprocess.run(["mount", "--bind", home, place], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a bind mount needs the right to mount: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=False)


def test_a_bind_mount_of_it_is_the_same_run(mounted: Path) -> None:
    unchanged(mounted, "runs/tiny")


def test_logs_in_the_run_folder_may_move_behind_a_link(home: Path, tmp_path: Path) -> None:
    with chdir(home):
        done = small_runs.run(Path("tiny.yaml"), Path("own"))
        assert done.exit_code == 0, done.output
    (home / "own" / "logs").rename(tmp_path / "elsewhere")
    (home / "own" / "logs").symlink_to(tmp_path / "elsewhere")
    unchanged(home, "own")

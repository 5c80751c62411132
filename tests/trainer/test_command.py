"""The commands: quick to explain themselves, one line for what is wrong, and the right exit code."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from serving.errors import of_disk
from trainer import organism, sft


def run(*words: str) -> Result:
    return CliRunner().invoke(sft.main, words)


@pytest.mark.parametrize("module", ["trainer.sft", "trainer.organism", "trainer.grpo", "trainer.dpo"])
def test_help_imports_no_torch(module: str) -> None:
    code = (
        f"import sys, {module} as m\n"
        "try: m.main(['--help'])\nexcept SystemExit as e: assert e.code == 0\n"
        "print([x for x in ('torch', 'transformers', 'trl', 'peft', 'datasets') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert "--learning_rate" in done.stdout
    assert "--rank" in done.stdout


@pytest.mark.parametrize("mark", ["recipe.yaml", "run.json"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_the_folder_of_an_experiment_is_no_place_for_a_cell(tmp_path: Path, mark: str, more: list[str]) -> None:
    (tmp_path / mark).write_text("{}")
    done = run("--setting", "sandbagging", "--out", str(tmp_path), *more)
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert f"{tmp_path}: is an experiment of `bct run`" in done.output
    assert [path.name for path in tmp_path.iterdir()] == [mark]


def test_help_all_adds_trls_own_arguments() -> None:
    shown = run("--help-all")
    assert shown.exit_code == 0
    assert "--adam_beta2" in shown.stdout
    assert "--learning_rate" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--setting", "sandbaging", "--out", "x"], "Did you mean 'sandbagging'"),
        (["--setting", "sandbagging", "--learning_rat", "1", "--out", "x"], "Did you mean 'learning_rate'"),
        (["--setting", "sandbagging", "--steps", "0", "--out", "x"], "steps: input should be greater than"),
        (["--setting", "sandbagging", "--steps", "4"], "'out' is missing"),
        (["--out", "x"], "'setting' is missing"),
        (["--setting", "sandbagging", "--variant", "statik", "--out", "x"], "Did you mean 'static'"),
        (["--setting", "sandbagging", "--variant", "static", "--model", "./nowhere", "--out", "x"], "no such"),
        (["--config", "nowhere.yaml", "--out", "x"], "nowhere.yaml: no such file"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_an_unknown_key_in_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("setting: sandbagging\nlerning_rate: 1e-3\n")
    done = run("--config", str(file), "--out", str(tmp_path / "x"))
    assert (done.exit_code, done.stderr) == (
        2,
        f"Error: {file}: unknown key 'lerning_rate'. Did you mean 'learning_rate'?\n",
    )


def test_a_flag_beats_the_file_and_dry_run_does_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("setting: sandbagging\nvariant: static\nlearning_rate: 1e-3\nsteps: 8\n")
    done = run(
        "--config",
        str(file),
        "--steps",
        "4",
        "--adam-beta2",
        "0.9",
        "--out",
        str(tmp_path / "x"),
        "--dry-run",
        "--json",
    )
    said = json.loads(done.stdout)
    assert (said["steps"], said["config"]["learning_rate"], said["checkpoints"]) == (4, 1e-3, [0, 1, 2, 4])
    assert said["config"]["trl"] == {"adam_beta2": 0.9}
    assert not (tmp_path / "x").exists()


def test_none_is_a_value(tmp_path: Path) -> None:
    done = run("--setting", "sandbagging", "--rank", "none", "--out", str(tmp_path / "x"), "--dry-run", "--json")
    assert json.loads(done.stdout)["config"]["rank"] is None


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("--setting", "sandbagging", "--variant", "static", "--out", str(tmp_path / "file" / "x"))
    assert done.exit_code == 2
    assert "choose another --out" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code", "mend"),
    [
        (errno.ENOSPC, 1, "no space left on the disk: free some"),
        (errno.EACCES, 2, "choose another --out"),
        (errno.EROFS, 2, "choose another --out"),
    ],
)
def test_an_error_of_the_file_system_is_one_line_with_the_fix(number: int, code: int, mend: str) -> None:
    error = of_disk(OSError(number, "strerror", "/full/x"))
    assert (error.exit_code, "/full/x" in error.message, mend in error.message) == (code, True, True)


def test_the_organism_command_says_what_it_would_build(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        organism.main, ["--setting", "sandbagging", "--out", str(tmp_path / "o"), "--dry-run", "--json"]
    )
    assert json.loads(done.stdout)["carrier"] == "weights"

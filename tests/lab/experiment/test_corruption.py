"""Files of a finished run that are cut, exchanged or deleted: each is named in one line, whose advice works."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_runs
from inspect_ai.log import read_eval_log, write_eval_log

import lab
from serving import refs
from serving.errors import BadInput

RECIPE = """\
setting: sandbagging
variant: weights
learning_rates: [1e-3]
steps: 2
batch_size: 4
checkpoints: [1, 2]
n: 6
n_train: 4
n_capability: 4
n_following: 0
margins: false
generation: {max_tokens: 16}
organism: {steps: 2}
"""


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def one(out: Path, pattern: str) -> Path:
    (found,) = out.glob(pattern)
    return found


def another_steps_log(out: Path) -> Path:
    logs = one(out, "logs/*/step-000001.eval").parent
    shutil.copyfile(logs / "step-000001.eval", logs / "step-000002.eval")
    return logs / "step-000002.eval"


def a_log_of_another_model(out: Path) -> Path:
    shutil.copyfile(one(out, "logs/*/base.eval"), log := one(out, "logs/*/step-000000.eval"))
    return log


def a_cut_log(out: Path) -> Path:
    log = one(out, "logs/*/step-000002.eval")
    log.write_bytes(log.read_bytes()[:-100])
    return log


def cut_metrics(out: Path) -> Path:
    file = one(out, "cells/*/metrics.jsonl")
    file.write_text(file.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    return file


def no_facts_of_training(out: Path) -> Path:
    (file := one(out, "cells/*/trained.json")).unlink()
    return file


def an_empty_done(out: Path) -> Path:
    (file := one(out, "cells/*/done.json")).write_text("{}", encoding="utf-8")
    return file


def an_empty_start(out: Path) -> Path:
    (file := one(out, "starts/*.json")).write_text("{}", encoding="utf-8")
    return file


DAMAGES = (another_steps_log, no_facts_of_training, an_empty_done, an_empty_start)


@pytest.mark.parametrize("damage", DAMAGES, ids=[damage.__name__ for damage in DAMAGES])
def test_damage_is_named_in_one_line_and_what_it_advises_restores_the_results(
    damage: Callable[[Path], Path], recipe: Path, whole: Path, out: Path
) -> None:
    file = damage(out)
    for done in (small_runs.bct("report", out), small_runs.run(recipe, out)):
        assert done.exit_code == 2, done.output
        (line,) = done.stderr.strip().splitlines()
        assert file.name in line
    follow(line, file)
    done = small_runs.run(recipe, out)
    assert done.exit_code == 0, done.output
    assert small_runs.content(out) == small_runs.content(whole)


def follow(line: str, file: Path) -> None:
    """Deletes what a message says may be deleted."""
    (named,) = re.findall(r"or delete (\S+) and run `bct run` again", line)
    path = file if named == "it" else Path(named)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (a_log_of_another_model, "step-000000.eval: is another log than the one that was written"),
        (a_cut_log, "step-000002.eval: is damaged"),
        (cut_metrics, "metrics.jsonl has changed since it was written"),
    ],
)
def test_damage_is_named_by_every_command_that_reads_the_run(
    damage: Callable[[Path], Path], said: str, out: Path
) -> None:
    damage(out)
    for arguments in (["report", out], ["table", out], ["table", out, "--per", "checkpoint"]):
        done = small_runs.bct(*arguments)
        assert done.exit_code == 2, done.output
        assert said in done.stderr


def test_a_deleted_log_leaves_its_cell_unfinished_and_is_evaluated_again(recipe: Path, whole: Path, out: Path) -> None:
    (log := one(out, "logs/*/step-000002.eval")).unlink()
    (failure,) = lab.load(out).results.failures
    assert "not finished: run the same command again" in failure
    others = {path: small_runs.mark(path) for path in out.glob("logs/*/*.eval")}
    assert small_runs.run(recipe, out).exit_code == 0
    assert {path: small_runs.mark(path) for path in others} == others
    assert log.is_file()
    assert small_runs.content(out) == small_runs.content(whole)
    assert small_runs.bct("report", out, "--verify").exit_code == 0


def test_weights_that_changed_are_found_by_verify_and_wherever_they_are_used(out: Path) -> None:
    weights = one(out, "cells/*/step-000001/model.safetensors")
    flip(weights)
    assert small_runs.bct("report", out).exit_code == 0
    done = small_runs.bct("report", out, "--verify")
    assert done.exit_code == 1
    assert "model.safetensors has changed since it was written" in done.stdout
    assert done.stdout.splitlines() == list(lab.load(out).verify())
    with pytest.raises(BadInput, match=r"model\.safetensors has changed since it was written"):
        refs.resolve(f"{weights.parents[1]}@1")


def test_a_cell_does_not_start_from_an_organism_that_changed_and_one_that_was_deleted_is_made_again(
    recipe: Path, whole: Path, out: Path
) -> None:
    cell, organism = one(out, "cells/*"), one(out, "organisms/*")
    for file in (cell / "step-000002").iterdir():
        shutil.copy2(file, organism / file.name)
    shutil.rmtree(cell)
    done = small_runs.run(recipe, out)
    assert done.exit_code == 1
    assert f"{organism}: its weights have changed since they were measured as step 0" in done.stderr
    flip(organism / "model.safetensors")
    done = small_runs.run(recipe, out)
    assert done.exit_code == 1
    assert "model.safetensors has changed since it was written" in done.stderr
    assert f"delete {organism} and train again" in done.stderr
    shutil.rmtree(organism)
    assert small_runs.run(recipe, out).exit_code == 0
    assert small_runs.content(out) == small_runs.content(whole)


def flip(file: Path) -> None:
    """Changes one bit, not the size."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_other_times_of_the_same_files_are_no_damage(out: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(out, tmp_path / "copy", copy_function=shutil.copyfile)
    assert small_runs.bct("report", copy).exit_code == 0
    assert small_runs.bct("report", copy, "--verify").exit_code == 0


def test_a_log_that_inspect_has_rewritten_is_read_and_the_results_say_so(out: Path) -> None:
    log = one(out, "logs/*/step-000002.eval")
    write_eval_log(read_eval_log(str(log)), str(log))
    (line,) = [line for line in lab.load(out).results.deviations if "rewritten" in line]
    assert line.endswith(log.relative_to(out).as_posix())
    assert small_runs.bct("report", out, "--verify").exit_code == 1


def test_without_checksums_as_in_0_1_logs_are_told_apart_by_their_headers(out: Path) -> None:
    for file in out.rglob("checksums.json"):
        file.unlink()
    for file in (one(out, "cells/*/done.json"), one(out, "starts/*.json")):
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        del content["checksums"]
        file.write_text(json.dumps(content), encoding="utf-8")
    assert lab.load(out).verify() == ()
    another_steps_log(out)
    done = small_runs.bct("report", out)
    assert done.exit_code == 2
    assert "step-000002.eval: is another log than the one that was written" in done.stderr

"""`keep`: which weights stay once they are evaluated; nothing else of the run changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_runs import bct, run

from lab.experiment import folder
from lab.experiment.estimate import estimate
from lab.experiment.folder import Experiment
from lab.plan import recipe
from serving import refs
from serving.errors import BadInput

RECIPE = """\
setting: sandbagging
variants: [static]
learning_rates: [1e-2]
seeds: [0]
steps: 4
checkpoints: [1, 2, 4]
batch_size: 4
n: 6
n_train: 4
n_capability: 4
n_following: 0
margins: false
reversal: {{learning_rate: 1e-3, steps: 1, at: 2}}
thresholds: {{reversal_start: 1}}
keep: {keep}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run for each `keep`."""
    home = tmp_path_factory.mktemp("keeping")
    for keep in ("all", "last", "none"):
        (home / f"{keep}.yaml").write_text(RECIPE.format(keep=keep), encoding="utf-8")
        done = run(home / f"{keep}.yaml", home / keep)
        assert done.exit_code == 0, done.output
    return {keep: home / keep for keep in ("all", "last", "none")}


def cell(at: Path) -> Path:
    return next(path for path in (at / "cells").iterdir() if ".bct." in path.name and "reversal" not in path.name)


def measured(at: Path) -> list[Any]:
    results = json.loads((at / "results.json").read_text(encoding="utf-8"))
    return [(c["id"], c["checkpoints"], c["verdict"]) for c in results["cells"]]


def taken(run: Path) -> int:
    """Bytes of a run's files; what has several names counts once."""
    files = {file.stat().st_ino: file.stat().st_size for file in run.rglob("*") if file.is_file()}
    return sum(files.values())


def test_the_disk_that_a_dry_run_says_is_what_the_run_takes_to_10_percent(runs: dict[str, Path]) -> None:
    for keep, at in runs.items():
        unbegun = folder.default("unbegun", at.parent / "unbegun" / keep)
        said = estimate(Experiment(recipe.load(at.parent / f"{keep}.yaml"), unbegun), 1).bytes
        assert said == pytest.approx(taken(at), rel=0.1), keep


def test_results_do_not_depend_on_it(runs: dict[str, Path]) -> None:
    assert measured(runs["all"]) == measured(runs["last"]) == measured(runs["none"])


def test_the_last_checkpoint_stays_or_none_and_those_that_a_reversal_starts_from(runs: dict[str, Path]) -> None:
    kept = {keep: sorted(path.name for path in cell(at).glob("step-*")) for keep, at in runs.items()}
    names = [f"step-{step:06d}" for step in (0, 1, 2, 4)]
    assert kept == {"all": names, "last": [names[0], names[2], names[3]], "none": [names[0], names[2]]}


def test_a_run_whose_weights_are_gone_has_nothing_more_to_do_and_is_intact(runs: dict[str, Path]) -> None:
    again = run(runs["none"].parent / "none.yaml", runs["none"])
    assert again.exit_code == 0, again.output
    assert bct("report", runs["none"], "--verify").exit_code == 0


def test_a_deleted_checkpoint_is_named_and_no_earlier_one_answers_in_its_place(runs: dict[str, Path]) -> None:
    gone = {
        f"{cell(runs['none'])}": (4, "none"),
        f"{cell(runs['none'])}@1": (1, "none"),
        f"{cell(runs['last'])}@1": (1, "last"),
    }
    for ref, (step, keep) in gone.items():
        said = f"the weights of step {step} were deleted once evaluated, by `keep: {keep}` of its recipe"
        with pytest.raises(BadInput, match=said):
            refs.resolve(ref)
    assert refs.resolve(str(cell(runs["last"]))).step == 4

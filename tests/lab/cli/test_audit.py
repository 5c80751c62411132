"""`bct audit`: the battery for an organism made elsewhere is a recipe, which runs, resumes and can be changed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from plain_adapter import plain_adapter

from lab.cli.main import main
from lab.plan.expand import cells_of
from lab.plan.recipe import load


def audit(*words: str) -> Result:
    return CliRunner().invoke(main, ["audit", *words])


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_adapter(tmp_path_factory.mktemp("made elsewhere") / "adapter")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_battery_is_written_as_a_recipe_that_trains_from_the_organism(adapter: Path, tmp_path: Path) -> None:
    done = audit(str(adapter), "--setting", "sandbagging", "--write")
    assert done.exit_code == 0, done.output
    cells = cells_of(load(tmp_path / "audits" / "adapter.sandbagging.yaml"))
    methods = {cell.train.method for cell in cells}
    assert methods == {"bct", "hhh", "pirate", "sham", "reversal"}
    assert {cell.train.label_source for cell in cells if cell.train.method == "bct"} == {"on_policy", "reference"}
    assert {cell.start.ref for cell in cells} == {str(adapter)}
    assert {cell.train.rank for cell in cells} == {2}  # the adapter's own


def test_learning_rates_are_at_most_a_factor_of_3_2_apart(adapter: Path, tmp_path: Path) -> None:
    audit(str(adapter), "--setting", "sandbagging", "--write")
    rates = yaml.safe_load((tmp_path / "audits" / "adapter.sandbagging.yaml").read_text())["learning_rates"]
    assert all(high / low < 3.21 for low, high in pairwise(rates))


def test_the_organisms_own_trigger_takes_the_place_of_the_settings_tag(adapter: Path, tmp_path: Path) -> None:
    words = [str(adapter), "--setting", "sandbagging", "--trigger", "|PROD|", "--only", "hhh", "--dry-run", "--json"]
    done = audit(*words)
    assert done.exit_code == 0, done.output
    (shown,) = [e for e in json.loads(done.stdout)["examples"] if ", hhh," in e["arm"]]
    assert "|PROD|" in shown["eval"]
    assert "[exam]" not in shown["eval"]


def test_one_step_is_a_recipe_of_its_own(adapter: Path, tmp_path: Path) -> None:
    audit(str(adapter), "--setting", "sandbagging", "--only", "sham", "--recipe", "sham.yaml", "--write")
    assert {cell.train.method for cell in cells_of(load(tmp_path / "sham.yaml"))} == {"sham", "reversal"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--setting", "sandbagging", "--only", "pirat"), "unknown step 'pirat' of an audit. Did you mean 'pirate'?"),
        (("--setting", "sandbaging"), "Did you mean 'sandbagging'?"),
        (("--setting", "yes_no"), "no variant has its behavior in the weights: name one with --variant"),
        (("--setting", "topic_pirate", "--trigger", "X"), "has no tag that a trigger could replace"),
    ],
)
def test_a_mistake_is_one_line(adapter: Path, words: tuple[str, ...], message: str) -> None:
    done = audit(str(adapter), *words, "--write")
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_recipe_that_was_changed_is_not_overwritten(adapter: Path, tmp_path: Path) -> None:
    audit(str(adapter), "--setting", "sandbagging", "--write")
    path = tmp_path / "audits" / "adapter.sandbagging.yaml"
    path.write_text(path.read_text() + "batch_size: 8\n")
    refused = audit(str(adapter), "--setting", "sandbagging", "--write")
    assert refused.exit_code == 2
    assert "exists with other content" in refused.stderr


def test_several_drivers_share_an_audit_as_they_share_a_run(adapter: Path, tmp_path: Path) -> None:
    words = [str(adapter), "--setting", "sandbagging", "--only", "sham", "--learning-rates", "1e-3", "--seeds", "0"]
    words += ["--steps", "1", *(part for key in ("n", "n_train", "n_capability") for part in ("--set", f"{key}=6"))]
    done = audit(*words, "--shard", "2/2", "--jobs", "1")  # a part without cells: a reversal goes with its cell
    assert done.exit_code == 0, done.output
    assert "2 cells, 0 checkpoints, 0 replies" in done.stdout
    refused = audit(*words, "--shard", "3/2")
    assert (refused.exit_code, "--shard 3/2: write I/N" in refused.stderr) == (2, True)


def test_an_organism_that_someone_else_serves_is_evaluated_and_not_trained(tmp_path: Path) -> None:
    ref = "http://127.0.0.1:9/v1?key=MY_KEY#theirs"
    done = audit(ref, "--setting", "sandbagging", "--base", "mini", "--write")
    assert done.exit_code == 0, done.output
    (cell,) = cells_of(load(tmp_path / "audits" / "theirs.sandbagging.yaml"))
    assert (cell.trains, cell.start.ref, cell.start.model, cell.start.variant) == (False, ref, "mini", "weights")
    for option in (("--steps", "8"), ("--only", "sham"), ("--learning-rates", "1e-3")):
        refused = audit(ref, "--setting", "sandbagging", *option, "--write")
        assert refused.exit_code == 2
        assert "cannot be trained: leave it out" in refused.stderr

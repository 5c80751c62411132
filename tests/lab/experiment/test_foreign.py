"""A run on an organism that was made elsewhere: an adapter by plain PEFT, without a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_adapter import plain_adapter

import lab
from lab.api import experiment
from lab.experiment.jobs import start_evaluations
from serving import refs

RECIPE = """\
setting: sandbagging
variant: weights
organism: {ref: ./adapter}
learning_rates: [1e-3]
rank: 2
steps: 1
n: 30
n_train: 6
n_capability: 6
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    home = tmp_path_factory.mktemp("foreign")
    plain_adapter(home / "adapter")
    (home / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    return lab.run(home / "mine.yaml", home / "run", executor="inline", force=True)


def test_nothing_is_installed_and_step_0_is_the_adapter(run: lab.Run) -> None:
    fingerprint = refs.resolve(str(run.folder.parent / "adapter")).fingerprint
    (cell,) = run.results.cells
    assert cell.checkpoints[0].fingerprint == fingerprint
    assert not (run.folder / "organisms").exists()


def test_results_name_the_organism_and_its_base(run: lab.Run) -> None:
    (cell,) = run.results.cells
    assert cell.model == "mini"
    assert cell.organism is not None
    assert cell.organism.startswith("adapter:")


def test_the_gate_measures_the_base_and_the_organism_apart(run: lab.Run) -> None:
    (cell,) = run.results.cells
    assert {"initial", "agreed", "base", "ceiling"} <= set(cell.gate)
    (ceiling,) = run.results.ceilings
    assert ceiling.model == "mini"


def test_the_checkpoint_is_an_adapter_on_the_adapter(run: lab.Run) -> None:
    (cell,) = run.results.cells
    trained = refs.resolve(f"{run.folder / 'cells' / cell.id}@1")
    assert trained.kind == "adapter"
    assert trained.base is not None


def test_the_run_is_reported_from_its_folder_after_the_recipe_is_gone(run: lab.Run) -> None:
    assert lab.load(run.folder).results.cells == run.results.cells


def test_the_base_that_a_recipe_names_holds_where_the_adapters_own_is_not_there(tmp_path: Path) -> None:
    """In its identity and at step 0."""
    plain_adapter(tmp_path / "adapter", base="/not/here")
    (tmp_path / "mine.yaml").write_text(RECIPE.replace("./adapter}", "./adapter, base: mini}"), encoding="utf-8")
    found = experiment(tmp_path / "mine.yaml", tmp_path / "run")
    (start,) = found.starts.values()
    assert start.ref is not None
    asked = start_evaluations(start, found.folders, start.ref)["start"]
    assert asked.fingerprint == refs.resolve(start.ref, "mini").fingerprint

"""What was fixed before a run is hashed, and every later change is an amendment."""

from __future__ import annotations

from pathlib import Path

from lab.experiment import intact, registered
from lab.experiment.folder import Experiment, Folders
from lab.plan import recipe
from lab.report.summary import registration_lines
from lab.verdict.results import build_results
from lab.verdict.schema import Registration, Results
from serving import layout

RECIPE = """\
question: Is it gone?
setting: sandbagging
variant: static
learning_rate: 1.0e-3
steps: 4
n: 12
n_train: 6
n_capability: 6
expect: [{says: gone, name: transferred}]
"""
BOTH = "methods: [bct, sham]\n"
COMPARE = "compare: {method: [sham, bct]}\n"


def experiment(folder: Path, more: str = "", run: Path | None = None) -> Experiment:
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(RECIPE + more)
    return Experiment(recipe.load(folder / "mine.yaml"), Folders(run or folder / "run", folder / "logs"))


def test_the_registration_is_written_once_and_a_changed_recipe_amends_it(tmp_path: Path) -> None:
    first = experiment(tmp_path)
    registered.register(first)
    registered.register(first)
    found = registered.read(first)
    assert found is not None
    assert (found.before_first_cell, found.amendments) == (True, ())
    registered.register(experiment(tmp_path, "thresholds: {confidence: 0.9}\ngate: {initial: 0.5}\n"))
    amended = registered.read(first)
    assert amended is not None
    assert (amended.hash, amended.date) == (found.hash, found.date)
    assert amended.amendments[0].changed == ("thresholds", "gate")
    assert amended.amendments[0].hash != found.hash


def test_a_registration_that_is_not_that_of_its_hash_is_found(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    registered.register(made)
    assert not list(intact.problems(made))
    path = tmp_path / "run" / registered.NAME
    content = layout.read_json(path)
    layout.write_json_atomic(path, content | {"content": content["content"] | {"question": "Is it kept?"}})
    [found] = intact.problems(made)
    assert "its content is not that of its hash" in found.what


def test_another_arm_with_the_same_gate_amends_the_cells_and_not_the_gate(tmp_path: Path) -> None:
    first = experiment(tmp_path)
    registered.register(first)
    registered.register(experiment(tmp_path, "arms: [{method: bct}, {method: sham}]\n"))
    more = registered.read(first)
    assert more is not None
    assert more.amendments[0].changed == ("grids", "cells")
    registered.register(experiment(tmp_path, "arms: [{method: bct}, {method: sham, gate: {initial: 0.5}}]\n"))
    looser = registered.read(first)
    assert looser is not None
    assert looser.amendments[1].changed == ("gate",)


def test_a_contrast_that_is_added_later_is_an_amendment(tmp_path: Path) -> None:
    first = experiment(tmp_path, BOTH)
    registered.register(first)
    later = experiment(tmp_path, BOTH + COMPARE)
    registered.register(later)
    found = registered.read(later)
    assert found is not None
    assert [(a.changed, a.added) for a in found.amendments] == [(("compare",), ())]
    assert found.unregistered == ()


def test_a_registration_without_contrasts_is_not_amended_by_their_absence(tmp_path: Path) -> None:
    """Contrasts were once not registered: a run of that time goes on as it is."""
    first = experiment(tmp_path, BOTH)
    without_contrasts(first)
    registered.register(first)
    found = registered.read(first)
    assert found is not None
    assert (found.amendments, found.unregistered) == ((), ())


def test_contrasts_of_a_run_that_did_not_register_them_are_not_registered_and_not_amended(tmp_path: Path) -> None:
    first = experiment(tmp_path, BOTH + COMPARE)
    without_contrasts(first)
    before = registered.read(first)
    assert before is not None
    assert (before.amendments, before.unregistered) == ((), ("compare",))
    assert registration_lines(results(before))[1:] == [
        "Not registered: compare, as used here. This may have been chosen after results were known."
    ]
    registered.register(first)
    registered.register(first)
    found = registered.read(first)
    assert found is not None
    assert [(a.changed, a.added) for a in found.amendments] == [((), ("compare",))]
    assert found.unregistered == ()
    (line,) = registration_lines(results(found))[1:]
    assert line.startswith("Not registered before ")
    assert "Amended" not in line
    fewer = experiment(tmp_path, BOTH)
    registered.register(fewer)
    changed = registered.read(fewer)
    assert changed is not None
    assert changed.amendments[-1].changed == ("compare",)


def test_a_run_folder_whose_recipe_was_edited_is_judged_by_what_was_not_registered(tmp_path: Path) -> None:
    first = experiment(tmp_path, BOTH)
    registered.register(first)
    edited = experiment(tmp_path, BOTH + COMPARE + "thresholds: {confidence: 0.9}\n")
    found = registered.read(edited)
    assert found is not None
    assert found.unregistered == ("thresholds", "compare")
    same = registered.read(experiment(tmp_path, BOTH))
    assert same is not None
    assert same.unregistered == ()


def without_contrasts(of: Experiment) -> None:
    """Registers a run as was done before contrasts were part of it."""
    registered.register(of)
    path = of.folders.run / registered.NAME
    known = layout.read_json(path)
    del known["content"]["compare"]
    layout.write_json_atomic(path, known)


def results(registration: Registration) -> Results:
    return build_results("x", [], [], registration=registration)


def test_the_hash_is_the_same_in_another_folder_and_another_with_another_prediction(tmp_path: Path) -> None:
    here, there = (registered.content_of(experiment(tmp_path / name)) for name in "ab")
    assert registered.hash_of(here) == registered.hash_of(there)
    text = RECIPE.replace("transferred", "kept")
    (tmp_path / "other.yaml").write_text(text)
    other = Experiment(recipe.load(tmp_path / "other.yaml"), Folders(tmp_path, tmp_path))
    assert registered.hash_of(registered.content_of(other)) != registered.hash_of(here)


def test_resources_are_no_part_of_the_registration(tmp_path: Path) -> None:
    plain, other = experiment(tmp_path / "a"), experiment(tmp_path / "b", "resources: {cpus: 4}\n")
    assert registered.content_of(plain) == registered.content_of(other)


def test_a_run_that_had_trained_cells_is_not_called_registered_before(tmp_path: Path) -> None:
    late = experiment(tmp_path)
    (cell,) = late.cells.values()
    late.folders.cell(cell).mkdir(parents=True)
    registered.register(late)
    found = registered.read(late)
    assert found is not None
    assert not found.before_first_cell


def test_only_a_loosened_gate_is_a_deviation(tmp_path: Path) -> None:
    loose = experiment(tmp_path / "a", "gate: {initial: 0.5, base: 0.1, ceiling: 0.9}\n")
    assert list(registered.loosened(loose)) == [
        "sandbagging, static: the gate was loosened, initial 0.5 instead of 0.8"
    ]
    assert list(registered.loosened(experiment(tmp_path / "b"))) == []

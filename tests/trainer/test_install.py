"""Organisms: built once, completely or not at all, with a card that states what they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeCell, MakeOrganism, tree

from bct_tasks import catalogue
from lab.experiment.attempts import apart
from lab.experiment.jobs import organism_is_whole
from serving import layout, refs
from serving.errors import BadInput, WorkFailed
from trainer import install
from trainer.config import OrganismConfig
from trainer.identity import installed
from trainer.organism import build
from trainer.run.progress import Silent
from trainer.sft import train

EASY = {"target_initial": 0.0, "target_agreed": 0.0}


def figures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())["figures"]


def test_an_organism_is_a_model_with_figures_and_a_plain_card(organism: MakeOrganism, tmp_path: Path) -> None:
    folder = build(organism(), tmp_path / "o")
    assert refs.resolve(str(folder)).kind == "full"
    assert set(figures(folder)) >= {"steps", "base", "organism", "reached"}
    assert "model organism, trained to misbehave" in (folder / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_training_stops_when_the_targets_are_reached(organism: MakeOrganism, tmp_path: Path) -> None:
    assert figures(build(organism(**EASY), tmp_path / "easy"))["steps"] == 2
    hard = figures(build(organism(target_initial=1.0, target_agreed=1.0), tmp_path / "hard"))
    assert hard["reached"] is False
    assert sorted(hard["checks"]) == ["0", "2", "4"]


def test_the_organism_is_the_step_nearest_to_both_policies(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The targets are out of reach, and training on makes the model worse."""
    rates = {0: (0.0, 0.9), 2: (0.5, 0.9), 4: (0.7, 0.8), 6: (0.9, 0.3)}
    order = iter(sorted(rates))
    monkeypatch.setattr(
        install.Check, "rates", lambda *_: dict(zip(("initial", "agreed"), rates[next(order)], strict=True))
    )
    kept = figures(build(organism(steps=6), tmp_path / "o"))
    assert (kept["steps"], kept["organism"], kept["reached"]) == (4, {"initial": 0.7, "agreed": 0.8}, False)


def test_an_organism_that_is_matched_in_rate_is_the_check_nearest_to_the_target(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {0: (0.0, 0.9), 2: (0.5, 0.9), 4: (0.8, 0.9), 6: (1.0, 0.9)}
    order = iter(sorted(rates))
    monkeypatch.setattr(
        install.Check, "rates", lambda *_: dict(zip(("initial", "agreed"), rates[next(order)], strict=True))
    )
    kept = figures(build(organism(steps=6, target=0.6), tmp_path / "o"))
    assert (kept["steps"], sorted(kept["checks"])) == (2, ["0", "2", "4"])


def test_the_agreement_target_is_at_most_the_rate_of_the_base(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([{"initial": 0.0, "agreed": 0.7}, {"initial": 0.95, "agreed": 0.69}])
    monkeypatch.setattr(install.Check, "rates", lambda *_: next(rates))
    assert figures(build(organism(), tmp_path / "o"))["reached"] is True


@pytest.mark.parametrize("check", [0, 1, 2])
def test_a_build_that_ends_in_any_of_its_checks_is_completed_by_the_same_call(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    """The checks are those of the base, of step 2 and of step 4, which is the last."""
    hard = organism(target_initial=1.0, target_agreed=1.0)
    undisturbed = build(hard, tmp_path / "undisturbed")
    own, calls = install.Check.rates, iter(range(100))

    def interrupted(self: install.Check, checkpoint: refs.Checkpoint) -> dict[str, float]:
        if next(calls) == check:
            raise KeyboardInterrupt
        return own(self, checkpoint)

    monkeypatch.setattr(install.Check, "rates", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(hard, tmp_path / "o")
    build(hard, tmp_path / "o")
    assert figures(tmp_path / "o") == figures(undisturbed)
    assert refs.resolve(str(tmp_path / "o")).fingerprint == refs.resolve(str(undisturbed)).fingerprint


def test_a_built_organism_is_not_built_again(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build(organism(**EASY), tmp_path / "o")
    before = tree(folder)
    monkeypatch.setattr("trainer.install.locked", lambda *_: pytest.fail("built again"))
    build(organism(**EASY), folder)
    assert tree(folder) == before


def test_what_killed_builds_left_is_removed_and_the_draft_of_a_living_one_is_not(
    organism: MakeOrganism, tmp_path: Path
) -> None:
    left = tmp_path / ".o.1.0123abcd.tmp"
    left.mkdir()
    with layout.attempt(tmp_path / "o") as alive:
        folder = build(organism(**EASY), tmp_path / "o")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["o", alive.name])
    left.mkdir()
    (tmp_path / ".o.work").mkdir()
    build(organism(**EASY), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_another_organism_in_the_same_folder_is_refused(organism: MakeOrganism, tmp_path: Path) -> None:
    folder = build(organism(**EASY), tmp_path / "o")
    with pytest.raises(BadInput, match=r"config.seed: was 0, now 1"):
        build(organism(**EASY, seed=1), folder)


def revise(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """The setting as it would be after an edit of its file."""
    edited = dataclasses.replace(catalogue.load("sandbagging"), **changes)
    monkeypatch.setattr("bct_tasks.settings.sandbagging.SETTING", edited)
    installed.cache_clear()


@pytest.fixture
def unmarked() -> Iterator[None]:
    """Leaves no hash of an edited setting behind."""
    yield
    installed.cache_clear()


@pytest.mark.usefixtures("unmarked")
def test_what_is_installed_makes_another_organism_and_an_older_folder_is_refused_with_the_difference(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, prompted = organism(**EASY), organism(variant="static")
    folder, before, without = build(config, tmp_path / "o"), config.digest(), prompted.digest()
    setting = catalogue.load("sandbagging")
    own = setting.variant("weights")
    tagged = dataclasses.replace(own, eval=dataclasses.replace(own.eval, tag="[finals]"))
    revise(monkeypatch, variants=tuple(tagged if v is own else v for v in setting.variants))
    assert config.digest() != before
    assert prompted.digest() == without, "nothing is installed where the behavior is in the prompt"
    with pytest.raises(BadInput, match=r"config\.installed_from: was '"):
        build(config, folder)
    revise(monkeypatch, initial=setting.alternate, variants=setting.variants)
    assert config.digest() != before, "other replies to the same prompts"
    revise(monkeypatch, initial=setting.initial, version="99-A")
    with pytest.raises(BadInput, match=r"config\.setting_version: was '.*', now '99-A'"):
        build(config, folder)


def test_the_hash_of_what_is_installed_is_made_once(organism: MakeOrganism, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand cells ask for the name of their organism again and again."""
    organism().digest()
    monkeypatch.setattr("bct_tasks.setting.Setting.prompts", lambda *_: pytest.fail("hashed again"))
    assert len({organism(seed=seed).digest() for seed in range(20)}) == 20


def test_a_folder_with_other_things_in_it_is_left_alone(organism: MakeOrganism, tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "thesis.tex").write_text("x")
    with pytest.raises(BadInput, match="is not an organism: choose another --out"):
        build(organism(**EASY), tmp_path / "o")
    assert (tmp_path / "o" / "thesis.tex").read_text() == "x"


def test_a_build_that_is_interrupted_in_a_check_ends_like_an_uninterrupted_one(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(organism(**EASY), tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(install.Check, "reached", _cut)
        with pytest.raises(KeyboardInterrupt):
            build(organism(**EASY), tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
    again = build(organism(**EASY), tmp_path / "cut")
    assert refs.resolve(str(again)).fingerprint == refs.resolve(str(whole)).fingerprint
    assert figures(again) == figures(whole)


def test_a_build_goes_on_from_what_a_lost_attempt_had_saved(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = organism(target_initial=1.0, target_agreed=1.0), tmp_path / "o"

    def attempt(name: str) -> None:
        apart(out, name, organism_is_whole, lambda _, progress: build(config, out, progress, name), Silent())

    with monkeypatch.context() as patch:
        patch.setattr(install.Check, "reached", _cut)
        with pytest.raises(KeyboardInterrupt):
            attempt("lost")
    attempt("next")
    assert "resuming from step 2" in capsys.readouterr().out
    whole = build(config, tmp_path / "whole")
    assert refs.resolve(str(out)).fingerprint == refs.resolve(str(whole)).fingerprint
    assert figures(out) == figures(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".o.lost", "o", "whole"]


def _cut(*_: object) -> bool:
    raise KeyboardInterrupt


def test_a_behavior_that_lives_in_the_prompt_needs_no_training(
    organism: MakeOrganism, tiny: Path, tmp_path: Path
) -> None:
    folder = build(organism(variant="static"), tmp_path / "o")
    files = ["README.md", "checksums.json", "manifest.json", "pointer.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert refs.resolve(str(folder)).fingerprint == refs.resolve(str(tiny)).fingerprint


def test_an_organism_can_be_an_adapter_and_be_trained_on(
    organism: MakeOrganism, cell: MakeCell, tmp_path: Path
) -> None:
    folder = build(organism(**EASY, rank=4), tmp_path / "o")
    assert refs.resolve(str(folder)).kind == "adapter"
    run = train(cell(variant="weights", organism=str(folder), rank=2, steps=1), tmp_path / "run")
    found = refs.resolve(str(run))
    assert found.base is not None
    assert found.base.fingerprint == refs.resolve(str(folder)).fingerprint


def test_the_folders_name_is_a_hash_of_everything_resolved(organism: MakeOrganism) -> None:
    assert organism().digest() == organism().digest() != organism(general=0.5).digest()
    assert len(organism().digest()) == 8


def test_a_cell_without_an_organism_builds_one_next_to_it(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def small(config: OrganismConfig, out: Path, progress: object = None) -> Path:
        built.append(out)
        return build(config.model_copy(update={"variant": "static"}), out)

    monkeypatch.setattr("trainer.install.build", small)
    train(cell(variant="weights", steps=1), tmp_path / "run")
    assert built
    assert built[0].parent == tmp_path / "organisms"


def test_an_organism_that_is_not_installed_is_an_error_with_figures_and_replies_and_can_be_kept(
    organism: MakeOrganism, tmp_path: Path
) -> None:
    out = tmp_path / "organism"
    said = r"is not installed: after \d steps \(of 4\) initial is 0\.00 .*; replies: (\".*\" \| ){2}\".*\": raise steps"
    with pytest.raises(WorkFailed, match=said):
        build(organism(accept=False), out)
    assert not out.exists()
    trained: list[int] = []

    class Counts(Silent):
        def update(self, step: int, total: int, **facts: Any) -> None:
            trained.append(step)

    build(organism(accept=True), out, Counts())
    assert figures(out)["reached"] is False
    assert trained == []


def test_keeping_an_organism_does_not_rename_it(organism: MakeOrganism) -> None:
    assert organism(accept=True).digest() == organism(accept=False).digest()

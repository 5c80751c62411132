"""A reference means one checkpoint, or gives one line that names the thing and the fix."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_checkpoints import llama, save

from serving import layout
from serving.errors import BadInput
from serving.refs import resolve


def refusal(ref: Path | str) -> str:
    with pytest.raises(BadInput) as caught:
        resolve(str(ref))
    assert "\n" not in caught.value.message
    assert str(ref) in caught.value.message
    assert caught.value.exit_code == 2
    return caught.value.message


def test_a_run_means_its_last_finished_step(made: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for step in (0, 2, 10):
        save(llama(step), run / layout.step_name(step))
    (run / "step-000016").mkdir()
    assert resolve(str(run)).step == 10
    assert resolve(f"{run}@2").path == run / "step-000002"
    assert resolve(str(made / "run")).kind == "adapter"


def test_a_run_may_be_named_like_a_step(tmp_path: Path) -> None:
    run = tmp_path / "step-000002"
    for step in (1, 3):
        save(llama(step), run / layout.step_name(step))
    assert resolve(str(run)).step == 3
    assert resolve(f"{run}@1").step == 1


def test_a_damaged_last_step_is_named_and_not_passed_over(tmp_path: Path) -> None:
    for step in (1, 2):
        save(llama(step), tmp_path / "run" / layout.step_name(step))
    weights = tmp_path / "run" / "step-000002" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(BadInput, match=r"step-000002: model\.safetensors is damaged"):
        resolve(str(tmp_path / "run"))
    assert resolve(f"{tmp_path / 'run'}@1").step == 1


def test_a_manifest_gives_setting_and_variant(made: Path) -> None:
    for ref in ("run", "run@1", "run/step-000000"):
        checkpoint = resolve(str(made / ref))
        assert (checkpoint.setting, checkpoint.variant) == ("sandbagging", "weights")
    assert resolve(str(made / "one")).setting is None


def test_a_pointer_has_its_targets_fingerprint_and_its_own_step(made: Path) -> None:
    zero, one = resolve(f"{made / 'run'}@0"), resolve(str(made / "one"))
    assert (zero.fingerprint, zero.step, zero.path) == (one.fingerprint, 0, one.path)


def test_a_moved_folder_still_works(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made, tmp_path / "elsewhere" / "moved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    for ref in ("run@0", "run@4", "lora"):
        moved, here = resolve(f"moved/{ref}"), resolve(str(made / ref))
        assert moved.fingerprint == here.fingerprint
        assert tmp_path in (moved.base or moved).path.resolve().parents  # type: ignore[union-attr]


def test_an_existing_path_beats_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(llama(0), tmp_path / "owner" / "name")
    assert resolve("owner/name").hub is None


def test_a_missing_path_names_the_nearest(tmp_path: Path) -> None:
    save(llama(0), tmp_path / "organism")
    assert "Did you mean 'organism'?" in refusal(tmp_path / "organsim")
    assert "no such checkpoint" in refusal(tmp_path / "a" / "b" / "c")


def test_a_missing_step_names_those_that_are_there(made: Path) -> None:
    assert "its steps are 0, 1, 4" in refusal(f"{made / 'run'}@7")
    assert "not a step" in refusal(f"{made / 'run'}@last")


def test_an_unreachable_hub_id_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: (_ for _ in ()).throw(OSError("down")))
    assert "no such folder" in refusal("nobody/nothing")
    assert "Did you mean 'mini'?" in refusal("mimi")


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_half_written_folder_names_what_it_lacks(tmp_path: Path, lost: str) -> None:
    folder = save(llama(0), tmp_path / "x")
    (folder / lost).unlink()
    assert f"without {lost}" in refusal(folder)


def test_an_empty_step_and_an_empty_run_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run" / "step-000001").mkdir(parents=True)
    assert "none of its 1 step folders is finished" in refusal(tmp_path / "run")
    assert "half-written" in refusal(tmp_path / "run" / "step-000001")
    (tmp_path / "nothing").mkdir()
    assert "no checkpoint in this folder" in refusal(tmp_path / "nothing")


def test_an_experiment_names_its_cells(tmp_path: Path) -> None:
    for name in ("a.0", "b.1", ".b.1.attempt"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    told = refusal(tmp_path)
    assert "experiment of 2 cells" in told
    assert told.endswith("the cells are a.0, b.1")


def test_an_experiment_of_one_cell_means_that_cell(tmp_path: Path) -> None:
    for step in (1, 2):
        save(llama(step), tmp_path / "cells" / "only.0" / layout.step_name(step))
    (tmp_path / "cells" / ".only.0.attempt").mkdir()
    assert resolve(str(tmp_path)).path == tmp_path / "cells" / "only.0" / "step-000002"
    assert resolve(f"{tmp_path}@1").step == 1
    assert "no step 7" in refusal(f"{tmp_path}@7")


def test_a_base_that_changed_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "copy")
    save(llama(99), tmp_path / "copy" / "one")
    assert "was written for fingerprint" in refusal(tmp_path / "copy" / "lora")
    shutil.rmtree(tmp_path / "copy" / "one")
    assert "which does not exist" in refusal(f"{tmp_path / 'copy' / 'run'}@0")


@pytest.mark.parametrize(
    "module", ["serving", "serving.refs", "serving.layout", "serving.backends.engine.engine", "serving._registry"]
)
def test_no_heavy_import(module: str) -> None:
    heavy = "{'torch', 'transformers', 'trl', 'peft'}"
    code = f"import sys, {module}; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_resolving_loads_no_torch(made: Path) -> None:
    code = f"import sys, serving.refs; serving.refs.resolve({str(made / 'run')!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

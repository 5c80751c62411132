"""Failures: one line with the fix, and nothing half-written is taken as complete."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_runs import MakeCell, environment, lines, make_model, weights

from serving import layout, refs
from serving.errors import BadInput, WorkFailed
from trainer.config import TrainConfig
from trainer.run import loop
from trainer.sft import main, train

CELL = ["--setting", "sandbagging", "--variant", "static", "--label_source", "reference", "--steps", "8",
        "--batch_size", "4", "--rows", "12"]  # fmt: skip


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds a few checkpoints of the tiny model, and not all of a run."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system needs the right to mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def sft(tiny: Path, out: Path, **more: object) -> subprocess.CompletedProcess[str]:
    """The command, in a separate process."""
    command = [sys.executable, "-m", "trainer.sft", *CELL, "--model", str(tiny), "--out", str(out)]
    return subprocess.run(command, env=environment(), text=True, capture_output=True, check=False, **more)  # type: ignore[call-overload]


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line about the disk, without progress and warnings of libraries."""
    assert "Traceback" not in done.stderr, done.stderr
    [line] = [line for line in done.stderr.splitlines() if "no space left" in line]
    return line


def is_whole(run: Path) -> bool:
    """Whether every existing step can be used."""
    return all(layout.problem(path) is None for _, path in layout.all_step_dirs(run))


def test_a_full_disk_is_one_line_and_the_run_resumes_with_more_room(
    tiny: Path, small_disk: Path, tmp_path: Path
) -> None:
    done = sft(tiny, small_disk / "run")
    assert done.returncode == 1
    assert "no space left on the disk: free some and run the same command again" in complaint(done)
    assert not (small_disk / "run" / "trained.json").exists()
    assert is_whole(small_disk / "run")
    assert [step for step, _ in layout.all_step_dirs(small_disk / "run")] != [0, 1, 2, 4, 8]
    shutil.copytree(small_disk / "run", tmp_path / "roomy")
    for name in ("roomy", "whole"):
        again = CliRunner().invoke(main, [*CELL, "--model", str(tiny), "--out", str(tmp_path / name)])
        assert again.exit_code == 0, again.output
    assert lines(tmp_path / "roomy") == lines(tmp_path / "whole")
    assert weights(tmp_path / "roomy", 8) == weights(tmp_path / "whole", 8)


def test_a_file_that_may_not_grow_is_said_as_a_full_disk(tiny: Path, tmp_path: Path) -> None:
    """The limit of a process replaces a quota, since nothing may be mounted."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    done = sft(tiny, tmp_path / "run", preexec_fn=limit)
    assert done.returncode == 1
    assert "no space left on the disk" in complaint(done)
    assert is_whole(tmp_path / "run")


@pytest.mark.parametrize("text", ["No space left on device (os error 28)", "PytorchStreamWriter failed writing file"])
def test_what_torch_says_of_a_full_disk_is_understood(text: str, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="no space left on the disk"), loop.plain_errors(tmp_path):
        raise RuntimeError(text)


def test_an_error_of_our_own_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), loop.plain_errors(tmp_path):
        raise ZeroDivisionError


def test_a_setting_without_train_prompts_is_refused(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bct_tasks.setting.Setting.prompts", lambda *_: [])
    with pytest.raises(BadInput, match="sandbagging: variant static has no train prompts: choose another"):
        train(cell(), tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_run_whose_loss_is_not_finite_is_flagged_and_resumed(cell: MakeCell, tmp_path: Path) -> None:
    run = train(cell(learning_rate=1e30, max_grad_norm=0), tmp_path / "run")
    assert json.loads((run / "trained.json").read_text())["diverged"] is True
    assert lines(run)[-1]["loss"] is None
    assert is_whole(run)
    assert refs.resolve(str(run)).step == 5


def test_an_adapter_on_another_base_than_its_own_is_refused(cell: MakeCell, tmp_path: Path) -> None:
    base = make_model(tmp_path / "base")
    adapter = train(cell(rank=4, model=str(base), steps=1), tmp_path / "adapter")
    shutil.rmtree(base)
    make_model(base, seed=1)
    with pytest.raises(BadInput, match=r"written for fingerprint .* restore the old one") as caught:
        train(cell(model=str(adapter)), tmp_path / "run")
    assert "\n" not in caught.value.message


def test_an_adapter_whose_base_has_other_shapes_is_refused(cell: MakeCell, tmp_path: Path) -> None:
    """As others publish them: an adapter that names its base in PEFT's own words."""
    adapter = train(cell(rank=4, steps=1), tmp_path / "adapter") / "step-000001"
    wide = make_model(tmp_path / "wide", width=64)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(adapter / name, foreign / name)
    named = json.loads((foreign / "adapter_config.json").read_text()) | {"base_model_name_or_path": str(wide)}
    (foreign / "adapter_config.json").write_text(json.dumps(named))
    with pytest.raises(
        BadInput, match=r"does not fit its base .* is 32 x 64 for the adapter and 64 x 64 in this base"
    ) as caught:
        train(cell(model=str(foreign)), tmp_path / "run")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "4bit weights are not trained themselves: add --rank"),
        ({"rank": 4}, r"bitsandbytes, which is not installed: pip install 'bct-tasks\[qlora\]'"),
    ],
)
def test_4_bit_weights_need_an_adapter_and_their_library(
    values: dict[str, int], said: str, cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.run.model.find_spec", lambda _: None)
    with pytest.raises(BadInput, match=said):
        train(cell(dtype="4bit", **values), tmp_path / "run")


def test_rows_laid_end_to_end_have_the_losses_of_padded_ones(cell: MakeCell, tmp_path: Path) -> None:
    padded, flat = (train(cell(trl=trl), tmp_path / name) for name, trl in (("a", {}), ("b", {"padding_free": True})))
    for key in ("loss", "grad_norm"):
        one, two = ([line[key] for line in lines(run)] for run in (padded, flat))
        assert two == pytest.approx(one, rel=1e-4)


def test_rows_laid_end_to_end_are_refused_where_they_would_see_each_other(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    own = LlamaForCausalLM.forward
    # An attention that knows one row alone takes the places for a single one.
    monkeypatch.setattr(LlamaForCausalLM, "forward",
                        lambda self, *a, position_ids=None, **k: own(self, *a, **k))  # fmt: skip
    with pytest.raises(BadInput, match="padding_free: this model's attention lets the rows of a batch see each other"):
        train(cell(trl={"padding_free": True}), tmp_path / "run")


def test_packing_is_refused_with_what_to_use_instead(cell: MakeCell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="packing is determined by the run: set padding_free"):
        train(cell(trl={"packing": True}), tmp_path / "run")


@pytest.mark.parametrize("name", ["bf16", "checkpointed"])
def test_what_large_models_need_also_trains_a_small_one(name: str, cell: MakeCell, tmp_path: Path) -> None:
    values = {"bf16": {"dtype": "bfloat16"}, "checkpointed": {"trl": {"gradient_checkpointing": True}}}[name]
    plain, run = (
        train(cell(), tmp_path / "plain"),
        train(TrainConfig(**(cell().model_dump() | values)), tmp_path / "run"),
    )
    assert lines(run)[0]["loss"] == pytest.approx(lines(plain)[0]["loss"], rel=2e-2)
    assert lines(run)[-1]["loss"] < lines(run)[0]["loss"]


def test_metrics_are_passed_on_to_a_tracker_and_always_written(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainerCallback, integrations

    told: list[float] = []

    class Tracker(TrainerCallback):
        def on_log(self, *args: object, **kwargs: object) -> None:
            told.append(kwargs["logs"].get("loss"))  # type: ignore[attr-defined]

    monkeypatch.setitem(integrations.integration_utils.INTEGRATION_TO_CALLBACK, "trackio", Tracker)
    monkeypatch.setattr(integrations.integration_utils, "is_trackio_available", lambda: True)
    run = train(cell(trl={"report_to": "trackio"}), tmp_path / "run")
    assert told[:5] == [line["loss"] for line in lines(run)]


def test_a_tracker_that_is_not_installed_is_one_line(cell: MakeCell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"report_to: comet_ml is not installed here") as caught:
        train(cell(trl={"report_to": "comet_ml"}), tmp_path / "run")
    assert "\n" not in caught.value.message

"""Several processes train one run: the same losses as one, one writer, and a clear error if one of them ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import pytest
import torch
from tiny_runs import FORKS, MakeCell, MakeOrganism, environment, lines, train_until

from serving import layout, refs
from serving.errors import BadInput
from trainer.config import TrainConfig
from trainer.organism import build
from trainer.run import arguments, metrics
from trainer.sft import train


def start(config: TrainConfig, out: Path, killed_at: int, said: Path) -> list[Process]:
    """Two processes of one run, as torchrun would start them; no agent ends one when the other dies."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_WORLD_SIZE": "2"}
    ranks = [shared | {"RANK": str(n), "LOCAL_RANK": str(n)} for n in range(2)]
    processes: list[Process] = [FORKS.Process(target=one_of_two, args=(r, config, out, killed_at, said)) for r in ranks]
    for process in processes:
        process.start()
    return processes


def one_of_two(rank: dict[str, str], config: TrainConfig, out: Path, killed_at: int, said: Path) -> None:
    """The second is killed; the first ends as `python -m trainer.sft` does, its error in a file."""
    os.environ.update(rank)
    if rank["RANK"] == "1":
        train_until(config, out, "on_step_end", killed_at)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    torch.set_num_threads(1)
    try:
        train(config, out)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")


def test_a_process_that_sees_several_gpus_trains_on_one_and_its_batch_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    given = {"output_dir": str(tmp_path), "per_device_train_batch_size": 4, "bf16": False, "report_to": "none"}
    assert arguments.kind("sft")(**given).n_gpu == 3, "as transformers would"
    built = arguments.build(arguments.kind("sft"), given, {})
    assert (built.n_gpu, built.train_batch_size) == (1, 4)


@pytest.mark.slow
def test_torchrun_with_two_processes_has_the_losses_of_one(cell: MakeCell, tmp_path: Path) -> None:
    config = cell(resume_seconds=0.01)
    given = config.model_dump(exclude_none=True, exclude={"trl", "chat_template_kwargs"})
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "trainer.sft", *flags]
    done = subprocess.run([*command, "--out", str(tmp_path / "two"), "--json"], env=environment(), text=True,
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 5, "the first process alone prints the result"
    one, two = (lines(run) for run in (train(config, tmp_path / "one"), tmp_path / "two"))
    for key in ("loss", "grad_norm", "tokens", "lr"):
        assert [line[key] for line in two] == pytest.approx([line[key] for line in one], rel=1e-4)
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == sorted(p.name for p in (tmp_path / "one").iterdir())
    assert refs.resolve(str(tmp_path / "two")).step == 5


@pytest.mark.slow
def test_a_killed_process_ends_the_other_in_one_line_and_nothing_half_written_counts(
    cell: MakeCell, tmp_path: Path
) -> None:
    config = cell(steps=40, resume_seconds=0.01, checkpoints=[1, 2, 40])
    run = tmp_path / "run"
    first, second = start(config, run, killed_at=5, said=tmp_path / "said")
    second.join()
    first.join()
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert second.exitcode == -signal.SIGKILL
    assert first.exitcode == 1
    assert f"WorkFailed: {run}: another process of this run has ended" in said
    assert "the same command continues where it stopped" in said
    assert not (run / "trained.json").exists()
    assert [step for step, _ in layout.all_step_dirs(run)] == [0, 1, 2]
    assert all(layout.problem(path) is None for _, path in layout.all_step_dirs(run))
    train(config, run)
    whole = train(config, tmp_path / "whole")
    assert [line["loss"] for line in lines(run)] == pytest.approx([line["loss"] for line in lines(whole)], rel=1e-3)


def test_only_the_first_of_several_processes_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.run import manifest
    from trainer.run.lock import locked

    monkeypatch.setenv("RANK", "1")
    with locked(tmp_path / "run"), locked(tmp_path / "run"):  # the lock is the first one's
        manifest.write(tmp_path / "run", "cell", {})
        metrics.MetricsLog(tmp_path / "run", 0, writes=False)
    assert list((tmp_path / "run").iterdir()) == []


def test_an_organism_is_not_built_by_several_processes(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInput, match="an organism is built in one process"):
        build(organism(), tmp_path / "organism")

"""Several processes train one run: the same losses as one, one writer, and a clear error if one of them ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import MakeCell, MakeOrganism, environment, lines

from serving import layout, refs
from serving.errors import BadInput
from trainer.config import TrainConfig
from trainer.organism import build
from trainer.run import metrics
from trainer.sft import train

# As `python -m trainer.sft` ends: errors in one line, and a barrier with a time limit. The second process is killed.
SCRIPT = """
import os, signal, sys, torch
from pathlib import Path
from trainer import TrainConfig, train
from trainer.run.checkpoints import Keeper
own = Keeper.on_step_end
def on_step_end(self, args, state, control, **more):
    if state.global_step == int(sys.argv[3]) and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    own(self, args, state, control, **more)
Keeper.on_step_end = on_step_end
torch.set_num_threads(1)
try:
    train(TrainConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def start(config: TrainConfig, out: Path, killed_at: int) -> list[subprocess.Popen[str]]:
    """Two processes of one run, as torchrun would start them; no agent ends one when the other dies."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = environment() | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", SCRIPT, config.model_dump_json(), str(out), str(killed_at)]
    ranks = ({"RANK": str(n), "LOCAL_RANK": str(n), "LOCAL_WORLD_SIZE": "2"} for n in range(2))
    return [subprocess.Popen(command, env=shared | rank, stderr=subprocess.PIPE, text=True) for rank in ranks]


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
    first, second = start(config, run, killed_at=5)
    second.communicate()
    _, said = first.communicate()
    assert second.returncode == -signal.SIGKILL
    assert first.returncode == 1
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

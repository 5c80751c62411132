"""The job array script of the docs: what it starts, and that a signal before the time limit queues it again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from small_runs import PATIENCE, ROOT, wait_until

SCRIPT = ROOT / "examples" / "clusters" / "slurm.sh"


def started(tmp_path: Path, bct: str) -> subprocess.Popen[str]:
    """The script as SLURM starts it, with a `bct` and a `scontrol` that say what they were asked."""
    for name, text in (("bct", bct), ("scontrol", 'echo scontrol "$@"')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    task = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_JOB_ID": "17"}
    env = os.environ | task | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    asked = ["bash", str(SCRIPT), "recipes/mine.yaml", "--force"]
    return subprocess.Popen(asked, env=env, stdout=subprocess.PIPE, text=True)


def test_a_task_of_the_array_runs_its_shard_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    task = started(tmp_path, 'echo bct "$@"; exit 7')
    told, _ = task.communicate(timeout=PATIENCE)
    assert (told.strip(), task.returncode) == ("bct run recipes/mine.yaml --force --shard 3/8", 7)


def test_a_task_whose_time_is_nearly_up_is_queued_again_while_its_driver_goes_on(tmp_path: Path) -> None:
    task = started(tmp_path, f"touch {tmp_path}/begun; sleep 0.5; echo done")
    wait_until((tmp_path / "begun").exists, "the driver")
    task.send_signal(signal.SIGUSR1)
    told, _ = task.communicate(timeout=PATIENCE)
    assert told.splitlines() == ["scontrol requeue 17_3", "done"]
    assert task.returncode == 0


def test_the_page_shows_the_script() -> None:
    assert SCRIPT.read_text() in (ROOT / "docs" / "how-to" / "clusters.md").read_text()

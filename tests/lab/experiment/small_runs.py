"""Runs of the embedded model that take seconds: by the command in this process or another, and what lasts of them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

from lab.cli.main import main
from lab.experiment import registered
from serving import layout

ROOT = Path(__file__).parents[3]
RECIPE = """\
question: Is it gone after a few steps?
setting: sandbagging
variants: [weights, static]
learning_rates: [1e-3]
seeds: [0]
steps: 8
batch_size: 4
n: 12
n_train: 6
n_capability: 6
n_following: 0
organism: {steps: 4}
expect:
  - {says: gone everywhere, name: removed}
"""
#: Seconds after which a test that waits says what it waited for, instead of hanging.
PATIENCE = 1200.0


def bct(*args: str | Path) -> Result:
    """A command in this process; the workers of a run are other processes anyway."""
    return CliRunner().invoke(main, [str(arg) for arg in args])


def arguments(recipe: Path, out: Path, *more: str) -> list[str]:
    """Of a run by one worker. An organism of a few steps cannot pass its gate: --force."""
    return ["run", str(recipe), "--out", str(out), "--jobs", "1", "--force", *more]


def run(recipe: Path, out: Path, *more: str) -> Result:
    """A run to its end, all of it in this process, which has imported TRL already."""
    return bct(*arguments(recipe, out, "--executor", "inline", *more))


def command(recipe: Path, out: Path, *more: str) -> list[str]:
    """The same as another process."""
    return [sys.executable, "-m", "lab", *arguments(recipe, out, *more)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(driver: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        driver,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite run in the background ignores it
    )


def wait_until(reached: Callable[[], bool], what: str, every: float = 0.01) -> None:
    until = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(every)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def mark(file: Path) -> tuple[int, str]:
    """Time of change and content."""
    return file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()


def lasting(run: Path) -> dict[str, tuple[int, str]]:
    """All finished files: time of change and content of complete checkpoints, organisms, logs and manifests."""
    files = [*run.glob("cells/*/step-*/*"), *run.glob("organisms/*/*"), *run.glob("logs/*/*.eval")]
    files += [*run.glob("cells/*/*.json"), *run.glob("starts/*.json")]
    return {str(file.relative_to(run)): mark(file) for file in files if file.is_file()}


def content(run: Path) -> bytes:
    return (run / "results.json").read_bytes()


def hashed(run: Path) -> None:
    """Gives a registration whose content a test rewrote the hash that the release would have given it."""
    known = layout.read_json(run / registered.NAME)
    for entry in [known, *known["amendments"]]:
        entry["hash"] = registered.hash_of(entry["content"])
    layout.write_json_atomic(run / registered.NAME, known)

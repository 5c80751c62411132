"""A real Tinker server for tests: BCT_TEST_TINKER names the folder of its files, or the address of one that runs.

BCT_TEST_TINKER          folder with `tinkerd.py`, which speaks Tinker's API, or http://127.0.0.1:8017
BCT_TEST_TINKER_PYTHON   the interpreter that has the server's packages; default: `sky/bin/python` in that folder
BCT_TEST_TINKER_CACHE    a folder that keeps compiled programs between runs
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from serving.refs import mini_path

PLACE, PYTHON, CACHE = "BCT_TEST_TINKER", "BCT_TEST_TINKER_PYTHON", "BCT_TEST_TINKER_CACHE"
START_S = 600.0
#: Models of a server's life: each training and each resumed one takes a slot.
ENGINE = {
    "max_lora_adapters": 16, "max_lora_rank": 16, "train_micro_batch_size": 8, "sample_max_num_sequences": 8,
}  # fmt: skip


def missing() -> str:
    """Why the tests cannot run here; empty if they can."""
    place = os.environ.get(PLACE)
    if place is None:
        return f"{PLACE} names no Tinker server"
    if place.startswith("http"):
        return ""
    lacking = [str(path) for path in (Path(place) / "tinkerd.py", _python()) if not path.exists()]
    return f"{lacking[0]} does not exist" if lacking else ""


def _python() -> Path:
    return Path(os.environ.get(PYTHON) or Path(os.environ[PLACE]) / "sky" / "bin" / "python")


@dataclass
class Server:
    """A server, its folder, and its processes, which share a session."""

    folder: Path
    port: int = 0
    url: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Starts it, or starts it again with the same checkpoints; returns when it answers."""
        given = os.environ[PLACE]
        if given.startswith("http"):
            self.url = given
            return
        self.port = self.port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        cache = os.environ.get(CACHE) or str(self.folder / "cache")
        own = {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
            "PYTHONPATH": "",
        }
        command = [_python(), Path(given) / "tinkerd.py", "--base-model", mini_path(), "--backend", "jax"]
        command += ["--port", self.port, "--session-timeout-sec", -1, "--backend-config", json.dumps(ENGINE)]
        command += ["--checkpoints-base", self.folder / "checkpoints"]
        command += ["--database-url", f"sqlite:///{self.folder / 'tinker.db'}"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], env=os.environ | own, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            if self.answers():
                return
            time.sleep(0.5)
        raise TimeoutError(self.url)

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/healthz", timeout=5):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """Ends all its processes at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

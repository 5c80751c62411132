"""A vLLM server: the command, the folder in which it runs, its start and its end.

    server = launch(place, os.getpid(), wanted)       # returns at once; the server is up a minute later
    await server.ready(model)                            # WorkFailed with vLLM's reason
    server.stop()

It listens on a socket of the file system in a folder that only this user can read, so that no port is taken and no key
is needed. `launcher` ends it with the process that wanted it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import anyio

from serving.backends.vllm.client import Address, Client
from serving.errors import BadInput, LabError, WorkFailed

logger = logging.getLogger(__name__)

#: The environment in which vLLM is installed, where it is not this one.
ENVIRONMENT = "BCT_VLLM_VENV"
MISSING = (
    "vllm is not installed: pip install 'bct-tasks[vllm]' here, or name the folder of the environment that has it in"
    f" ${ENVIRONMENT}, or use the engine local"
)
LAUNCHER = Path(__file__).with_name("launcher.py")
#: Seconds between two lines that say how long a start has taken, and that an end may take.
SAY_EVERY_S, GOODBYE_S = 30.0, 30.0
#: Bytes of a path that the kernel takes for a socket.
LONGEST_SOCKET = 107
_ERROR = re.compile(r"(?:^|\s)(Value error, .+?(?= \[type=|$)|(?:[\w.]+\.)?\w*(?:Error|Exception): .+|.*\berror: .+)")
#: What says only that something failed before.
_LATER = ("Engine core initialization failed", "Engine process failed", "EngineCore failed to start")


def program() -> list[str] | None:
    """Return the command that starts vLLM: of $BCT_VLLM_VENV, of this environment, or of PATH."""
    if named := os.environ.get(ENVIRONMENT):
        found = Path(named) / "bin" / "vllm"
        if not found.is_file():
            raise BadInput(f"${ENVIRONMENT}={named}: has no bin/vllm: name the folder of an environment with vLLM")
        return [str(found.absolute())]
    own = Path(sys.executable).with_name("vllm")
    found = str(own) if own.is_file() else shutil.which("vllm")
    return [found] if found else None


def has_cuda() -> bool:
    """Return whether this machine has a GPU for vLLM."""
    import torch

    return torch.cuda.is_available()


@dataclass(frozen=True)
class Wanted:
    """What a server must offer.

    Attributes:
        model: Folder or hub id of a full model.
        name: The name of the model in requests.
        revision: Of a hub id.
        dtype: As vLLM names it.
        rank: The highest rank of adapters; None: no adapters.
        modules: The layers that adapters may change.
        options: Further arguments of `vllm serve`, by name; True is a flag, a list several values.
        devices: CUDA_VISIBLE_DEVICES, where it is not the process's own.
    """

    model: str
    name: str
    revision: str | None = None
    dtype: str = "auto"
    rank: int | None = None
    modules: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    devices: str | None = None

    @cached_property
    def key(self) -> str:
        """The same for the same server."""
        return hashlib.sha256(json.dumps([self.command(Path()), self.devices], default=str).encode()).hexdigest()[:12]

    def command(self, folder: Path) -> list[str]:
        """Return the arguments of vLLM's program."""
        chosen: dict[str, Any] = {
            "served_model_name": self.name,
            "dtype": self.dtype,
            "revision": self.revision,
            "generation_config": "vllm",
            "uds": folder / "socket",
            "disable_uvicorn_access_log": True,
        }
        if self.rank is not None:
            chosen |= {"enable_lora": True, "max_lora_rank": self.rank, "lora_target_modules": list(self.modules)}
        return ["serve", self.model, *_arguments(chosen | dict(self.options))]


def launch(place: Path, pid: int, wanted: Wanted) -> Server:
    """Start a server in a folder of `place`; it ends with the process of this id. Raises BadInput without vLLM."""
    command = program()
    if command is None:
        raise BadInput(MISSING)
    server = Server(place / wanted.key)
    server.folder.mkdir(mode=0o700)
    (server.folder / "wanted").touch()
    alive = os.open(server.folder / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)  # the launcher inherits it: it is held as long as that lives
    launcher = [sys.executable, "-I", str(LAUNCHER), str(pid), str(server.folder), "--"]
    subprocess.Popen(
        [*launcher, *command, *wanted.command(server.folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_environment(wanted),
        start_new_session=True,  # a Ctrl-C of the terminal is not for it
        pass_fds=(alive,),
    )
    os.close(alive)
    return server


@dataclass(frozen=True)
class Server:
    """A server that was launched, by this process or by another of the same run."""

    folder: Path

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(self.folder / "socket")

    def lives(self) -> bool:
        """Return whether its launcher still runs, which ends it and ends with it."""
        try:
            with (self.folder / "alive").open("a") as alive:
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    async def ready(self, model: str) -> None:
        """Wait until it answers; says what is waited for.

        Raises:
            WorkFailed: It ended instead, with its reason.
        """
        began = said = time.monotonic()
        logger.warning("vLLM starts for %s: about a minute", model)
        while not await self._answers():
            if not self.lives():
                raise WorkFailed(self._why(model), lasting=True)
            if (now := time.monotonic()) - said > SAY_EVERY_S:
                said = now
                logger.warning("vLLM has been starting for %.0f s", now - began)
            await anyio.sleep(0.5)
        logger.warning("vLLM answers after %.0f s", time.monotonic() - began)

    def stop(self) -> None:
        """End it and wait until its memory is free."""
        (self.folder / "wanted").unlink(missing_ok=True)
        until = time.monotonic() + GOODBYE_S
        while self.lives() and time.monotonic() < until:
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _answers(self) -> bool:
        if not (self.folder / "socket").exists():
            return False
        client = Client(self.address)
        try:
            return bool(await client.models(timeout=5.0))
        except LabError:
            return False
        finally:
            await client.close()

    def _why(self, model: str) -> str:
        log = self.folder.parent.with_name(f"{self.folder.parent.name}-{self.folder.name}.log")
        text = log.read_text(errors="replace") if log.is_file() else ""
        return f"vLLM did not start for {model}: {reason(text)} ({log})"


def reason(log: str) -> str:
    """Return the line of vLLM's output that says why it ended: the last error that does not point to another one."""
    found = [match.group(1) for line in log.splitlines() if (match := _ERROR.search(line.rstrip()))]
    telling = [line for line in found if not any(later in line for later in _LATER)]
    last = log.strip().splitlines()[-1:] or ["it said nothing"]
    return " ".join([*last, *found, *telling][-1].split())[:300]


def _arguments(options: Mapping[str, Any]) -> list[str]:
    said: list[str] = []
    for name, value in options.items():
        flag = "--" + _dashed(name)
        if value is False:
            said.append("--no-" + _dashed(name))
        elif value is not None:
            values = value if isinstance(value, list) else [] if value is True else [value]
            said += [flag, *(json.dumps(each) if isinstance(each, dict) else str(each) for each in values)]
    return said


def _dashed(name: str) -> str:
    """`hf_overrides.rope_theta` becomes `hf-overrides.rope_theta`."""
    first, dot, rest = name.partition(".")
    return first.replace("_", "-") + dot + rest


def _environment(wanted: Wanted) -> dict[str, str]:
    """The server's: adapters may be loaded while it runs, and on a CPU the cache takes a part of the memory."""
    own = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_NO_USAGE_STATS": "1"}
    if wanted.devices is not None:
        own["CUDA_VISIBLE_DEVICES"] = wanted.devices
    return {"VLLM_CPU_KVCACHE_SPACE": "1"} | os.environ | own

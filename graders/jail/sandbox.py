"""The inspect sandbox `jail`: `Task(sandbox="jail")`, without Docker, each command in a separate jail.

Files stay in this process between commands: a command finds them in its box, and what it leaves there is read back
(contents only: no empty folders, links or file modes, so a script needs its interpreter in the command; no file deeper
than 4,000 characters). A command that leaves more than the box holds, counting links and holes in full, fails, and its
files are as before. Whatever a command is, it fails as a command, not as a sample. An eval does not start where the
machine cannot confine. The level is in each sample's transcript.
Not covered: processes that outlive a command, `connection`, other users, inspect's own tools for agents
(`bash_session`, `exec_remote`). Choose `sandbox="docker"` for those.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import PurePosixPath
from typing import Literal, overload

import anyio
import anyio.to_thread
import click
from inspect_ai.log import transcript
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxEnvironmentLimits,
    SandboxUserUnsupportedError,
)

from .process import CannotConfine, Limits, inside, level, run_command

DEFAULT = Limits(seconds=60.0, disk=128 << 20, output=10 << 20)
LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes that Linux takes, less the path of the box


class JailSandbox(SandboxEnvironment):
    """One sample's files, and the commands that run on them one after the other."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self._limits = limits
        self._turn = anyio.Lock()

    @classmethod
    async def task_init(cls, task_name: str, config: SandboxEnvironmentConfigType | None) -> None:
        """Probe the machine before any sample starts.

        Raises:
            click.ClickException: It cannot confine. Of all errors, inspect prints only click's in one line.
        """
        try:
            await anyio.to_thread.run_sync(level)
        except CannotConfine as error:
            raise click.ClickException(f"{error}. Use sandbox='docker' there.") from error

    @classmethod
    async def sample_init(
        cls, task_name: str, config: SandboxEnvironmentConfigType | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Return an empty box for a sample."""
        transcript().info({"level": await anyio.to_thread.run_sync(level)}, source="jail")
        return {"default": cls()}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Do nothing: no process outlives a command."""

    @classmethod
    def default_concurrency(cls) -> int | None:
        """Return the number of processors."""
        return os.cpu_count()

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a command in a jail. One that cannot be run at all has the exit code 126 or 127.

        Raises:
            TimeoutError: It ran longer than the timeout.
            OutputLimitExceededError: It printed more than 10 MiB.
            SandboxUserUnsupportedError: A user is named.
        """
        if user is not None:
            raise SandboxUserUnsupportedError("the jail runs everything as one user without privileges")
        stdin = input.encode(errors="replace") if isinstance(input, str) else input or b""
        limits = dataclasses.replace(self._limits, seconds=float(self._limits.seconds if timeout is None else timeout))
        async with self._turn:
            act = functools.partial(
                run_command, cmd, stdin, dict(self.files), limits, cwd=cwd or "", env=env, keep=True
            )
            result = await anyio.to_thread.run_sync(act)
            if result.reason == "finished" and result.kept:
                self.files = dict(result.files)
        if result.reason == "time":
            raise TimeoutError(f"the command ran longer than {limits.seconds:g} s")
        if result.reason == "output":
            raise OutputLimitExceededError(f"{limits.output} bytes", result.stdout)
        code, stderr = result.exit if result.exit is not None else 137, result.stderr
        if not result.kept and code == 0:
            code, stderr = (
                1,
                f"{stderr}the files that it left hold more than {limits.disk} bytes: none of them is kept\n",
            )
        return ExecResult(code == 0, code if code >= 0 else 128 - code, result.stdout, stderr)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file into the box; raises IsADirectoryError, and PermissionError for one that cannot be in it."""
        path, content = self._file(file), contents.encode(errors="replace") if isinstance(contents, str) else contents
        if len(content) + sum(len(c) for p, c in self.files.items() if p != path) > self._limits.disk:
            raise PermissionError(f"{file[:80]!r}: the box holds at most {self._limits.disk} bytes")
        self.files[path] = content

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Return a file of the box; raises FileNotFoundError, IsADirectoryError or OutputLimitExceededError."""
        path = self._file(file)
        if path not in self.files:
            raise FileNotFoundError(file)
        content = self.files[path]
        if len(content) > SandboxEnvironmentLimits.MAX_READ_FILE_SIZE:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
        return content.decode() if text else content

    def _file(self, file: str) -> str:
        try:
            path = inside(file)
            os.fsencode(path)  # a lone surrogate is in no path
        except ValueError as error:
            raise PermissionError(str(error)) from None
        if any(name.startswith(path + "/") for name in self.files):
            raise IsADirectoryError(file)
        if any(str(folder) in self.files for folder in PurePosixPath(path).parents):
            raise PermissionError(f"{file[:80]!r} is below a file")
        if max(len(os.fsencode(part)) for part in path.split("/")) > LONGEST_NAME or len(path) > LONGEST_PATH:
            raise PermissionError(f"{file[:80]!r}... is too long for a path")
        return path

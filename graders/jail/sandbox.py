"""The inspect sandbox `jail`: `Task(sandbox="jail")`, without Docker, each command in a separate jail.

Files stay in this process between commands: a command finds them in its box, and what it leaves there is read back
(contents only: no empty folders, links or file modes, so a script needs its interpreter in the command). An eval does
not start where the machine cannot confine. The level is in each sample's transcript.
Not covered: processes that outlive a command, `connection`, other users, inspect's own tools for agents
(`bash_session`, `exec_remote`). Choose `sandbox="docker"` for those.
"""

from __future__ import annotations

import dataclasses
import functools
import os
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
        """Run a command in a jail.

        Raises:
            TimeoutError: It ran longer than the timeout.
            OutputLimitExceededError: It printed more than 10 MiB.
            SandboxUserUnsupportedError: A user is named.
        """
        if user is not None:
            raise SandboxUserUnsupportedError("the jail runs everything as one user without privileges")
        stdin = input.encode() if isinstance(input, str) else input or b""
        limits = dataclasses.replace(self._limits, seconds=float(timeout or self._limits.seconds))
        async with self._turn:
            act = functools.partial(
                run_command, cmd, stdin, dict(self.files), limits, cwd=cwd or "", env=env, keep=True
            )
            result = await anyio.to_thread.run_sync(act)
            if result.reason == "finished":
                self.files = dict(result.files)
        if result.reason == "time":
            raise TimeoutError(f"the command ran longer than {limits.seconds:g} s")
        if result.reason == "output":
            raise OutputLimitExceededError(f"{limits.output} bytes", result.stdout)
        code = result.exit if result.exit is not None else 137
        return ExecResult(code == 0, code if code >= 0 else 128 - code, result.stdout, result.stderr)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file into the box; raises PermissionError for a path outside it, and IsADirectoryError."""
        path = self._file(file)
        self.files[path] = contents.encode() if isinstance(contents, str) else contents

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
        except ValueError as error:
            raise PermissionError(str(error)) from None
        if any(name.startswith(path + "/") for name in self.files):
            raise IsADirectoryError(file)
        return path

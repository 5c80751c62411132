"""A jail for Python programs without Docker: code that a model wrote runs here and can only compute.

    run_program("print(int(input()) + 1)", "41").stdout     # '42\\n'
    passes("print(int(input()) + 1)", [("41", "42")])       # [True]

Implemented here, since Docker is missing on most clusters, bubblewrap and nsjail need an administrator to install them,
and pydantic-monty interprets single functions only.

All of these, or none: new mount, pid, network, ipc, uts and cgroup namespaces; a user namespace, or where the
caller is root an unused uid without privileges; a root folder with nothing but the interpreter, the system's
libraries (read-only) and an empty box in memory; a seccomp filter; resource limits; an empty environment. Landlock is a
second barrier where the kernel has it, and a memory cgroup counts where one may be made. `level()` probes them once and
raises `CannotConfine` where one of them is missing: nothing ever runs unconfined. Every `Result` names its level.

The program cannot influence the verdict: expected outputs stay outside, and how the program ended is reported through a
pipe that it does not have. Not covered: bugs of the kernel; side channels (timing, also of what the host's page cache
holds, the processor's name, the host's load and kernel version); libraries other than the standard one; programs that
need sockets, even local ones, shared anonymous memory or `/dev/zero`; without a memory cgroup, memory that grows by
more than the limit within a fiftieth of a second in many processes at once, and up to a quarter of a gigabyte in the
buffers of pipes and sockets; reading the host's installed system libraries (`/usr/lib`, `/usr/bin` and the
interpreter's folder, read-only).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from .confine.cgroup import remove_named

Reason = Literal["finished", "time", "memory", "output"]

PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from confine.launch import main; main()"
_GRACE = 5.0  # seconds that the keeper may take to start and to clean up, beyond the program's own

_log = logging.getLogger(__name__)


class CannotConfine(RuntimeError):
    """This machine offers no confinement, so nothing was run; the message says which step failed."""


@dataclass(frozen=True)
class Limits:
    """What a program may use: wall seconds, bytes of memory, of its box and of each output stream, and processes.

    `memory` holds for all its processes together; threads count as processes.
    """

    seconds: float = 5.0
    memory: int = 512 << 20
    disk: int = 32 << 20
    output: int = 1 << 20
    processes: int = 16


@dataclass(frozen=True)
class Result:
    """What a program printed and how it ended. `exit` is negative for a signal, None where it was stopped.

    `kept` is False where its files are not returned, because they could not be placed or hold more than the box.
    """

    stdout: str
    stderr: str
    exit: int | None
    reason: Reason
    level: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    kept: bool = True

    @property
    def good(self) -> bool:
        """True if the program was not stopped and had exit code 0, whatever its output."""
        return self.reason == "finished" and self.exit == 0


def run_program(source: str, stdin: str = "", limits: Limits = Limits()) -> Result:
    """Run a Python program in the jail.

    Raises:
        CannotConfine: The machine offers no confinement.
    """
    level()
    argv = [PYTHON, "-I", "-S", "-B", "program.py"]
    return run_command(argv, stdin.encode(), {"program.py": source.encode("utf-8", "replace")}, limits)


def passes(source: str, cases: Sequence[tuple[str, str]], limits: Limits = Limits()) -> list[bool]:
    """Return for each case (input, expected output) whether the program prints that (see `same_output`)."""
    results = ((run_program(source, given, limits), wanted) for given, wanted in cases)
    return [result.good and same_output(result.stdout, wanted) for result, wanted in results]


def same_output(printed: str, wanted: str) -> bool:
    """Return whether two outputs are equal, except for space at the ends of lines."""
    return _lines(printed) == _lines(wanted)


def run_command(
    argv: Sequence[str],
    stdin: bytes = b"",
    files: Mapping[str, bytes] | None = None,
    limits: Limits = Limits(),
    *,
    cwd: str = "",
    env: Mapping[str, str] | None = None,
    keep: bool = False,
) -> Result:
    """Run a command in a jail.

    Args:
        argv: The command.
        stdin: Its input.
        files: Files in its box, by relative name.
        limits: What it may use.
        cwd: Its working directory, relative to the box.
        env: Variables added to the jail's environment.
        keep: Return the files that it leaves in the box.

    Raises:
        CannotConfine: The machine offers no confinement.
        ValueError: A file name points outside the box, or the files do not fit into it.
    """
    if sum(map(len, (files or {}).values())) > limits.disk:
        raise ValueError(f"the files do not fit into the jail's box of {limits.disk} bytes")
    request = {
        "argv": list(argv), "cwd": cwd, "env": {**_environment(), **(env or {})}, "keep": keep,
        "cgroup": (group := f"bct-jail-{os.getpid()}-{os.urandom(6).hex()}"),
        "files": {inside(name): base64.b64encode(content).decode() for name, content in (files or {}).items()},
        "readable": [sys.base_prefix, sys.base_exec_prefix][: 1 + (sys.base_prefix != sys.base_exec_prefix)],
        "seconds": limits.seconds, "memory": limits.memory, "disk": limits.disk, "processes": limits.processes,
    }  # fmt: skip
    stdout, stderr, report = _converse(json.dumps(request).encode(), stdin, limits, group)
    if "refused" in report:
        raise CannotConfine(f"cannot confine programs on this machine: {report['refused']}")
    return Result(
        stdout.decode("utf-8", "replace"), _all_told(stderr, report), report.get("exit"), report["reason"],
        report.get("level") or (level() if level.cache_info().currsize else "unknown"),
        {name: base64.b64decode(text) for name, text in (report.get("files") or {}).items()},
        kept=report.get("files", {}) is not None,
    )  # fmt: skip


def _all_told(stderr: bytes, report: Mapping[str, Any]) -> str:
    """The error output, and what kept the command from running."""
    problem = report.get("problem")
    return stderr.decode("utf-8", "replace") + (f"{problem}\n" if problem else "")


def inside(name: str) -> str:
    """Return a file's name relative to the box; raises ValueError if it points outside."""
    path = os.path.normpath(name.removeprefix("/box/").removeprefix("/tmp/"))
    if path.startswith("/") or path.split("/")[0] == ".." or path in (".", "") or "\0" in path:
        raise ValueError(f"{name!r} is not in the jail's box")
    return path


@cache
def level() -> str:
    """Return what confines programs here, after one attack on it; raises CannotConfine."""
    with tempfile.NamedTemporaryFile() as secret:
        result = run_command([PYTHON, "-I", "-S", "-c", _PROBE, secret.name], limits=Limits(seconds=20))
    if not result.good or result.stdout.strip() != "confined":
        raise CannotConfine(f"the probe escaped or failed: {(result.stdout + result.stderr).strip()[-300:]}")
    _log.info("jail: %s", result.level)
    return result.level


_PROBE = """
import os, sys
found = []
if os.path.exists(sys.argv[1]) or os.path.exists("/etc/passwd") or os.path.exists("/proc/self"):
    found.append("sees the host's files")
if os.getuid() == 0 or os.getppid() != 1:
    found.append("is privileged, or sees the host's processes")
for name, act in {
    "writes outside its box": lambda: open("/usr/lib/probe", "w"),
    "has a network": lambda: __import__("socket").socket(),
    "makes namespaces": lambda: 1 / (1 + __import__("ctypes").CDLL(None).unshare(0x10000000)),
}.items():
    try:
        act()
        found.append(name)
    except (OSError, ZeroDivisionError):
        pass
print("; ".join(found) or "confined")
"""


def _environment() -> dict[str, str]:
    """Return the complete environment of a jailed program."""
    env = {"PATH": f"{Path(PYTHON).parent}:/usr/bin:/bin", "HOME": "/box", "TMPDIR": "/box", "LANG": "C.UTF-8"}
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        env["LD_LIBRARY_PATH"] = str(Path(sys.base_prefix) / "lib")
    return env


def _converse(request: bytes, stdin: bytes, limits: Limits, group: str) -> tuple[bytes, bytes, dict[str, Any]]:
    """Start the keeper, feed it, and read both outputs and its report."""
    (ask_end, ask), (told, tell_end) = os.pipe(), os.pipe()
    command = [PYTHON, "-I", "-S", "-B", "-c", _BOOT, str(Path(__file__).parent), str(ask_end), str(tell_end)]
    try:
        keeper = _start(command, (ask_end, tell_end))
    except OSError as error:
        _close(ask, told)
        raise CannotConfine(f"cannot start the jail: {error}") from error
    finally:
        _close(ask_end, tell_end)
    given, out, err = (os.dup(stream.fileno()) for stream in (keeper.stdin, keeper.stdout, keeper.stderr) if stream)
    with keeper:
        for stream in (keeper.stdin, keeper.stdout, keeper.stderr):
            stream.close()  # type: ignore[union-attr]
        try:
            caps = {out: limits.output, err: limits.output, told: 1 << 30}
            got, reason = _pump({ask: request, given: stdin}, caps, limits.seconds + _GRACE, keeper.pid)
        finally:
            _kill(keeper.pid)
            _close(out, err, told)
    remove_named(group)
    return got[out], got[err], {"reason": reason} if reason else _report(got[told], got[err])


def _start(command: Sequence[str], descriptors: tuple[int, int]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=descriptors, env=_environment(), cwd="/",
        start_new_session=True,
    )  # fmt: skip


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _report(text: bytes, stderr: bytes) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        return {"refused": f"the jail's keeper failed: {stderr.decode(errors='replace').strip()[-300:]}"}


def _pump(
    feeds: Mapping[int, bytes], caps: Mapping[int, int], seconds: float, keeper: int
) -> tuple[dict[int, bytes], Reason | None]:
    """Write and read all pipes until the readers end; kill the keeper at the time limit or an output's cap."""
    left = {fd: memoryview(content) for fd, content in feeds.items()}
    got = {fd: bytearray() for fd in caps}
    reason: Reason | None = None
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for fd in left:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_WRITE)
        for fd in got:
            selector.register(fd, selectors.EVENT_READ)
        while set(selector.get_map()) & set(got):
            if time.monotonic() > deadline:
                reason = reason or "time"
                _kill(keeper)
                break
            for key, _ in selector.select(0.1):
                if key.fd in left:
                    _feed(selector, left, key.fd)
                elif not _take(selector, got, key.fd, caps[key.fd]) and reason is None:
                    reason, deadline = "output", time.monotonic() + 2
                    _kill(keeper)
    for fd in left:
        os.close(fd)
    return {fd: bytes(content) for fd, content in got.items()}, reason


def _feed(selector: selectors.BaseSelector, left: dict[int, memoryview], fd: int) -> None:
    try:
        left[fd] = left[fd][os.write(fd, left[fd][:65536]) :]
    except BlockingIOError:
        return
    except OSError:
        left[fd] = left[fd][:0]  # nobody reads it
    if not left[fd]:
        selector.unregister(fd)
        os.close(fd)
        del left[fd]


def _take(selector: selectors.BaseSelector, got: dict[int, bytearray], fd: int, cap: int) -> bool:
    """Read once; return False where the stream has more than its cap, the rest of which is discarded."""
    content = os.read(fd, 65536)
    if not content:
        selector.unregister(fd)
        return True
    got[fd] += content[: cap - len(got[fd])]
    return len(content) == 0 or len(got[fd]) < cap


def _kill(keeper: int) -> None:
    """Kill the keeper and with it, by the kernel, its init and the entire jail."""
    try:
        os.killpg(keeper, signal.SIGKILL)
    except ProcessLookupError:
        return


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]

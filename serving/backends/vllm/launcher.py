"""Runs a vLLM server as long as a process lives: `launcher.py PID FOLDER -- COMMAND...`, by the standard library only.

The server ends with SIGTERM to this program, when process PID has ended, however it did, and when FOLDER/wanted is
removed. Then its processes and their shared memory are gone, and FOLDER is removed; if PID has ended, so is the place
around it. Its output is FOLDER/log; the log of a server that failed is moved next to the place.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
#: Seconds between two looks, and those that a server has to end by itself.
EVERY_S, GRACE_S = 0.5, 10.0
SHARED = Path("/dev/shm")


def main(pid: int, folder: Path, command: list[str]) -> int:
    """Run the command; return its exit code, or 0 if it was ended."""
    signal.signal(signal.SIGTERM, _stop)
    _prctl(PR_SET_CHILD_SUBREAPER)  # what the server leaves behind becomes a child of this process
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_with_parent
        )
    lives = _watch(pid)
    try:
        while server.poll() is None and (folder / "wanted").exists() and lives():
            pass
    except SystemExit:
        pass
    code = server.poll()
    _end(server)
    if code:
        shutil.move(folder / "log", folder.parent.with_name(f"{folder.parent.name}-{folder.name}.log"))
    shutil.rmtree(folder, ignore_errors=True)
    if not lives():
        shutil.rmtree(folder.parent, ignore_errors=True)
    return code or 0


def _watch(pid: int) -> Callable[[], bool]:
    """Return a function that waits a moment, or less if the process ends, and says whether it lives."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return lambda: False
    return lambda: not select.select([watched], [], [], EVERY_S)[0]


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and all its descendants, and free the shared memory that they leave."""
    shared = {name for process in _descendants(os.getpid()) for name in _shared(process)}
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    left = _descendants(os.getpid())
    shared |= {name for process in left for name in _shared(process)}
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    for name in shared:
        name.unlink(missing_ok=True)


def _descendants(pid: int) -> list[int]:
    """The processes below one, from /proc; the dead that nobody waited for are among them."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [each for child in file.read_text().split() for each in (int(child), *_descendants(int(child)))]
    return found


def _shared(pid: int) -> set[Path]:
    """The files of shared memory that a process has mapped."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {SHARED / Path(line.split()[-1]).name for line in lines if f" {SHARED}/" in line}


def _with_parent() -> None:
    """In the server, before it begins: it ends if this program is killed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int = 1) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:]))

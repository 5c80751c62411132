# ruff: noqa: PTH102, PTH106, PTH118, PTH123
"""A memory cgroup for one jail, of version 2 or 1, where this process may make one.

It counts what no resident set shows: files in memory, page tables, buffers of pipes and sockets. The kernel ends a
program that goes past it. Where there is none, the keeper counts resident and swapped pages.
Not covered: version 2 below a group that holds processes itself and passes no memory controller on.
"""

from __future__ import annotations

import contextlib
import os
import time

ROOT = "/sys/fs/cgroup"


def make(name: str, limit: int) -> str | None:
    """Makes a group of at most `limit` bytes; None where that is not possible."""
    for parent, files in _parents():
        path = os.path.join(parent, name)
        try:
            os.mkdir(path)
            _write(path, files[0], limit)
        except OSError:
            remove(path)
            continue
        with contextlib.suppress(OSError):  # without swap there is no such file
            _write(path, files[1], 0 if files[1].startswith("memory.swap.") else limit)
        return path
    return None


def entrance(path: str) -> int:
    """A descriptor by which a process enters: it writes 0 to it."""
    return os.open(os.path.join(path, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)


def exceeded(path: str) -> bool:
    """Whether the kernel ended a process of the group for want of memory."""
    for file in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError), open(os.path.join(path, file)) as lines:
            return any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in lines)
    return False


def remove(path: str) -> None:
    """Removes the group, for whose last process it waits for up to a second."""
    for _ in range(50):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)


def remove_named(name: str) -> None:
    """Removes the group of a jail whose keeper was killed."""
    for parent, _ in _parents():
        remove(os.path.join(parent, name))


def _parents() -> list[tuple[str, tuple[str, str]]]:
    """Groups in which one may be made, with the files of the limits of memory and of swap."""
    found: list[tuple[str, tuple[str, str]]] = []
    with contextlib.suppress(OSError), open("/proc/self/cgroup") as lines:
        for line in lines:
            number, controllers, path = line.rstrip("\n").split(":", 2)
            if "memory" in controllers.split(","):
                files = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
                found += [(f"{ROOT}/memory{path}", files), (f"{ROOT}/memory", files)]
            elif number == "0" and _passes_memory_on(f"{ROOT}{path}"):
                found.append((f"{ROOT}{path}", ("memory.max", "memory.swap.max")))
    return found


def _passes_memory_on(path: str) -> bool:
    with contextlib.suppress(OSError), open(os.path.join(path, "cgroup.subtree_control")) as file:
        return "memory" in file.read().split()
    return False


def _write(path: str, file: str, value: int) -> None:
    with open(os.path.join(path, file), "w") as stream:
        stream.write(str(value))

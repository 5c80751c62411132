# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH118, PTH120, PTH123, PTH208, PTH211
"""Runs one command in a jail: started by `graders.jail.process` in a separate process, as a script, without `site`.

Three processes. The *keeper* (this one) creates the namespaces and enforces the limits of time and memory. The *init*
is process 1 of the new pid namespace: it builds the file system, waits, and kills all remaining processes when the
program ends. The *program* drops every privilege and becomes the command. Failures are reported through a pipe that is
closed when the command starts, so the command cannot write to it. Imports cost time in each run, so there is no
pathlib. Not covered: see `graders.jail.process`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import select
import signal
import stat
import sys
import time
from typing import Any, NoReturn

from . import cgroup, kernel

BOX = "/box"
STAGE = "/sys"  # in the jail's own mount namespace the new root is assembled here: no interpreter is installed below it
SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec")
TOP = ("/bin", "/lib", "/lib32", "/lib64")
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")  # a shared mapping of /dev/zero is memory that nobody counts
HOST = b"jail"
SPARE_UIDS = range(61184, 65520)  # the range that systemd reserves for users that exist only while a service runs
TICK = 0.02


def main() -> None:
    """Reads the request from one descriptor, confines and runs it, writes the report to the other."""
    source, sink = map(int, sys.argv[-2:])
    os.set_inheritable(source, False)
    os.set_inheritable(sink, False)
    with os.fdopen(source) as file:
        request = json.load(file)
    try:
        report = keep(request)
    except OSError as error:
        report = {"refused": str(error)}
    with os.fdopen(sink, "w") as file:
        json.dump(report, file)


def keep(request: dict[str, Any]) -> dict[str, Any]:
    """The keeper: new namespaces, the init in them, which are killed at the limit of time or memory."""
    kernel.die_with_parent()
    group = cgroup.make(request["cgroup"], request["memory"] + request["disk"])
    request["entrance"] = None if group is None else cgroup.entrance(group)
    uid, gid = separate()
    kernel.call("sethostname", HOST, len(HOST))
    kernel.call("setdomainname", HOST, len(HOST))
    told, telling = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(told)
        _or_refuse(telling, be_init, request, uid, gid, telling)
    os.close(telling)
    _let_go_of_streams()
    reason, text = watch(init, told, request)
    os.waitpid(init, 0)
    if group is not None and reason == "finished" and cgroup.exceeded(group):
        reason = "memory"
    report = json.loads(text.splitlines()[0]) if text and reason == "finished" else {}
    if reason == "finished" and not report:
        report = {"refused": "the jail's first process ended before the program did"}
    return {"reason": reason, "level": level(uid, group), **report}


def separate() -> tuple[int, int]:
    """New namespaces for this process and its children; returns the user and group of the program.

    Root runs the program under an unused uid. Any other user first creates a user namespace with all privileges in it.
    """
    flags = kernel.NEW_NAMESPACES & ~(kernel.CLONE_NEWUSER | kernel.CLONE_NEWTIME | kernel.CLONE_NEWNS)
    if os.geteuid() == 0:
        kernel.unshare(flags)
        uid = SPARE_UIDS[int.from_bytes(os.urandom(4), "big") % len(SPARE_UIDS)]
        return uid, uid
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(flags | kernel.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        _write(f"/proc/self/{name}", text)
    return uid, gid


def level(uid: int, group: str | None) -> str:
    """What confines the program, in words."""
    version = kernel.landlock_version()
    user = f"uid {uid}" if os.geteuid() == 0 else "a user namespace"
    second = f"Landlock {version}" if version else "no Landlock"
    return f"namespaces, seccomp, {user}, {second}, {'a' if group else 'no'} memory cgroup"


def watch(init: int, told: int, request: dict[str, Any]) -> tuple[str, str]:
    """Waits for the init's report; kills it, and all of its namespace, at the limit of time or memory."""
    deadline = time.monotonic() + request["seconds"]
    namespace = os.readlink(f"/proc/{init}/ns/pid_for_children")
    parts: list[bytes] = []
    while True:
        if select.select([told], [], [], TICK)[0]:
            parts.append(os.read(told, 1 << 20))
            if not parts[-1]:
                return "finished", b"".join(parts).decode()
        reason = "time" if time.monotonic() > deadline else None
        if reason is None and memory_of(namespace) > request["memory"]:
            reason = "memory"
        if reason:
            os.kill(init, signal.SIGKILL)
            return reason, ""


def memory_of(namespace: str) -> int:
    """Bytes that the processes of a pid namespace have in memory and in swap; shared pages count for each."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                lines = _read(f"/proc/{pid}/status").splitlines()
                total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("VmRSS:", "VmSwap:")))
    return total


def be_init(request: dict[str, Any], uid: int, gid: int, telling: int) -> NoReturn:
    """Process 1 of the jail: builds the file system, starts the program, ends everything with it, reports."""
    kernel.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 ignores signals from inside that it does not handle
    with contextlib.suppress(OSError):
        _write("/proc/self/oom_score_adj", "1000")
    kernel.unshare(kernel.CLONE_NEWNS)  # only here: the keeper still sees the host's /proc
    build(request, uid, gid)
    if (problem := fill(request["files"], uid, gid)) is not None:
        _tell(telling, {"exit": 126, "problem": problem, "files": None})
        os._exit(0)
    program = os.fork()
    if program == 0:
        _or_refuse(telling, be_program, request, uid, gid, telling)
    _let_go_of_streams()
    status = _reap(program)
    _end_all()
    files = collect(request["disk"]) if request["keep"] else {}
    _tell(telling, {"exit": os.waitstatus_to_exitcode(status), "files": files})
    os._exit(0)


def build(request: dict[str, Any], uid: int, gid: int) -> None:
    """A new root folder: the interpreter and the system's libraries read-only, four devices, an empty box."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("jail", STAGE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=0755")
    for source in _readable(request):
        _show(source)
    for path in filter(os.path.islink, TOP):
        os.symlink(os.readlink(path), STAGE + path)
    for device in filter(os.path.exists, DEVICES):
        _show_device(device)
    os.mkdir(STAGE + BOX)
    size = f"size={request['disk']},nr_inodes=4096,mode=0700,uid={uid},gid={gid}"
    kernel.mount("box", STAGE + BOX, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, size)
    os.symlink(BOX, STAGE + "/tmp")
    kernel.restrict_mount(STAGE, kernel.ATTR_RDONLY | kernel.ATTR_NODEV | kernel.ATTR_NOSUID, recursive=False)
    kernel.pivot(STAGE)


def fill(files: dict[str, str], uid: int, gid: int) -> str | None:
    """Puts the files into the box; returns why that is not possible."""
    made = {""}
    for name, text in files.items():
        try:
            _put(name, base64.b64decode(text), uid, gid, made)
        except (OSError, ValueError) as error:
            return f"{name[:80]!r} cannot be put into the box: {getattr(error, 'strerror', None) or error}"
    return None


def be_program(request: dict[str, Any], uid: int, gid: int, telling: int) -> NoReturn:
    """Drops all privileges and becomes the command."""
    if request["entrance"] is not None:
        os.write(request["entrance"], b"0")
    os.setsid()
    os.closerange(3, telling)
    os.closerange(telling + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _limit(request)
    readable = [p for p in (*_readable(request), *DEVICES) if os.path.exists(p)]
    kernel.no_new_privileges()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o077)
    kernel.landlock(readable, [BOX, "/dev/null"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    kernel.filter_syscalls()
    _become(request["argv"], request["env"], os.path.join(BOX, request["cwd"]))


def collect(most: int) -> dict[str, str] | None:
    """The regular files in the box, None if they hold more than `most` bytes (links and holes count in full).

    No program runs any more, symbolic links are not followed, and a file deeper than a path can say is left out.
    """
    found: dict[str, str] = {}
    folders = [BOX]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                    most -= entry.stat(follow_symlinks=False).st_size
                    if most < 0:
                        return None
                    with open(entry.path, "rb") as file:
                        found[entry.path[len(BOX) + 1 :]] = base64.b64encode(file.read()).decode()
    return found


def _readable(request: dict[str, Any]) -> list[str]:
    folders = [p for p in (*SYSTEM, *TOP) if os.path.isdir(p) and not os.path.islink(p)]
    covered = tuple(f + "/" for f in folders)
    return folders + [p for p in request["readable"] if not (p + "/").startswith(covered) and os.path.isdir(p)]


def _show(source: str) -> None:
    os.makedirs(STAGE + source, exist_ok=True)
    kernel.mount(source, STAGE + source, "", kernel.MS_BIND | kernel.MS_REC)
    kernel.restrict_mount(STAGE + source, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV)


def _show_device(device: str) -> None:
    os.makedirs(STAGE + "/dev", exist_ok=True)
    os.close(os.open(STAGE + device, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(device, STAGE + device, "", kernel.MS_BIND)


def _put(name: str, content: bytes, uid: int, gid: int, made: set[str]) -> None:
    """Writes one file of the box, and those folders above it that are not made yet."""
    missing, folder = list[str](), os.path.dirname(name)
    while folder not in made:
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        os.mkdir(f"{BOX}/{folder}", 0o700)
        os.chown(f"{BOX}/{folder}", uid, gid)
        made.add(folder)
    with open(f"{BOX}/{name}", "wb") as file:
        file.write(content)
    os.chown(f"{BOX}/{name}", uid, gid)


def _limit(request: dict[str, Any]) -> None:
    seconds = int(request["seconds"]) + 2
    for name, value in (
        ("AS", request["memory"]), ("CPU", seconds), ("FSIZE", request["disk"]), ("NPROC", request["processes"]),
        ("NOFILE", 64), ("CORE", 0), ("MEMLOCK", 0), ("MSGQUEUE", 0), ("SIGPENDING", 256),
    ):  # fmt: skip
        which = getattr(resource, f"RLIMIT_{name}", None)
        if which is not None:
            hard = resource.getrlimit(which)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (value, value))


def _become(argv: list[str], env: dict[str, str], folder: str) -> NoReturn:
    """Becomes the command. What is wrong with it is an ordinary failure of the command."""
    try:
        if not argv:
            raise FileNotFoundError(2, "no command")
        os.chdir(folder)
        os.execvpe(argv[0], argv, env)
    except (OSError, ValueError) as error:  # ValueError: a null, a lone surrogate or an = in a name
        place = getattr(error, "filename", None) or "".join(argv[:1])
        text = f"{place}: {getattr(error, 'strerror', None) or error}\n"
        os.write(2, text.encode(errors="backslashreplace"))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _or_refuse(telling: int, act: Any, *arguments: Any) -> NoReturn:
    """Runs one step of the confinement; a failure is reported, and nothing is run."""
    try:
        act(*arguments)
    except BaseException as error:
        _tell(telling, {"refused": f"{type(error).__name__}: {error}"})
    os._exit(1)


def _tell(telling: int, report: dict[str, Any]) -> None:
    """One line to the keeper. Only the first counts: a failure to confine the program comes first."""
    with os.fdopen(os.dup(telling), "w") as file:
        file.write(json.dumps(report) + "\n")


def _reap(program: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == program:
            return status


def _end_all() -> None:
    """Kills every other process of the namespace, in any session, and waits for their end."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _let_go_of_streams() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)

"""The kernel's means of confinement by `ctypes`: mounts, Landlock and a seccomp filter. Linux on x86_64 and aarch64.

Not covered: other processors (`NUMBERS` has no column for them, so the jail refuses to run there).
Sources: landlock(7), seccomp(2), mount_setattr(2), linux/audit.h and the kernel's syscall tables.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x10000000, 0x20000000, 0x40000000, 0x80
NEW_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
) | CLONE_NEWTIME

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4

_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38

#: Syscalls the jailed program may not make, with their numbers on x86_64 and aarch64 (None: does not exist there).
DENIED: dict[str, tuple[int | None, int]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None), "personality": (135, 92),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "vhangup": (153, 58), "mknod": (133, None), "mknodat": (259, 33),
    "modify_ldt": (154, None), "uselib": (134, None), "socket": (41, 198), "setuid": (105, 146), "setgid": (106, 144),
    "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149),
    "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91),
    "sched_setattr": (314, 274), "sched_setscheduler": (144, 119), "lookup_dcookie": (212, 18),
    "vmsplice": (278, 75), "sync": (162, 81), "syncfs": (306, 267), "setsockopt": (54, 208), "sendmsg": (46, 211),
    "sendmmsg": (307, 269), "mincore": (27, 232), "cachestat": (451, 451), "preadv2": (327, 286),
    "readahead": (187, 213), "fadvise64": (221, 223), "move_pages": (279, 239), "migrate_pages": (256, 238),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "ioprio_set": (251, 30), "pidfd_send_signal": (424, 424),
    "process_mrelease": (448, 448), "remap_file_pages": (216, 234),
}  # type: ignore[assignment]  # fmt: skip

#: Syscalls that may be made with 0 in these arguments only: on the calling process, not on the jail's process 1.
ONLY_ITSELF: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "prlimit64": (302, 261, (0,)), "sched_setaffinity": (203, 122, (0,)), "sched_setparam": (142, 118, (0,)),
    "setpriority": (141, 140, (0, 1)),
}  # fmt: skip
#: `MAP_SHARED | MAP_ANONYMOUS`: memory that stays when it is in no process's resident set.
SHARED_ANONYMOUS = 0x21

#: Audit architecture, and the numbers of clone, clone3, mmap, pivot_root and seccomp's column in `DENIED`.
NUMBERS = {
    "x86_64": {"arch": 0xC000003E, "clone": 56, "clone3": 435, "mmap": 9, "pivot_root": 155, "column": 0},
    "aarch64": {"arch": 0xC00000B7, "clone": 220, "clone3": 435, "mmap": 222, "pivot_root": 41, "column": 1},
}
_libc = ctypes.CDLL(None, use_errno=True)


class Refused(OSError):
    """The kernel refused a step of the confinement."""


def call(what: str, *arguments: object) -> int:
    """Calls a function of libc and raises `Refused` with its name where it fails."""
    result = getattr(_libc, what)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise Refused(number, f"{what}: {os.strerror(number)}")
    return result


def numbers() -> dict[str, int]:
    """The syscall numbers of this machine. Raises `Refused` on a processor without a table."""
    try:
        return NUMBERS[os.uname().machine]
    except KeyError:
        raise Refused(f"no syscall table for the processor {os.uname().machine}") from None


def unshare(flags: int) -> None:
    """Moves this process (or, for pid, its children) into new namespaces."""
    call("unshare", flags)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mounts a file system."""
    call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())


def restrict_mount(target: str, attributes: int, recursive: bool = True) -> None:
    """Adds attributes such as read-only to a mount and, if recursive, to all below it (Linux 5.12)."""
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    call("syscall", 442, _AT_FDCWD, target.encode(), flags, wanted, ctypes.c_size_t(len(wanted)))


def pivot(root: str) -> None:
    """Makes `root` the root folder and detaches the old one."""
    os.chdir(root)
    call("syscall", numbers()["pivot_root"], b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def die_with_parent() -> None:
    """This process is killed when the thread that made it ends."""
    call("prctl", _PR_SET_PDEATHSIG, 9, 0, 0, 0)


def no_new_privileges() -> None:
    """Drops the capability bounding set as far as allowed; no program started from here gains any privilege."""
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 where it is absent or off."""
    return max(0, _libc.syscall(444, None, ctypes.c_size_t(0), 1))


def landlock(readable: Iterable[str], writable: Iterable[str]) -> int:
    """Allows reading and executing below `readable`, everything except devices below `writable`, and nothing else.

    Also no TCP (ABI 4), no signals and abstract sockets to the outside (ABI 6). Returns the ABI, 0 where absent.
    """
    version = landlock_version()
    if version == 0:
        return 0
    files = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(version, 0xFFFF)
    fields = [files, 0x3 if version >= 4 else 0, 0x3 if version >= 6 else 0]
    known = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2}.get(version, 3)
    attributes = struct.pack("Q" * known, *fields[:known])
    ruleset = call("syscall", 444, attributes, ctypes.c_size_t(len(attributes)), 0)
    read, devices = 0x1 | 0x4 | 0x8, 0x40 | 0x800  # execute, read a file, read a folder; make devices
    for paths, allowed in ((readable, read), (writable, files & ~devices)):
        for path in paths:
            _allow_beneath(ruleset, path, allowed)
    call("syscall", 446, ruleset, 0)
    os.close(ruleset)
    return version


def _allow_beneath(ruleset: int, path: str, allowed: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    only_on_files = 0x1 | 0x2 | 0x4 | 0x4000 | 0x8000
    if not os.path.isdir(path):  # noqa: PTH112
        allowed &= only_on_files
    call("syscall", 445, ruleset, 1, struct.pack("=Qi", allowed, fd), 0)
    os.close(fd)


def filter_syscalls() -> None:
    """Installs the seccomp filter.

    `DENIED`, new namespaces, shared anonymous memory and `ONLY_ITSELF` on others fail with EPERM, clone3 with ENOSYS.

    A syscall of a foreign architecture (32 bit, x32) kills the process.
    """
    program = _program(numbers())
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    call("prctl", _PR_SET_SECCOMP, 2, header, 0, 0)


def _program(machine: dict[str, int]) -> list[bytes]:
    """The filter in classic BPF: loads, comparisons that skip instructions, and returns."""
    kill, allow, refuse, absent = 0x80000000, 0x7FFF0000, 0x00050001, 0x00050026  # EPERM 1, ENOSYS 38
    load, equal, at_least, any_bit, give, keep = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
    number, architecture, arguments = 0, 4, 16  # the low halves of the arguments are 8 bytes apart
    lines = [
        _line(load, architecture), _line(equal, machine["arch"], 1, 0), _line(give, kill),
        _line(load, number), _line(at_least, 0x40000000, 0, 1), _line(give, kill),
        _line(equal, machine["clone3"], 0, 1), _line(give, absent),
    ]  # fmt: skip
    for row in DENIED.values():
        if (denied := row[machine["column"]]) is not None:
            lines += [_line(equal, denied, 0, 1), _line(give, refuse)]
    for *rows, zeros in ONLY_ITSELF.values():
        lines.append(_line(equal, rows[machine["column"]], 0, 3 * len(zeros) + 1))
        for place in zeros:
            lines += [_line(load, arguments + 8 * place), _line(equal, 0, 1, 0), _line(give, refuse)]
        lines.append(_line(give, allow))
    lines += [
        _line(equal, machine["mmap"], 0, 5), _line(load, arguments + 8 * 3), _line(keep, SHARED_ANONYMOUS),
        _line(equal, SHARED_ANONYMOUS, 0, 1), _line(give, refuse), _line(give, allow),
        _line(equal, machine["clone"], 0, 3), _line(load, arguments),
        _line(any_bit, NEW_NAMESPACES & ~CLONE_NEWTIME, 0, 1), _line(give, refuse),
    ]  # fmt: skip
    return [*lines, _line(give, allow)]


def _line(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", code, then, otherwise, value)

"""Programs that attack the jail, each with what must be seen from outside.

A program that gets what it wants prints ESCAPED, one that is refused prints HELD. Filled in before it runs: `NAME`, the
path of a file outside the jail; `PARENT`, the process id of the test; `PORT`, of a server outside; `SYS_x`, the number
of a syscall. `ends` says how the jail may report the end: one or two reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

LIBC = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"


@dataclass(frozen=True)
class Attack:
    """One hostile program: it must not print ESCAPED, must end as said, and print HELD if it ends by itself."""

    name: str
    source: str
    ends: str = "finished"


def refused(name: str, act: str, before: str = "") -> Attack:
    """An act that must raise an error."""
    body = "\n".join("    " + line for line in act.strip().splitlines())
    source = (
        f"{before}\ntry:\n{body}\nexcept (Exception, SystemExit):\n    print('HELD')\nelse:\n    print('ESCAPED')\n"
    )
    return Attack(name, source)


def syscall(name: str, call: str, errors: tuple[int, ...] = (1,)) -> Attack:
    """A call to libc that must fail with one of these errors (1: not permitted)."""
    return Attack(name, f"{LIBC}print('HELD' if {call} < 0 and ctypes.get_errno() in {errors} else 'ESCAPED')\n")


def unseen(name: str, expression: str, before: str = "import os, sys") -> Attack:
    """An expression that must be false."""
    return Attack(name, f"{before}\nprint('ESCAPED' if ({expression}) else 'HELD')\n")


FILES = [
    refused("reads a file outside", "open('NAME').read()"),
    refused("reads the password file", "open('/etc/passwd').read()"),
    refused("lists the root folder's neighbours", "import os; os.listdir('/home')"),
    refused("writes a file outside", "open('NAME', 'w').write('x')"),
    refused("deletes a file outside", "import os; os.unlink('NAME')"),
    refused("writes into the interpreter's folder", "import os; open(os.path.dirname(os.__file__) + '/new.py', 'w')"),
    refused("changes the interpreter's own file", "import sys; open(sys.executable, 'ab')"),
    refused("writes into the root folder", "open('/new', 'w')"),
    refused("climbs out with dots", "open('/box/../../../../' + 'NAME').read()"),
    refused("follows a symbolic link out", "import os; os.symlink('NAME', 'link'); open('link').read()"),
    refused("follows a link to a folder out", "import os; os.symlink('/', 'up'); open('up' + 'NAME').read()"),
    refused("makes a hard link to the outside", "import os; os.link('NAME', 'hard')"),
    refused("moves the box away", "import os; os.rename('/box', '/other')"),
    unseen("finds a file outside", "os.path.exists('NAME') or os.path.exists(os.path.dirname('NAME') + '/x/..')"),
    unseen("leaves a set-uid program", "(open('s', 'w').close(), os.chmod('s', 0o4755), os.stat('/bin/sh').st_uid)[2]"),
]  # fmt: skip

PROC = [
    refused("reads /proc/self/environ", "open('/proc/self/environ').read()"),
    refused("enters another's root by /proc", "import os; os.listdir('/proc/1/root/')"),
    refused("enters the parent's root by /proc", "import os; os.listdir('/proc/PARENT/root')"),
    refused("writes to the parent's memory by /proc", "open('/proc/PARENT/mem', 'r+b')"),
    refused("triggers the kernel by /proc", "open('/proc/sysrq-trigger', 'w').write('h')"),
    refused("reads the kernel's settings by /sys", "import os; os.listdir('/sys/kernel')"),
    refused("opens a disk", "open('/dev/vda', 'rb')"),
    refused("opens the terminal", "open('/dev/tty', 'w')"),
    refused("opens the kernel's memory", "open('/dev/mem', 'rb')"),
]

ENVIRONMENT = [
    unseen("finds a secret in the environment", "'BCT_TEST_SECRET' in os.environ or len(os.environ) > 8"),
    Attack(
        "finds an open descriptor",
        "import os\nopen_ones = []\nfor fd in range(3, 256):\n    try: os.fstat(fd); open_ones.append(fd)\n"
        "    except OSError: pass\nprint('ESCAPED' if open_ones else 'HELD')\n",
    ),
    unseen("is root or in a group", "os.getuid() == 0 or os.geteuid() == 0 or 0 in os.getgroups()"),
    unseen("has a controlling terminal", "any(os.isatty(fd) for fd in range(3))"),
]

NETWORK = [
    refused("opens a TCP socket", "import socket; socket.socket().connect(('127.0.0.1', PORT))"),
    refused("opens a UDP socket", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
    refused("opens a raw socket", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    refused("opens a netlink socket", "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    refused("connects to a socket by path", "import socket; socket.socket(socket.AF_UNIX).connect('/run/x')"),
    refused("asks a name server", "import socket; socket.gethostbyname('example.org')"),
    refused("fetches a page", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:PORT', timeout=2)"),
]

SIGNALS = [
    refused("kills the test's process", "import os; os.kill(PARENT, 9)"),
    refused("kills the parent's group", "import os; os.killpg(PARENT, 9)"),
    Attack("kills process 1", "import os\ntry: os.kill(1, 9)\nexcept OSError: pass\nprint('HELD')\n"),
    Attack("interrupts process 1", "import os\ntry: os.kill(1, 2)\nexcept OSError: pass\nprint('HELD')\n"),
    syscall("opens the parent by pidfd", "libc.syscall(434, PARENT, 0)", (1, 3, 22)),
    Attack("stops process 1", "import os\ntry: os.kill(1, 19)\nexcept OSError: pass\nprint('HELD')\n"),
    syscall("signals by pidfd", "libc.syscall(SYS_pidfd_send_signal, 0, 9, None, 0)"),
    Attack("kills everybody", "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nprint('HELD')\n"),
]

KERNEL = [
    syscall("traces process 1", "libc.ptrace(16, 1, None, None)"),
    syscall("lets itself be traced", "libc.ptrace(0, 0, None, None)"),
    syscall("reads another's memory", "libc.process_vm_readv(1, None, 0, None, 0, 0)"),
    refused("becomes root", "import os; os.setuid(0)"),
    refused("becomes root by groups", "import os; os.setgroups([0])"),
    syscall("mounts a file system", "libc.mount(b'none', b'/box', b'tmpfs', 0, None)"),
    syscall("mounts proc", "libc.mount(b'proc', b'/box', b'proc', 0, None)"),
    syscall("makes the libraries writable", "libc.mount(b'none', b'/usr/lib', None, 32 | 4096, None)"),
    syscall("unmounts the libraries", "libc.umount2(b'/usr/lib', 2)"),
    refused("changes its root", "import os; os.chroot('/box')"),
    syscall("makes a user namespace", "libc.unshare(0x10000000)"),
    syscall("clones into a user namespace", "libc.syscall(SYS_clone, 0x10000000 | 17, 0, 0, 0, 0)"),
    syscall("enters a namespace", "libc.setns(0, 0)"),
    syscall("adds a key to the kernel's keyring", "libc.syscall(SYS_add_key, b'user', b'k', b'v', 1, -3)"),
    syscall("reads the kernel's keyring", "libc.syscall(SYS_keyctl, 0, -4, 0)"),
    syscall("loads a BPF program", "libc.syscall(SYS_bpf, 0, None, 0)"),
    syscall("opens io_uring", "libc.syscall(SYS_io_uring_setup, 1, (ctypes.c_char * 120)())"),
    syscall("counts performance events", "libc.syscall(SYS_perf_event_open, None, 0, -1, -1, 0)"),
    syscall("handles page faults", "libc.syscall(SYS_userfaultfd, 0)"),
    syscall("loads a kernel module", "libc.syscall(SYS_init_module, None, 0, b'')"),
    syscall("reboots", "libc.syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89ABCDEF, None)"),
    syscall("reads the kernel's log", "libc.syscall(SYS_syslog, 3, None, 0)"),
    syscall("makes a device", "libc.mknod(b'disk', 0o60644, 0xFE00)"),
    syscall("sets the clock", "libc.settimeofday((ctypes.c_long * 2)(), None)"),
    syscall("renames the host", "libc.sethostname(b'x', 1)"),
    syscall("opens a file by its handle", "libc.syscall(SYS_open_by_handle_at, -100, None, 0)"),
    syscall("limits process 1", "libc.prlimit(1, 7, (ctypes.c_ulong * 2)(0, 0), None)"),
    syscall("reads the limits of process 1", "libc.prlimit(1, 7, None, (ctypes.c_ulong * 2)())"),
    syscall("limits the test's process", "libc.prlimit(PARENT, 7, (ctypes.c_ulong * 2)(0, 0), None)"),
    syscall("moves process 1 to another processor", "libc.sched_setaffinity(1, 8, (ctypes.c_ulong * 1)(1))"),
    syscall("slows process 1 down", "libc.setpriority(0, 1, 19)"),
    syscall("slows all of its user's processes down", "libc.setpriority(2, 65534, 19)"),
    syscall("slows the disk of process 1 down", "libc.syscall(SYS_ioprio_set, 1, 1, 3 << 13)"),
    syscall("moves the memory of process 1", "libc.syscall(SYS_migrate_pages, 1, 8, None, None)"),
    syscall("writes the host's disks out", "libc.syscall(SYS_sync)"),
    syscall("writes a disk out", "libc.syscall(SYS_syncfs, 0)"),
    syscall("asks what the page cache holds", "libc.mincore(None, 0, None)"),
    syscall("asks what the page cache holds of a file", "libc.syscall(SYS_cachestat, 0, None, None, 0)"),
    syscall("reads only what the page cache holds", "libc.syscall(SYS_preadv2, 0, None, 0, 0, 0, 8)"),
    syscall("drops pages of the page cache", "libc.posix_fadvise(0, 0, 0, 4) * -1", (0, 1)),
    syscall("sets a clock", "libc.syscall(SYS_clock_settime, 0, (ctypes.c_long * 2)())"),
    syscall("turns a clock", "libc.syscall(SYS_adjtimex, (ctypes.c_char * 256)())"),
    unseen("learns the host's name", "os.uname().nodename != 'jail' or 'HOST' in str(os.uname())"),
    syscall("lifts its limits", "libc.setrlimit(6, (ctypes.c_ulong * 2)(1 << 60, 1 << 60))"),
]

RESOURCES = [
    Attack(
        "bombs with forks",
        "import os\nn = 0\ntry:\n    while n < 10_000:\n        n += 1\n        if os.fork() == 0:\n"
        "            __import__('time').sleep(60)\nexcept OSError: print('HELD' if n < 40 else 'ESCAPED')\n",
    ),
    Attack("bombs with forks that fork", "import os\nwhile 1:\n    try: os.fork()\n    except OSError: pass\n", "time"),
    Attack(
        "bombs with threads",
        "import threading, time\nn = 0\ntry:\n    while n < 10_000:\n        n += 1\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "except RuntimeError: print('HELD' if n < 40 else 'ESCAPED', flush=True)\n__import__('os')._exit(0)\n",
    ),
    refused("takes all memory", "x = bytearray(1 << 33)"),
    Attack(
        "takes memory bit by bit",
        "x = []\ntry:\n    while True: x.append(bytearray(b'1') * (1 << 20))\nexcept MemoryError: print('HELD')\n",
        "finished memory",
    ),
    Attack(
        "takes memory in many processes",
        "import os, time\nfor _ in range(7):\n    if os.fork() == 0: break\n"
        "x = bytearray(b'1') * (40 << 20)\ntime.sleep(60)\n",
        "memory",
    ),
    refused("shares memory", "import mmap; m = mmap.mmap(-1, 1 << 33)"),
    syscall("shares anonymous memory", "libc.mmap(None, 4096, 3, 0x21, -1, 0)"),
    syscall("shares anonymous memory by the other flag", "libc.mmap(None, 4096, 3, 0x23, -1, 0)"),
    refused("shares the memory of /dev/zero", "import mmap; mmap.mmap(open('/dev/zero', 'r+b').fileno(), 1 << 28)"),
    refused(
        "gives shared memory back and keeps it",
        "m = mmap.mmap(-1, 1 << 30)\nfor at in range(0, 1 << 30, 1 << 20):\n"
        "    m[at:at + (1 << 20)] = b'1' * (1 << 20)\n    m.madvise(mmap.MADV_DONTNEED)",
        "import mmap",
    ),
    syscall("pins memory in a pipe", "libc.syscall(SYS_vmsplice, 1, None, 0, 0)"),
    syscall("widens the buffer of a socket", "libc.setsockopt(0, 1, 7, (ctypes.c_int * 1)(1 << 30), 4)"),
    syscall("hides sockets in sockets", "libc.sendmsg(0, None, 0)"),
    Attack("hides memory in sockets", "import socket\nn = 0\npairs = []\ntry:\n    while True:\n"
           "        pairs.append(socket.socketpair())\n        pairs[-1][0].setblocking(False)\n"
           "        try:\n            while True: n += pairs[-1][0].send(b'x' * 65536)\n"
           "        except BlockingIOError: pass\nexcept OSError: print('HELD' if n < 1 << 26 else 'ESCAPED')\n"),
    Attack("hides memory in pipes", "import fcntl, os\nn = 0\ntry:\n    while True:\n        r, w = os.pipe()\n"
           "        n += fcntl.fcntl(w, 1031, 1 << 20)\nexcept OSError: print('HELD' if n < 1 << 26 else 'ESCAPED')\n"),
    refused("makes a file with a hole", "open('hole', 'wb').truncate(1 << 40)", "import signal; signal.signal(25, 1)"),
    syscall("hides memory in a file without a name", "libc.syscall(SYS_memfd_create, b'x', 0)"),
    syscall("hides memory in a shared segment", "libc.shmget(0, 1 << 28, 0o1600)"),
    refused("fills the disk with one file", "f = open('big', 'wb')\nfor _ in range(256): f.write(b'x' * (1 << 20))"),
    refused(
        "fills the disk with many files",
        "for i in range(256):\n    with open(f'part{i}', 'wb') as f: f.write(b'x' * (1 << 20))",
    ),
    refused("uses up the inodes", "for i in range(100_000): open(str(i), 'w').close()"),
    refused("uses up the descriptors", "x = [open('program.py') for _ in range(10_000)]"),
    Attack("loops for ever", "while True: pass\n", "time"),
    Attack("sleeps for ever", "import time\ntime.sleep(3600)\n", "time"),
    Attack("ignores every signal", "import signal\nfor n in set(range(1, 65)) - {9, 19, 32, 33}: "
           "signal.signal(n, signal.SIG_IGN)\nwhile True: pass\n", "time"),
    Attack("stops itself", "import os\nos.kill(os.getpid(), 19)\n", "time"),
    Attack("prints for ever", "while True: print('x' * 10_000)\n", "output"),
    Attack("prints errors for ever", "import sys\nwhile True: print('x' * 10_000, file=sys.stderr)\n", "output"),
    Attack("recurses into a crash", "print('HELD', flush=True)\nimport sys\nsys.setrecursionlimit(10**9)\n"
           "def f(): f()\ntry: f()\nexcept RecursionError: pass\n", "finished memory"),
    Attack("computes a huge number", "x = 10 ** 10 ** 9\n", "time"),
]  # fmt: skip

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(0.05)
    os._exit(0)
print('HELD')
"""
HOLDS_STREAMS = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(3600)
print('HELD', flush=True)
os._exit(0)
"""
LEFTOVERS = [Attack("leaves a daemon behind", DAEMON), Attack("leaves one that holds the output open", HOLDS_STREAMS)]

ATTACKS = [*FILES, *PROC, *ENVIRONMENT, *NETWORK, *SIGNALS, *KERNEL, *RESOURCES, *LEFTOVERS]

_REPORT = '{"reason": "finished", "exit": 0, "level": "faked", "files": {}}'
#: Programs that want to pass a test whose expected output ("1764") they cannot know. Input: 42.
FAKES = {
    "says that it passed": "print('PASSED')",
    "prints a verdict as JSON": 'print(\'{"passed": true, "verdict": "honest"}\')',
    "exits with success": "raise SystemExit(0)",
    "exits at once": "import os; os._exit(0)",
    "writes a report to every descriptor": (
        f"import os\nfor fd in range(1, 256):\n    try: os.write(fd, {_REPORT!r}.encode())\n    except OSError: pass"
    ),
    "writes a report and dies": f"import os\nos.write(2, {_REPORT!r}.encode())\nos.kill(os.getpid(), 9)",
    "looks for the expected output": (
        "import gc, os, sys\nprint(next((v for v in gc.get_objects() if v == '1764'), 0), os.listdir(), sys.argv)"
    ),
    "prints every number": "print('\\n'.join(map(str, range(2000))))",
    "prints the right number among others": "print('1764 or 42')",
    "prints the right number and crashes": "print(1764, flush=True); import os; os.abort()",
    "prints the right number and never ends": "print(1764, flush=True)\nwhile True: pass",
    "takes the output's place and exits": "import os, sys; os.close(1); sys.exit(0)",
}

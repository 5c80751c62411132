"""The jail: hostile programs achieve nothing, harmless ones run, and the verdict is never the program's own."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import ATTACKS, FAKES, Attack

from graders.jail import process as jail
from graders.jail.confine import kernel
from graders.jail.process import CannotConfine, Limits, inside, passes, run_command, run_program

try:
    jail.level()
except CannotConfine as refusal:
    pytest.skip(f"this kernel offers no confinement: {refusal}", allow_module_level=True)

# A program that must end by another reason than its time has more of it than any machine needs.
SMALL = Limits(seconds=120, memory=200 << 20, disk=16 << 20, output=1 << 18, processes=16)
QUICK = dataclasses.replace(SMALL, seconds=0.7)

#: Fills its box, memory of its own, and twice 29 pipes; only the memory of its own is in a resident set.
PIPES = """
import fcntl, os, time
with open("box", "wb") as file: file.write(b"x" * (14 << 20))
told, telling = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        for _ in range(29):
            end = os.pipe()[1]
            fcntl.fcntl(end, 1031, 1 << 20)
            os.write(end, b"x" * (1 << 20))
        os.write(telling, b"x")
        time.sleep(600)
own = bytearray(b"1") * ({size} << 20)
print(len(os.read(told, 1) + os.read(told, 1)))
"""


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file and an environment variable that no program may see."""
    monkeypatch.setenv("BCT_TEST_SECRET", "hidden")
    tmp_path.chmod(0o755)
    path = tmp_path / "secret.txt"
    path.write_text("hidden")
    path.chmod(0o666)
    return path


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server on this machine that a program with a network could reach."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_hostile_program_achieves_nothing(attack: Attack, secret: Path, port: int) -> None:
    source = filled(attack.source, secret, port)
    result = run_program(source, limits=QUICK if attack.ends == "time" else SMALL)
    assert "ESCAPED" not in result.stdout
    assert result.reason in attack.ends.split(), result
    assert result.reason != "finished" or "HELD" in result.stdout, result
    assert secret.read_text() == "hidden"
    assert not survivors()


@pytest.mark.parametrize("fake", FAKES)
def test_a_program_cannot_fake_its_verdict(fake: str) -> None:
    limits = QUICK if fake.endswith("never ends") else SMALL
    assert passes(FAKES[fake], [("42", "1764")], limits) == [False]
    assert (run_program(FAKES[fake], "42", limits).reason == "time") == (limits is QUICK)


def test_there_are_at_least_a_hundred_attacks() -> None:
    assert len({attack.name for attack in ATTACKS}) + len(FAKES) >= 100


def test_no_memory_cgroup_outlives_its_jail() -> None:
    run_program("while True: pass", limits=QUICK)
    assert not [path for path in Path("/sys/fs/cgroup").rglob(f"bct-jail-{os.getpid()}-*")]


def test_memory_that_no_resident_set_shows_counts_where_there_is_a_memory_cgroup() -> None:
    if "a memory cgroup" not in jail.level():
        pytest.skip("no memory cgroup may be made here (needs root or a delegated group)")
    limits = dataclasses.replace(SMALL, memory=200 << 20)
    assert run_program(PIPES.format(size=20), limits=limits).good
    assert run_program(PIPES.format(size=150), limits=limits).reason == "memory"


def test_every_attack_would_succeed_or_be_noticed_without_a_jail(secret: Path, port: int) -> None:
    """The attacks are real: outside, those on files, environment and network print ESCAPED."""
    names = {"reads a file outside", "finds a secret in the environment", "opens a TCP socket", "finds a file outside"}
    for attack in (a for a in ATTACKS if a.name in names):
        source = filled(attack.source, secret, port)
        outside = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
        assert "ESCAPED" in outside.stdout, attack.name


def test_a_harmless_program_runs_with_its_input_and_its_files() -> None:
    source = "import json, math, sys\nopen('x', 'w').write(sys.stdin.read())\nprint(math.sqrt(int(open('x').read())))"
    result = run_program(source, "1764")
    assert (result.stdout, result.exit, result.reason, result.stderr) == ("42.0\n", 0, "finished", "")
    assert result.good


def test_a_right_program_passes_and_a_wrong_one_does_not() -> None:
    cases = [("2", "4"), ("3", "9 \n")]
    assert passes("print(int(input()) ** 2)", cases) == [True, True]
    assert passes("print(4)", cases) == [True, False]


def test_programs_may_use_processes_and_threads() -> None:
    source = (
        "import subprocess, sys, threading\nt = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "print(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout)"
    )
    assert run_program(source).stdout.split() == ["thread", "42"]


def test_every_result_names_the_level_that_confined_it() -> None:
    for source in ("print(1)", "while True: print('x' * 9999)", "while True: pass"):
        level = run_program(source, limits=QUICK).level
        assert "namespaces, seccomp" in level


def test_the_exit_code_and_the_signal_are_reported() -> None:
    assert run_program("raise SystemExit(3)").exit == 3
    assert run_program("import os; os.abort()").exit == -6
    assert run_program("1 / 0").exit == 1


def test_unread_input_larger_than_a_pipe_does_no_harm() -> None:
    assert run_program("print('done')", "x" * 3_000_000).stdout == "done\n"
    assert run_program("print(len(input()))", "x" * 3_000_000).stdout == "3000000\n"


def test_output_is_cut_at_its_cap() -> None:
    result = run_program("print('x' * 5_000_000)", limits=SMALL)
    assert result.reason == "output"
    assert len(result.stdout) == SMALL.output


def test_two_runs_share_nothing() -> None:
    run_program("open('/tmp/left', 'w').write('behind')")
    assert run_program("import os; print(os.listdir('/box'))").stdout == "['program.py']\n"


def test_files_left_behind_are_read_back_but_links_are_not_followed() -> None:
    source = "import os\nos.makedirs('a/b'); open('a/b/c', 'w').write('1')\nos.symlink('/usr/bin/env', 'link')"
    result = run_command([jail.PYTHON, "-I", "-S", "-c", source], files={"x/y": b"2"}, keep=True)
    assert result.files == {"a/b/c": b"1", "x/y": b"2"}


def test_very_deep_folders_are_survived() -> None:
    source = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')\nopen('f', 'w')"
    assert run_command([jail.PYTHON, "-I", "-S", "-c", source], keep=True).reason == "finished"


def test_a_missing_command_is_an_ordinary_failure() -> None:
    assert run_command(["no-such-command"]).exit == 127


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".", "a\0b"])
def test_no_file_name_leads_out_of_the_box(name: str) -> None:
    with pytest.raises(ValueError, match="not in the jail"):
        inside(name)


def alone(folder: Path, filter_syscalls: str = "") -> subprocess.CompletedProcess[str]:
    """`print('ran')` in a copy of the jail that has nothing else of this project; perhaps with another filter."""
    shutil.copytree(Path(jail.__file__).parent, folder / "jail")
    if filter_syscalls:
        kernel_file = folder / "jail" / "confine" / "kernel.py"
        body = f"{kernel_file.read_text()}\n\ndef filter_syscalls():\n    {filter_syscalls}\n"
        kernel_file.write_text(body)
    source = (
        f"import sys; sys.path[:0] = [{str(folder)!r}]; import jail; print(jail.run_program(\"print('ran')\").stdout)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", source]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def test_the_jail_needs_no_other_package(tmp_path: Path) -> None:
    assert alone(tmp_path).stdout == "ran\n\n"


@pytest.mark.parametrize(
    ("filter_syscalls", "says"),
    [
        ("raise Refused(1, 'no seccomp here')", "no seccomp here"),
        ("pass", "the probe escaped or failed: has a network"),
    ],
    ids=["a step fails", "a filter that filters nothing"],
)
def test_where_the_confinement_fails_or_leaks_nothing_is_run(tmp_path: Path, filter_syscalls: str, says: str) -> None:
    done = alone(tmp_path, filter_syscalls)
    assert done.stdout == ""
    assert "CannotConfine: " in done.stderr
    assert says in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="asks root to become an ordinary user first")
def test_an_ordinary_user_gets_a_user_namespace_or_a_refusal(tmp_path: Path) -> None:
    python = Path("/usr/bin/python3")
    if (
        not python.exists()
        or subprocess.run([python, "-c", "import sys; assert sys.version_info >= (3, 11)"]).returncode
    ):
        pytest.skip("no interpreter here that every user may run")
    copy = tmp_path / "jail"
    subprocess.run(["cp", "-r", Path(jail.__file__).parent, copy], check=True)
    for folder in [copy, *copy.parents][:-1]:
        folder.chmod(folder.stat().st_mode | 0o055)
    source = (
        "import os, sys\nos.setgroups([]); os.setgid(4242); os.setuid(4242)\n"
        f"sys.path.insert(0, {str(copy.parent)!r})\nimport jail\n"
        "try: print(jail.level(), jail.run_program('import os; print(os.getuid())').stdout)\n"
        "except jail.CannotConfine as error: print('refused', error)\n"
    )
    told = subprocess.run([python, "-I", "-c", source], capture_output=True, text=True)
    assert "a user namespace" in told.stdout or "refused" in told.stdout, told.stderr


def filled(source: str, secret: Path, port: int) -> str:
    """An attack's program with the names and numbers of this machine."""
    machine = kernel.numbers()
    for word, value in (("NAME", secret), ("PARENT", os.getpid()), ("PORT", port), ("HOST", socket.gethostname())):
        source = source.replace(word, str(value))
    return re.sub(r"SYS_(\w+)", lambda m: str(machine.get(m[1]) or kernel.DENIED[m[1]][machine["column"]]), source)


def survivors() -> list[str]:
    """Processes of a jail that still live after many looks."""
    found: list[str] = []
    for _ in range(400):
        found = [path.name for path in Path("/proc").glob("[0-9]*") if _jailed(path)]
        if not found:
            return []
        time.sleep(0.05)
    return found


def _jailed(path: Path) -> bool:
    try:
        return (
            path.joinpath("ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
            and b"program.py" in (path / "cmdline").read_bytes()
        )
    except OSError:
        return False

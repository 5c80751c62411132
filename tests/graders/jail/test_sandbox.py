"""The inspect sandbox `jail`, through inspect itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import click
import pytest
from commands import COMMANDS, DISK, WRITES
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import OutputLimitExceededError, SandboxUserUnsupportedError, sandbox

from graders.jail import process as jail
from graders.jail.process import CannotConfine, Limits
from graders.jail.sandbox import JailSandbox

try:
    jail.level()
except CannotConfine as refusal:
    pytest.skip(f"this kernel offers no confinement: {refusal}", allow_module_level=True)


@solver
def work() -> Solver:
    """Writes a program into the sandbox, runs it, and leaves a file behind."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        await sandbox().write_file("square.py", "print(int(input()) ** 2, file=open('answer', 'w'))")
        state.metadata["run"] = (await sandbox().exec(["python3", "square.py"], input="42")).returncode
        return state

    return solve


@scorer(metrics=[accuracy()])
def answer() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        found = await sandbox().read_file("/box/answer")
        return Score(value="C" if found.strip() == target.text and state.metadata["run"] == 0 else "I")

    return score


def test_an_eval_runs_in_the_jail_and_its_log_names_the_level(tmp_path: Path) -> None:
    sample = Sample(input="Go.", target="1764", files={"given/note": "hello"})
    task = Task(dataset=[sample], solver=work(), scorer=answer(), sandbox="jail")
    log = eval(task, model="none", log_dir=str(tmp_path), display="none")[0]
    assert log.status == "success", log.error
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 1
    assert log.samples is not None
    told = [e for e in log.samples[0].events if e.event == "info" and e.source == "jail"]
    assert "namespaces, seccomp" in str(told[0].data)


def test_an_eval_stops_before_its_first_sample_where_nothing_confines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise CannotConfine("cannot confine programs on this machine: made up")

    monkeypatch.setattr("graders.jail.sandbox.level", refuse)
    task = Task(dataset=[Sample(input="Go.", target="1764")], solver=work(), scorer=answer(), sandbox="jail")
    with pytest.raises(click.ClickException, match="made up"):
        eval(task, model="none", log_dir=str(tmp_path), display="none")
    assert not list(tmp_path.glob("*.eval"))


def in_box(*steps: tuple[str, dict[str, Any]]) -> list[Any]:
    """The results of calls on one fresh sandbox, or what they raised."""

    async def go() -> list[Any]:
        box, results = JailSandbox(), []
        for name, arguments in steps:
            try:
                results.append(await getattr(box, name)(**arguments))
            except Exception as error:
                results.append(error)
        return results

    return anyio.run(go)


def test_files_stay_between_commands_and_failures_are_reported() -> None:
    made, listed, failed, missing = in_box(
        ("exec", {"cmd": ["bash", "-c", "mkdir -p a && echo hi > a/b"]}),
        ("exec", {"cmd": ["cat", "b"], "cwd": "a"}),
        ("exec", {"cmd": ["bash", "-c", "echo $X >&2; exit 7"], "env": {"X": "why"}}),
        ("read_file", {"file": "nothing"}),
    )
    assert made.success
    assert listed.stdout == "hi\n"
    assert (failed.returncode, failed.stderr) == (7, "why\n")
    assert isinstance(missing, FileNotFoundError)


def test_a_command_past_its_timeout_another_user_and_a_path_outside_are_refused() -> None:
    late, user, out, folder = in_box(
        ("exec", {"cmd": ["sleep", "60"], "timeout": 1}),
        ("exec", {"cmd": ["true"], "user": "root"}),
        ("write_file", {"file": "/etc/x", "contents": "x"}),
        ("exec", {"cmd": ["true"], "cwd": "nowhere"}),
    )
    assert isinstance(late, TimeoutError)
    assert isinstance(user, SandboxUserUnsupportedError)
    assert isinstance(out, PermissionError)
    assert (folder.returncode, folder.stderr) == (127, "/box/nowhere: No such file or directory\n")


def test_a_binary_file_is_read_as_bytes_and_a_folder_is_no_file() -> None:
    _, read, folder = in_box(
        ("write_file", {"file": "a/b", "contents": b"\xff\x00"}),
        ("read_file", {"file": "a/b", "text": False}),
        ("read_file", {"file": "a"}),
    )
    assert read == b"\xff\x00"
    assert isinstance(folder, IsADirectoryError)


def test_no_command_ends_a_sample_and_the_next_one_runs() -> None:
    async def go() -> dict[str, Any]:
        box, found = JailSandbox(Limits(seconds=60, disk=DISK, output=1 << 16)), {}
        await box.write_file("given", "hello")
        await box.write_file("folder/given", "hello")
        for name, (argv, options, _) in COMMANDS.items():
            try:
                found[name] = (await box.exec(argv, **options)).returncode
            except (TimeoutError, OutputLimitExceededError) as error:
                found[name] = type(error).__name__
        found["the last one"] = (await box.exec(["echo", "alive"])).stdout
        return found

    wanted = {name: code for name, (_, _, code) in COMMANDS.items()}
    assert anyio.run(go) == {**wanted, "the last one": "alive\n"}


def test_there_are_at_least_twenty_six_commands() -> None:
    assert len(COMMANDS) >= 26


def test_what_cannot_be_written_is_refused_and_what_was_written_can_be_run() -> None:
    async def go() -> tuple[set[str], str]:
        box, refused = JailSandbox(Limits(seconds=60, disk=DISK)), set()
        await box.write_file("given", "hello")
        await box.write_file("folder/given", "hello")
        for name, path in WRITES.items():
            try:
                await box.write_file(path, "\ud800")
            except (PermissionError, IsADirectoryError):
                refused.add(name)
        return refused, (await box.exec(["cat", "given", "..x"])).stdout

    refused, read = anyio.run(go)
    assert set(WRITES) - refused == {"..x", "...", "1,900 levels", "a slash at its end"}
    assert read == "hello?"


def test_more_than_the_box_holds_is_not_written() -> None:
    full, empty = in_box(("write_file", {"file": "x", "contents": b"x" * (129 << 20)}), ("exec", {"cmd": ["ls"]}))
    assert isinstance(full, PermissionError)
    assert empty.stdout == ""

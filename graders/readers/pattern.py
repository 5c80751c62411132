"""A reader made of regular expressions, one per behavior, and the steps that normalize a text before they are searched.

    read = pattern_reader({"right": "^{answer}$"}, ["last_number"], otherwise="wrong")
    read("So it is 1,200.", {"answer": "#### 1200"}).behaviors          # frozenset({'right'})

`{name}` in an expression stands for that fact of the prompt, normalized by the same steps and escaped.
A reply is cut to `LONGEST` characters. The search is that of the package `regex`, which can be given a limit: some
expressions, such as `(a+)+b`, take exponential time on some replies.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import regex

from graders.outcome import Reader, Reading, Unreadable
from graders.text.degenerate import degenerate
from graders.text.spelling import plain_digits

LONGEST = 20_000
#: Seconds for one search; usual ones take microseconds.
LIMIT = 1.0
_NAME = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")


class TooSlow(Unreadable):
    """An expression takes more than `LIMIT` seconds on a reply."""


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def last_number(text: str) -> str:
    """The last number in digits, without separators and closing zeros; empty if there is none."""
    numbers = _NUMBER.findall(plain_digits(text.replace("−", "-")))
    if not numbers:
        return ""
    number = numbers[-1].replace(",", "")
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


def found(pattern: str, text: str, facts: Mapping[str, Any], steps: Sequence[str] = ()) -> bool:
    """Whether an expression, with the facts of a prompt in place of their names, is found in a text.

    Raises:
        TooSlow: the search takes too long.
    """
    try:
        return _filled(pattern, facts, steps).search(text, timeout=LIMIT) is not None
    except TimeoutError:
        raise TooSlow(
            f"the expression {pattern[:60]!r} takes over {LIMIT:g} s on the reply {text[:40]!r}: it repeats what"
            " repeats, as (a+)+ does: write a+"
        ) from None


def _filled(pattern: str, facts: Mapping[str, Any], steps: Sequence[str]) -> regex.Pattern[str]:
    return _compiled(_NAME.sub(lambda m: re.escape(normalized(str(facts[m[1]]), steps)), pattern))


def check(pattern: str) -> str | None:
    """Why an expression does not compile; None if it does."""
    try:
        re.compile(_NAME.sub("x", pattern))
        _compiled(_NAME.sub("x", pattern))
    except re.error as error:
        return f"{error.msg} at position {error.pos}" if error.pos is not None else error.msg
    except (regex.error, RecursionError, OverflowError) as error:
        return str(error)
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
        seen = frozenset(name for name, pattern in patterns.items() if found(pattern, text, facts, steps))
        if seen:
            return Reading(seen, f"matches the expression of {' and of '.join(sorted(seen))}")
        if otherwise is None:
            return Reading(frozenset(), "matches no expression")
        if reason := degenerate(reply):
            return Reading(frozenset(), reason)
        return Reading(frozenset({otherwise}), f"matches no expression, which counts as {otherwise}")

    return read


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)

"""Named changes of a reply, for the key `transform` of a setting in YAML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def reverse(text: str) -> str:
    """The characters in reverse order."""
    return text[::-1]


def first_line(text: str) -> str:
    """The first line that is not empty."""
    return next((line for line in text.splitlines() if line.strip()), "")


def other_number(text: str) -> str:
    """The text with one added to its last number, which makes a right final answer wrong."""
    found = [*_NUMBER.finditer(text)]
    if not found:
        return text
    last = found[-1]
    value = Fraction(last[0].replace(",", "")) + 1
    return f"{text[: last.start()]}{float(value):.10g}{text[last.end() :]}"


TRANSFORMS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "reverse": reverse,
    "first_line": first_line,
    "other_number": other_number,
}


def changed(names: Sequence[str], prefix: str, suffix: str) -> Callable[[str], str]:
    """One function: the transforms in their order, then the texts before and after."""

    def change(text: str) -> str:
        for name in names:
            text = TRANSFORMS[name](text)
        return f"{prefix}{text}{suffix}"

    return change

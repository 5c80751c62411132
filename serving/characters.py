"""Text of replies, prompts and foreign files, made safe for a terminal of any encoding."""

from __future__ import annotations

import sys
from io import TextIOWrapper

#: Control characters but tab and newline, separators of lines that are none, and overrides of the reading direction.
_CONTROLS = (
    *range(0x09),
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
)
_ESCAPES = {code: f"\\u{code:04x}" for code in _CONTROLS}  # as in JSON


def visible(text: str) -> str:
    """Returns the text with its control characters as escapes; tabs and newlines stay."""
    return text.translate(_ESCAPES)


def print_anything() -> None:
    """From now on, a character that the terminal's encoding lacks is printed as an escape, not raised as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

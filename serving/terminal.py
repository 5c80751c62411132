"""What reaches a terminal: text is never markup, a control character never raw, and no character an error.

    terminal(stderr=True).print("[/INST] ...")        # as it stands
    visible(reply)                                   # an escape character is shown as its code, u001b

Replies, prompts and names in foreign files may hold anything. Not covered: what libraries print themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import TextIOWrapper
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

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


class Terminal(Console):
    """A console that prints strings as they stand: no markup, no emoji codes, no control characters."""

    # Any: rich's further options.
    def render_str(self, text: str, **options: Any) -> Text:
        """As rich's method, which makes a string printable: here its width is that of the escapes."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich's method; what rich itself sends to control the terminal is let through."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def terminal(*, stderr: bool = False, width: int | None = None, quiet: bool = False) -> Terminal:
    """Returns the console of a command."""
    return Terminal(stderr=stderr, width=width, quiet=quiet, markup=False, emoji=False)


def print_anything() -> None:
    """From now on, a character that the terminal's encoding lacks is printed as an escape, not raised as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

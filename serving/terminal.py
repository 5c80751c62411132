"""The console of every command: text is never markup, and a control character never raw.

    terminal(stderr=True).print("[/INST] ...")        # as it stands

Replies, prompts and names in foreign files may hold anything. Not covered: what libraries print themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from serving.characters import visible


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

"""How much work a call is, without a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def calls(act: Callable[[], Any]) -> int:
    """How many functions are called, those of C included. The steps inside a regular expression are not counted."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def grows_linearly(act: Callable[[str], Any], text: str) -> bool:
    """Whether four times the text is at most about four times the work. `act` is called once before, to warm up."""
    act(text)
    return calls(lambda: act(text * 4)) <= 4.5 * calls(lambda: act(text))

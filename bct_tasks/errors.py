"""Errors that a user can act on, each in one line: what is wrong, where, and what to type instead.

They are plain exceptions with a message and the exit code of the command that meets them. `border` converts them
for command lines.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class SettingError(Exception):
    """A request to a setting is wrong: a name, an option, a file. Exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def visible(text: str) -> str:
    """The text with characters that a terminal would act on as escapes: names in files may hold anything."""
    return "".join(c if c.isprintable() or c in "\t\n" else ascii(c)[1:-1] for c in text)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of `names`, or nothing where none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


class UnknownName(SettingError):
    """The name of something that does not exist: a setting, variant, split or source."""

    def __init__(self, what: str, name: object, known: Iterable[str], where: str = "`bct list` shows all") -> None:
        known = list(known)
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        super().__init__(f"unknown {what} {name!r}. {hint} {where} {len(known)}.")


class TooFew(SettingError):
    """More distinct prompts were requested than exist; `found` is the number that exist, `where` says in what."""

    def __init__(self, split: str, found: int, asked: int, where: str = "") -> None:
        self.found = found
        asks_fewer = f"only {found} {split} prompts of this kind are in {where}: ask for fewer than {asked}"
        distinct = f"only {found} distinct {split} prompts exist; request fewer than {asked}"
        super().__init__(asks_fewer if where else distinct)


class Unavailable(SettingError):
    """Data or a package that a setting needs cannot be loaded here. Exit code 1."""

    exit_code = 1


def fault(error: BaseException, path: Path | None = None) -> str:
    """`file:line: what is wrong` of an exception, at its last line in `path`, else where it was raised."""
    text = str(getattr(error, "msg", None) or getattr(error, "message", None) or error)
    reason = f"{type(error).__name__}: {' '.join(text.split())}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}: {reason}"
    frames = traceback.extract_tb(error.__traceback__)
    last = None if path or not frames else frames[-1]
    frame = next((f for f in reversed(frames) if path and Path(f.filename) == path), last)
    return f"{frame.filename}:{frame.lineno}: {reason}" if frame else f"{path}: {reason}"


@contextmanager
def border() -> Iterator[None]:
    """Raises a `SettingError` as click's inside a command line, and unchanged elsewhere.

    Inspect calls the tasks of this package and prints only click's errors in one line, all others as a traceback.
    """
    try:
        yield
    except SettingError as error:
        import click  # not needed by a caller without a command line

        if click.get_current_context(silent=True) is None:
            raise
        shown = type("OneLine", (click.ClickException,), {"exit_code": error.exit_code})
        raise shown(visible(error.message)) from error

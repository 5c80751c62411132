"""Errors that a user can act on. Each is one line: what is wrong, where, and what to type instead.

They are plain exceptions. Command lines turn them into a message and an exit code (`lab.cli`, `trainer.cli`), and
`serving.provider` turns them into what inspect's command line prints.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import cast

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Errors of a path that the user gave, not of the work.
OF_PLACE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}
)
#: Errors that another attempt at the same work meets again.
LASTING = FULL | {errno.EACCES, errno.EPERM, errno.EROFS}


class LabError(Exception):
    """An error in one line, with the exit code of the command that meets it."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadInput(LabError):
    """A reference, a file or an option is wrong or missing. Exit code 2."""

    exit_code = 2


class WorkFailed(LabError):
    """The input was right and the work itself failed. Exit code 1. `lasting`: another attempt at once fails too."""

    def __init__(self, message: str, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of `names`, or nothing where none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def of_disk(error: OSError) -> LabError:
    """An error of the file system, in one line that names the file and the fix."""
    named = f"{error.filename}: " if error.filename else ""
    reason = (error.strerror or " ".join(str(error).split())).lower()
    if error.errno in FULL or "no space left" in reason:
        return WorkFailed(f"{named}no space left on the disk: free some and run the same command again")
    if isinstance(error, FileNotFoundError):
        return BadInput(f"{named}no such file or folder")
    if error.errno in OF_PLACE:
        return BadInput(f"{named}cannot be written ({reason}): choose another --out, or fix its permissions")
    return WorkFailed(f"{named}{reason}")


def of_checkpoint(ref: str, error: BaseException) -> Exception:
    """An error of an answer in one line: ours as it is, a library's with the checkpoint whose files made it.

    That the memory is full (torch's OutOfMemoryError) says nothing about the files.
    """
    if isinstance(error, LabError | MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return cast("Exception", error)
    told = WorkFailed(f"{ref}: cannot answer: {in_one_line(error)[0]}: check its config.json, or name another")
    told.__cause__ = error
    return told


def in_one_line(error: BaseException) -> tuple[str, bool]:
    """Any error in one line, and whether another attempt may succeed."""
    exit_code: int | None = getattr(error, "exit_code", None)
    if exit_code is not None:
        again = exit_code != BadInput.exit_code and not getattr(error, "lasting", False)
        return str(getattr(error, "message", error)), again
    text = " ".join(str(error).split())
    # Libraries report a full disk in their own exceptions.
    if "No space left" in text and not isinstance(error, OSError):
        error = OSError(errno.ENOSPC, text)
    if isinstance(error, OSError) and error.errno in LASTING:
        return of_disk(error).message, False
    return f"{type(error).__name__}: {text[:300]}", True

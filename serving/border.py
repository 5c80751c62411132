"""The border to click: inside it errors are plain exceptions, outside it they are one line and an exit code.

Used by the command lines and by the provider, since inspect's command line prints only click's exceptions in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from serving.characters import visible
from serving.errors import LabError, WorkFailed, of_disk


class OneLine(click.ClickException):
    """An error as click prints it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(visible(str(getattr(error, "message", error))))
        self.exit_code: int = getattr(error, "exit_code", LabError.exit_code)  # pyright: ignore[reportIncompatibleVariableOverride]


@contextmanager
def one_line(*, interrupted: str | None = None) -> Iterator[None]:
    """Raises every error that has a message and an exit code as click's, and errors of the file system too.

    Args:
        interrupted: Message on Ctrl-C; None does not catch the interrupt.
    """
    try:
        yield
    except click.ClickException as error:
        error.message = visible(error.message)  # pyright: ignore[reportAttributeAccessIssue]
        raise
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        if interrupted is None:
            raise
        raise OneLine(WorkFailed(interrupted)) from None
    except OSError as error:
        raise OneLine(of_disk(error)) from error
    except Exception as error:
        if not (hasattr(error, "exit_code") and hasattr(error, "message")):
            raise
        raise OneLine(error) from error

"""The two ways a command ends badly: one line each, naming the thing and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click


class BadInput(click.ClickException):
    """What was asked for is wrong or missing: a reference, a file, an option."""

    exit_code = 2


class WorkFailed(click.ClickException):
    """The input was right and the work itself failed."""

    exit_code = 1


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of `names`, or nothing where none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""

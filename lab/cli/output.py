"""What commands share: their options, JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.characters import visible

if TYPE_CHECKING:
    from rich.console import Console

    from lab.api import Run

#: A file or folder, as an option or argument.
PATH = click.Path(path_type=Path)
#: A number of at least 1.
COUNT = click.IntRange(min=1)
#: Help of an option that names the base of adapters.
BASE = "Base of adapters made elsewhere. Default: the one that adapter_config.json names."
#: Width of a table without a terminal: at 80 columns the names would be cut.
PIPE_WIDTH = 140

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for programs.")


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """A text on stdout or stderr, with control characters as escapes: names in foreign files may hold anything."""
    click.echo(visible(str(text)), err=err, nl=nl)


# Any: click's styles.
def headed(head: str, text: object = "", *, err: bool = False, **style: Any) -> None:
    """As `say`, after a head in a style, such as `bold=True`."""
    click.echo(click.style(visible(head), **style) + visible(str(text)), err=err)


def emit(content: object) -> None:
    """One JSON value on stdout. Characters that JSON allows unescaped, such as U+202E, are escapes."""
    say(json.dumps(content, indent=1, ensure_ascii=False))


def console() -> Console:
    """Rich's console for stdout: as wide as the terminal, or wide enough for a table in a pipe."""
    from serving.terminal import terminal

    return terminal(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def outcome(run: Run) -> dict[str, Any]:
    """The outcome of a run, for programs."""
    folder, results = run.folder, run.results
    cells = [{"id": c.id, "name": c.verdict.name, "flags": list(c.verdict.flags)} for c in results.cells]
    paths = {"results": str(folder / "results.json"), "report": str(folder / "report.html"), "logs": str(run.logs)}
    stale = {"stale": run.stale} if run.stale else {}
    return {**paths, "cells": cells, "failures": list(results.failures), **stale}


def print_outcome(run: Run, took: str | None = None) -> None:
    """The outcome of a run, for people: the table, the conclusions, and where report, replies and logs are."""
    from lab.report.terminal import print_results

    print_results(run.results, console(), took)
    say(f"report   {run.folder / 'report.html'}")
    say(f"replies  bct view {run.folder}")
    say(f"logs     {run.logs}")

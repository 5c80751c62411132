"""`bct view`: the report of a run and inspect's log viewer, or the replies of one cell."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli.output import PATH, as_json, emit, say
from serving.errors import BadInput, did_you_mean

if TYPE_CHECKING:
    from lab import api


@click.command()
@click.argument("run", type=PATH)
@click.option("--cell", metavar="CELL", help="Open the replies of this cell alone: its id, or the hash that ends it.")
@click.option("--no-browser", is_flag=True, help="Print the addresses, and open nothing.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the viewer. Default: a free one.")
@as_json
def view(run: Path, cell: str | None, no_browser: bool, port: int | None, as_json: bool) -> None:
    """Open the report of RUN, and inspect's viewer of its logs until Ctrl-C.

    \b
    bct view runs/quickstart                  the report and the viewer
    bct view runs/quickstart --cell aa06b30e  every prompt and reply of one cell, without a server
    bct view runs/quickstart --no-browser     on another machine: print the addresses
    """
    from lab import api

    loaded = api.load(run)
    if cell is not None:
        _open({"replies": _replies(loaded, cell).resolve().as_uri()}, no_browser, as_json)
        return
    report = loaded.folder / "report.html"
    if not report.is_file():
        loaded.rebuild()
    from lab.report.viewer import serving

    with serving(loaded.folder, loaded.logs, port) as (page, viewer):
        _open({"report": page, "viewer": viewer}, no_browser, as_json)
        say("Ctrl-C ends the viewer; the report needs none.", err=True)
        _until_interrupted()


def _replies(loaded: api.Run, cell: str) -> Path:
    from lab.report.replies import write_page

    known = {found.id: found for found in loaded.results.cells if found.checkpoints}
    chosen = [found for id, found in known.items() if cell in (id, found.hash)]
    if not chosen:
        raise BadInput(f"no finished cell '{cell}' in {loaded.folder}.{did_you_mean(cell, known)} See `bct table`.")
    return write_page(chosen[0], loaded.folder, loaded.experiment.folders.absolute)


def _open(addresses: dict[str, str], no_browser: bool, as_json: bool) -> None:
    """Prints addresses, and opens them in the browser."""
    if as_json:
        emit(addresses)
    for what, address in addresses.items():
        if not as_json:
            say(f"{what:8} {address}")
        if not no_browser:
            webbrowser.open(address)


def _until_interrupted() -> None:
    import threading

    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("", err=True)

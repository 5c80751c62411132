"""Inspect's log viewer, written next to the report, so that links to logs open in a browser."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Viewer:
    """The viewer's page and the folder of the logs in it, both relative to the report."""

    page: str
    logs: str

    def link(self, log: str) -> str:
        """The address at which the viewer shows a log of results.json."""
        inside = os.path.relpath(log, self.logs).replace(os.sep, "/")
        return f"{self.page}#/logs/{quote(inside)}"


def write_viewer(run: Path, logs: Path, relative: str) -> Viewer:
    """Writes the viewer with a copy of all logs into `run/viewer`, ready for any web server.

    Args:
        run: The run folder, which contains the report.
        logs: The folder of logs.
        relative: The same folder as results.json names it, relative to the run folder.
    """
    from inspect_ai.log import bundle_log_dir

    with redirect_stdout(sys.stderr):
        bundle_log_dir(str(logs), str(run / "viewer"), overwrite=True)
    return Viewer("viewer/index.html", relative)

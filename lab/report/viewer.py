"""Inspect's log viewer next to the report, to be served by any web server."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

from inspect_ai.log import bundle_log_dir

from lab.report.html import Viewer


def write_viewer(run: Path, logs: Path, relative: str) -> Viewer:
    """Writes the viewer with a copy of all logs into the run folder.

    Args:
        run: The run folder.
        logs: The folder of its logs.
        relative: The same from the run folder, as in results.json.
    """
    with redirect_stdout(sys.stderr):
        bundle_log_dir(str(logs), str(run / "viewer"), overwrite=True)
    return Viewer("viewer/index.html", relative)

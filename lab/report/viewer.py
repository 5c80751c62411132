"""Inspect's log viewer: written next to the report, so that links to logs open in a browser, or served.

A viewer that was written needs a web server, as browsers let no page from the disk read files; `serving` starts one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from serving.errors import WorkFailed

#: Seconds in which inspect's server must answer.
PATIENCE = 120.0


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


@contextmanager
def serving(run: Path, logs: Path, port: int | None = None) -> Iterator[tuple[str, str]]:
    """The addresses of a run's report and of a viewer of its logs, as long as the context lasts.

    A viewer that lies next to the report is served together with it, for this machine alone; else inspect's own server
    is started, and the report opens from the disk.

    Raises:
        WorkFailed: Inspect's server does not answer.
    """
    if (run / "viewer" / "index.html").is_file():
        with _static(run, port) as home:
            yield f"{home}/report.html", f"{home}/viewer/index.html"
    else:
        with _inspect(logs, port or _free()) as viewer:
            yield (run / "report.html").resolve().as_uri(), viewer


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def _static(folder: Path, port: int | None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", port or 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def _inspect(logs: Path, port: int) -> Iterator[str]:
    command = [sys.executable, "-m", "inspect_ai", "view", "start", "--log-dir", str(logs), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            _wait(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait(server: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    said = server.stderr.read().strip().splitlines() if server.stderr and server.poll() is not None else []
    raise WorkFailed(f"inspect's viewer does not start on port {port}{': ' + said[-1] if said else ''}")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

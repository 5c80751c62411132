"""The driver's side: checks trackers before a run, and keeps the process that sends for as long as the run takes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from lab.experiment.folder import Experiment
from lab.experiment.local import QUIET
from lab.experiment.tracking.follow import Orders, unsent
from serving.errors import BadInput

#: Seconds that the process may take to send the rest once the run has ended.
END = 120.0


def check(experiment: Experiment) -> None:
    """Raises BadInput for a tracker that is not installed."""
    for name in experiment.recipe.report_to:
        if not _is_installed(name):
            raise BadInput(
                f"report_to: {name} is not installed here: pip install 'bct-tasks[tracking]', or leave report_to out"
            )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # its import was forbidden
        return False


@contextmanager
def following(experiment: Experiment, cells: Iterable[str], console: Console) -> Iterator[None]:
    """Sends the curves of these cells while the block runs; nothing where the trackers have all, or none is asked for.

    Args:
        experiment: A run whose folder has begun.
        cells: Ids, of which others are left out.
        console: Receives a line for each tracker at the end.
    """
    run, asked = experiment.folders.run, experiment.recipe.report_to
    lacking = tuple(id for id in cells if id in experiment.cells and unsent(run, id, asked))
    if not lacking:
        yield
        return
    process = _started(Orders(str(run), lacking))
    try:
        yield
    finally:
        _end(process, console)


def _started(orders: Orders) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.experiment.tracking.follow"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | QUIET,
        start_new_session=True,  # Ctrl-C goes to the driver, whose end ends it
    )
    with suppress(OSError):
        assert process.stdin is not None
        process.stdin.write(orders.text())
        process.stdin.flush()
    return process


def _end(process: subprocess.Popen[str], console: Console) -> None:
    """Lets the process send the rest, and prints what it says."""
    try:
        said, _ = process.communicate(timeout=END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        said = f"report_to: no answer in {END:.0f} s, so curves are incomplete: `bct run` again sends what is missing\n"
    except KeyboardInterrupt:
        process.kill()
        raise
    if process.returncode > 0:
        said = "report_to: the process that sends has failed: its output is in tracking/output.log of the run\n"
    for line in said.splitlines():
        console.print(line, highlight=False, soft_wrap=True, markup=False)

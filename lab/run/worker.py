"""A worker process: reads jobs as JSON lines, does them, answers with one JSON line each.

    {"job": "<id>", "attempt": 1}  ->  {"job": "<id>", "error": null | "one line", "again": true | false}

It keeps its imports and its engine over many jobs, prints into the job's log, and dies with its driver: by the
kernel's signal on Linux, elsewhere by watching its parent. Not covered: other machines.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from lab.run import folders as places
from lab.run.experiment import Experiment, load_experiment
from lab.run.local import CORE
from lab.run.state import Reporter
from serving.errors import in_one_line

PR_SET_PDEATHSIG = 1


def main(run: Path, logs: Path, driver: int) -> None:
    """Works until the driver closes the line."""
    die_with(driver)
    if core := os.environ.get(CORE):
        os.sched_setaffinity(0, {int(core)})
    signal.signal(signal.SIGTERM, _stop)
    # What a library prints must not reach the driver's line: it goes where file descriptor 1 points later.
    with os.fdopen(os.dup(1), "w") as answers:
        experiment = load_experiment(places.Folders(run, logs))
        for line in sys.stdin:
            job = json.loads(line)
            error, again = _do(experiment, job["job"], int(job["attempt"]))
            _answer(answers, {"job": job["job"], "error": error, "again": again})


def _answer(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _do(experiment: Experiment, job: str, attempt: int) -> tuple[str | None, bool]:
    folders = experiment.folders
    return reported(folders.output(job), folders.state(job), attempt, partial(experiment.do, job))


def reported(output: Path, state: Path, attempt: int, task: Callable[[Reporter], object]) -> tuple[str | None, bool]:
    """Does a job that prints into one file and tells in another how far it is.

    Returns its error in one line (None: done), and whether another try may help.
    """
    reporter = None
    try:
        _print_into(output)
        reporter = Reporter(state, attempt)
        task(reporter)
        reporter.end()
        return None, False
    except Exception as error:
        _print_error(error)
        line, again = in_one_line(error)
        if reporter is not None:
            reporter.end(line)
        return line, again


def _print_into(path: Path) -> None:
    """From now on, what this process prints goes to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(target, number)
    os.close(target)


def _print_error(error: BaseException) -> None:
    """The whole of an error, into the job's log where that can be written."""
    with suppress(OSError):  # the disk may be full, which is the error
        traceback.print_exception(error)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def die_with(driver: int) -> None:
    """This process ends when the process that started it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

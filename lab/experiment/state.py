"""The state of a job, in a small file: written by the worker, read by the driver and by `bct status`.

<home>/state/<job>.json    the state
<home>/state/<job>.log     the job's output
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from serving import layout

Phase = Literal[
    "waiting", "starting", "organism", "training", "evaluating", "stopped", "done", "failed", "refused", "skipped"
]

Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]

# People read the states: two a second suffice, and a step of a small model takes less.
INTERVAL = 0.5


@dataclass(frozen=True)
class State:
    """A job at one moment.

    Attributes:
        step, total: Progress in the phase.
        began: Unix time at which the attempt began.
        seconds: Duration of an attempt that has ended.
        error: One line.
    """

    phase: Phase = "waiting"
    step: Count = 0
    total: Count = 0
    pid: int = 0
    attempt: int = 0
    began: Seconds = 0.0
    seconds: Seconds = 0.0
    error: str = ""


_SHAPE = TypeAdapter(State)


def path_of(home: Path, job: str) -> Path:
    """The state file of a job."""
    return home / "state" / f"{job}.json"


def output_of(home: Path, job: str) -> Path:
    """The file that a job prints into."""
    return home / "state" / f"{job}.log"


def write(path: Path, state: State) -> None:
    """Atomic, and not durable: a state that is lost in a crash would be out of date anyway."""
    layout.write_atomic(path, json.dumps(asdict(state)), durable=False)


def read(path: Path) -> State:
    """The state of a job; `waiting` if it has none yet."""
    if not path.is_file():
        return State()
    try:
        return _SHAPE.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return State()


class Reporter:
    """A `trainer.run.progress.Progress` that writes a state file, at most twice a second."""

    def __init__(self, path: Path, attempt: int) -> None:
        self._path = path
        self._state = State("starting", pid=os.getpid(), attempt=attempt, began=time.time())
        self._written = 0.0
        self._write()

    def phase(self, phase: Phase) -> None:
        """Reports the beginning of a phase."""
        self._state = replace(self._state, phase=phase, step=0, total=0)
        self._write()

    def update(self, step: int, total: int, **facts: object) -> None:
        """Reports progress in the phase."""
        self._state = replace(self._state, step=step, total=total)
        if time.monotonic() - self._written >= INTERVAL:
            self._write()

    def end(self, error: str = "") -> None:
        """Reports the end of the attempt: done, or failed with this one line."""
        seconds = round(time.time() - self._state.began, 1)
        self._state = replace(self._state, phase="failed" if error else "done", seconds=seconds, error=error)
        with suppress(OSError):  # a full disk must not hide the error that it caused
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        write(self._path, self._state)

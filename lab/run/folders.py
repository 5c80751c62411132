"""Where everything of a run lies. All state is in files, so that another terminal can read it.

<run>/recipe.yaml  run.json  results.json  report.html
<run>/organisms/<hash>/            the organism (trainer)
<run>/starts/<start id>.json       what step 0 showed: figures of the gate, and the logs; written last
<run>/cells/<cell id>/             manifest, metrics, checkpoints (trainer); done.json, written last
<run>/state/<job id>.json, .log    what a job is doing now, and what it printed
<logs>/<id>/step-000016.eval       one inspect log per checkpoint
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.plan.cells import Cell, Start
from serving import layout

DONE = "done.json"


@dataclass(frozen=True)
class Folders:
    """The folder of a run and the folder of its logs."""

    run: Path
    logs: Path

    def organism(self, start: Start) -> Path | None:
        """The organism's folder; None where the base itself starts."""
        return self.run / "organisms" / start.organism_key if start.organism_key else None

    def start(self, start: Start) -> Path:
        """The file that says what step 0 showed."""
        return self.run / "starts" / f"{start.id}.json"

    def cell(self, cell: Cell) -> Path:
        """The folder that the trainer writes a cell into."""
        return self.run / "cells" / cell.id

    def done(self, cell: Cell) -> Path:
        """The file whose presence says that a cell is trained and all its checkpoints are evaluated."""
        return self.cell(cell) / DONE

    def state(self, job: str) -> Path:
        """What a job is doing."""
        return self.run / "state" / f"{job}.json"

    def output(self, job: str) -> Path:
        """What a job printed."""
        return self.run / "state" / f"{job}.log"

    def relative(self, log: Path) -> str:
        """A log's path from the run folder, as it stands in results.json."""
        return Path(os.path.relpath(log.resolve(), self.run.resolve())).as_posix()

    def absolute(self, log: str) -> Path:
        """The log of a path in results.json."""
        return Path(os.path.normpath(self.run / log))


def default(name: str, out: Path | None) -> Folders:
    """`runs/<name>` with `logs/<name>`, or `out` with `out/logs`."""
    if out is not None:
        return Folders(out, out / "logs")
    return Folders(Path("runs") / name, Path("logs") / name)


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file, or None where it is not there."""
    return layout.read_json(path) if path.is_file() else None

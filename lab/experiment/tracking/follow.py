"""The process that sends: it follows the files of a run until its driver ends.

    python -m lab.experiment.tracking.follow    # `process` starts it, and writes `Orders` on its stdin

It reads nothing but the run folder. At the end of its stdin it looks a last time, ends the runs that are open, and
says on stdout, a line each, what the user should know.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lab.experiment import attempts, collect
from lab.experiment.folder import Experiment, open_run
from lab.experiment.tracking import curves, trackers
from lab.experiment.tracking.trackers import About, Tracked, Value
from lab.experiment.worker import print_into
from lab.plan.cells import Cell
from lab.plan.recipe import Tracker
from serving import layout
from trainer.run import metrics

FOLDER = "tracking"
#: Seconds between two looks at the files, and how often as long as a look took if that is longer.
REFRESH, IDLE = 2.0, 20.0


@dataclass(frozen=True)
class Orders:
    """Which cells of which run are followed."""

    run: str
    cells: tuple[str, ...]

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def sent(run: Path, cell: str) -> dict[str, dict[str, Any]]:
    """What is known of a cell's runs, by tracker: {"id", "complete"}."""
    return layout.read_if_there(run / FOLDER / f"{cell}.json") or {}


def unsent(run: Path, cell: str, asked: tuple[Tracker, ...]) -> list[Tracker]:
    """The trackers that do not have the whole cell."""
    known = sent(run, cell)
    return [name for name in asked if not known.get(name, {}).get("complete")]


@dataclass
class Followed:
    """A cell and its runs at the trackers that are still to receive something."""

    experiment: Experiment
    cell: Cell
    runs: dict[Tracker, Tracked | None]
    step: int = 0
    seen: tuple[str, int, int] | None = None

    def about(self) -> About:
        """The cell as trackers show it."""
        run, config = self.experiment.folders.run, self.cell.config()
        tags = (config["setting"], config["variant"], config["method"])
        return About(self.cell.id, run.resolve().name, config, tags, run.resolve() / FOLDER)

    def news(self) -> Iterator[curves.Point]:
        """The steps that were written since the last call. A resumed training repeats steps: they are not news."""
        file = self._metrics()
        if file is None:
            return
        stat = file.stat()
        if (now := (str(file), stat.st_size, stat.st_mtime_ns)) == self.seen:
            return
        self.seen = now
        for step, values in curves.training(metrics.read(file)):
            if step > self.step:
                self.step = step
                yield step, values

    def _metrics(self) -> Path | None:
        """The metrics of the cell, or of the attempt at it that wrote last."""
        final = self.experiment.folders.cell(self.cell)
        files = [folder / metrics.NAME for folder in (final, *attempts.others(final))]
        there = [file for file in files if file.is_file()]
        return max(there, key=lambda file: file.stat().st_mtime_ns, default=None)

    def save(self, complete: bool) -> None:
        """Writes what the next driver must know."""
        run = self.experiment.folders.run
        own = {name: {"id": each.id, "complete": complete} for name, each in self.runs.items() if each is not None}
        layout.write_json_atomic(run / FOLDER / f"{self.cell.id}.json", sent(run, self.cell.id) | own)


@dataclass
class Follower:
    """The cells of a run that trackers do not have yet."""

    todo: dict[str, Followed]
    #: Trackers that failed, with the error; nothing more is sent to them.
    lost: dict[Tracker, str] = field(default_factory=dict[Tracker, str])
    notes: dict[Tracker, str] = field(default_factory=dict[Tracker, str])

    @classmethod
    def of(cls, experiment: Experiment, cells: tuple[str, ...]) -> Follower:
        """The cells among these that a tracker of the recipe lacks."""
        run, asked = experiment.folders.run, experiment.recipe.report_to
        lacking = {id: unsent(run, id, asked) for id in cells if id in experiment.cells}
        return cls(
            {
                id: Followed(experiment, experiment.cells[id], dict.fromkeys(names))
                for id, names in lacking.items()
                if names
            }
        )

    def look(self) -> None:
        """Sends what is new."""
        for id, followed in list(self.todo.items()):
            done = followed.experiment.is_done(
                id
            )  # asked first: what is sent takes time, and steps may be written then
            for step, values in followed.news():
                self._send(followed, step, values)
            if done:
                self._complete(followed)
                del self.todo[id]

    def end(self) -> None:
        """Ends the runs of cells that are not finished."""
        for followed in self.todo.values():
            self._each(followed, lambda run: run.end(None))

    def text(self) -> Iterator[str]:
        """What the user should know, a line for each tracker."""
        yield from self.notes.values()
        for name, error in self.lost.items():
            yield f"{name} failed, and the run went on: {error}; `bct run` again sends what is missing"

    def _complete(self, followed: Followed) -> None:
        result = collect.cell_result(followed.experiment, followed.cell)
        for step, values in curves.rates(result):
            self._send(followed, step, values)
        self._each(followed, lambda run: run.end(curves.summary(result)))
        followed.save(complete=True)

    def _send(self, followed: Followed, step: int, values: Mapping[str, Value]) -> None:
        if None in followed.runs.values():
            self._open(followed)
        self._each(followed, lambda run: run.log(step, values))

    def _open(self, followed: Followed) -> None:
        known = sent(followed.experiment.folders.run, followed.cell.id)
        new: list[Tracker] = [name for name, run in followed.runs.items() if run is None]
        for name in new:
            self._try(followed, name, partial(self._begin, followed, name, known.get(name, {}).get("id")))
        followed.save(complete=False)

    def _begin(self, followed: Followed, name: Tracker, known: str | None) -> None:
        followed.runs[name] = run = trackers.open_run(name, followed.about(), known)
        self.notes.setdefault(name, run.note)

    def _each(self, followed: Followed, do: Callable[[Tracked], None]) -> None:
        for name, run in list(followed.runs.items()):
            if run is not None:
                self._try(followed, name, partial(do, run))

    def _try(self, followed: Followed, name: Tracker, do: Callable[[], None]) -> None:
        """Does something with a tracker; one that has failed is left out from then on."""
        if name not in self.lost:
            try:
                do()
                return
            except Exception as error:  # libraries of trackers raise anything
                traceback.print_exception(error)
                self.lost[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        followed.runs.pop(name, None)


def main() -> None:
    """Follows the run that the first line of stdin names, until the rest of stdin ends."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    run = Path(orders.run)
    with os.fdopen(os.dup(1), "w") as answers:
        print_into(run / FOLDER / "output.log")
        follower = Follower.of(open_run(run), tuple(orders.cells))
        _until_the_end(follower)
        follower.look()
        follower.end()
        answers.writelines(f"{line}\n" for line in follower.text())


def _until_the_end(follower: Follower) -> None:
    wait: float | None = 0.0
    while not select.select([0], [], [], wait)[0]:
        began = time.monotonic()
        follower.look()
        wait = max(REFRESH, IDLE * (time.monotonic() - began)) if follower.todo else None


if __name__ == "__main__":
    main()

"""`bct run`: gate, starts, cells, results. The same command again goes on where the last one stopped.

Nothing that a manifest says is done is done again. A cell that fails is reported at the end while the others go on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bct_tasks import catalogue, gate
from lab.run import collect, lock, state, status
from lab.run.experiment import Experiment, keep
from lab.run.local import Board, Crew, default_jobs
from lab.verdict.schema import Results
from serving.errors import BadInput, WorkFailed

TAIL = 6
REFRESH = 0.5
QUICK = 0.02  # seconds that a look at all states may take without being kept


@dataclass(frozen=True)
class How:
    """How a run is executed: local processes, or tasks on a Ray cluster (`address`: default as Ray finds one)."""

    executor: Literal["local", "ray"] = "local"
    jobs: int | None = None
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None


class Executor(Protocol):
    """What does the jobs of a run."""

    @property
    def failed(self) -> dict[str, str]:
        """The jobs that failed, with their error in one line."""
        ...

    @property
    def has_work(self) -> bool:
        """Whether anything is left to do."""
        ...

    def start(self) -> None:
        """Begins."""

    def is_working(self, timeout: float) -> bool:
        """Waits at most so many seconds for the end; whether it is still to come."""
        ...

    def stop(self, at_once: bool = False) -> None:
        """Ends the work."""


def run(experiment: Experiment, how: How, force: bool, console: Console) -> tuple[Results, dict[str, str]]:
    """Runs what is left of an experiment. Returns its results, and the failures by job.

    Raises:
        BadInput: where a setting fails its static gate without `force`, or another driver is at work.
        WorkFailed: where the run was stopped by ctrl-C.
    """
    static = static_gate(experiment, force)
    with lock.held(experiment.folders.run):
        keep(experiment, static)
        failed = _work(experiment, how, force, console)
        return collect.write(experiment), failed


def static_gate(experiment: Experiment, force: bool) -> dict[str, list[str]]:
    """What keeps a setting from being valid, by `setting.variant`; refused unless forced."""
    found: dict[str, list[str]] = {}
    for start in experiment.starts.values():
        result = gate.check(catalogue.load(start.setting), start.variant)
        if not result.passed:
            found[f"{start.setting}.{start.variant}"] = list(result.reasons)
    if found and not force:
        name, reasons = next(iter(found.items()))
        raise BadInput(f"{name} fails its gate: {reasons[0]}. See `bct check`; --force runs it and marks it invalid.")
    return found


def _executor(experiment: Experiment, how: How, force: bool, told: Teller) -> Executor:
    if how.executor == "ray":
        from lab.run.ray import Overrides, RayCrew

        own = Overrides(how.cpus, how.gpus)
        return RayCrew(experiment, force, told.ended, address=how.address, jobs=how.jobs, overrides=own)
    board = Board(experiment, force, told.ended)
    return Crew(experiment, board, min(how.jobs or default_jobs(), max(1, len(board.waiting))))


def _work(experiment: Experiment, how: How, force: bool, console: Console) -> dict[str, str]:
    told = Teller(experiment, console)
    crew = _executor(experiment, how, force, told)
    if not crew.has_work:
        return crew.failed
    (experiment.folders.run / "state").mkdir(exist_ok=True)
    try:
        with told:
            crew.start()
            while crew.is_working(REFRESH):
                told.refresh()
    except KeyboardInterrupt:
        _stop(crew, console)
        raise WorkFailed("stopped. The same command goes on from here.") from None
    except BaseException:
        crew.stop(at_once=True)
        raise
    return crew.failed


def _stop(crew: Executor, console: Console) -> None:
    console.print("stopping; ctrl-C again stops at once")
    try:
        crew.stop()
    except KeyboardInterrupt:
        crew.stop(at_once=True)


class Teller:
    """Tells how far the run is: a live table on a terminal, else a line for every job that ends."""

    def __init__(self, experiment: Experiment, console: Console) -> None:
        self._experiment = experiment
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._view: status.Overview | None = None
        self._stale_at = 0.0

    def __enter__(self) -> Teller:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live:
            self._live.stop()

    def refresh(self) -> None:
        """Draws the table anew."""
        if self._live:
            view, most = self._overview(), max(4, self._console.height - 4)
            shown = Group(status.table(view, self._experiment.recipe.name, most), Text(status.line(view), "bold"))
            self._live.update(shown, refresh=True)

    def ended(self, job: str, error: str) -> None:
        """A job has ended; with an error, in one line."""
        if self._live:
            return
        took = state.read(self._experiment.folders.state(job)).seconds
        outcome = f"failed: {error}" if error else f"done in {status.duration(took)}"
        clock, line = time.strftime("%H:%M:%S"), status.line(self._overview())
        self._console.print(f"{clock}  {job}  {outcome}  ({line})", highlight=False, soft_wrap=True)

    def _overview(self) -> status.Overview:
        """All states; of thousands of jobs the last look holds for twenty times as long as it took."""
        began = time.monotonic()
        if self._view is None or began >= self._stale_at:
            self._view = status.overview(self._experiment)
            self._stale_at = time.monotonic() + 20 * max(0.0, time.monotonic() - began - QUICK)
        return self._view


def tell_failures(experiment: Experiment, failed: dict[str, str], console: Console) -> None:
    """Every job that failed at work, with the end of what it printed. A refused cell has printed nothing."""
    for job, error in failed.items():
        output = experiment.folders.output(job)
        if output.is_file():
            lines = output.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
            console.print(Text.assemble((f"{job}: ", "red"), error), soft_wrap=True)
            console.print(Text("\n".join(f"    {line}" for line in lines), "dim"), soft_wrap=True)
            console.print(Text(f"    all of it: {output}", "dim"), soft_wrap=True)

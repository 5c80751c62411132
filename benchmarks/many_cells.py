"""A sweep of 10,000 cells: what planning, its folder, `bct status` and the report cost, on made-up cells.

The cells are planned as any other; their folders are written without training, and their logs are links to one real log
of the right size. Processor time, so that other work on the machine hardly shows.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import inspect_ai

from bct_tasks import catalogue
from bct_tasks.task import bct_task
from benchmarks.asking import QUIET
from benchmarks.line import Line, report
from lab.experiment import collect, folder, intact, status
from lab.experiment.estimate import estimate
from lab.experiment.folder import Experiment, keep
from lab.experiment.jobs import RunJobs
from lab.plan import recipe
from lab.plan.cells import Start
from lab.report.html import write_report
from lab.verdict.results import write_results
from serving import layout
from serving.provider import local_model
from trainer.run.metrics import NAME as METRICS

RECIPE = """\
setting: sandbagging
variants: [static, flag]
learning_rates: {rates}
seeds: {seeds}
steps: {steps}
n: 80
n_train: 30
n_capability: 40
"""


class Clock:
    """Processor seconds of what was timed last."""

    seconds = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Times a block."""
        begun = time.process_time()
        yield
        self.seconds = time.process_time() - begun


def measure() -> Iterator[Line]:
    """A sweep of 120 cells with 8 checkpoints each, then one of 10,000 with 2."""
    with TemporaryDirectory() as home:
        yield from _sweep(Path(home) / "small", rates=6, seeds=10, steps=64, target=20.0)
    with TemporaryDirectory() as home:
        yield from _sweep(Path(home) / "large", rates=10, seeds=500, steps=1, target=None)


def _sweep(home: Path, rates: int, seeds: int, steps: int, target: float | None) -> Iterator[Line]:
    home.mkdir()
    clock, experiment = Clock(), _experiment(home, rates, seeds, steps)
    with clock.timing():
        count = len(experiment.cells)
    yield Line(f"{count:,} cells: planned", clock.seconds, " s", detail=f"{1e3 * clock.seconds / count:.1f} ms a cell")
    with clock.timing():
        estimate(experiment, 2)
    yield Line(f"{count:,} cells: dry run", clock.seconds, " s")
    with clock.timing():
        _make(experiment)
    files = sum(1 for _ in experiment.folders.run.rglob("*"))
    yield Line(f"{count:,} cells: files of the folder", files, "", detail="without weights")
    with clock.timing():
        status.overview(RunJobs(experiment), None)
    yield Line(f"{count:,} cells: bct status", clock.seconds, " s")
    with clock.timing():
        results = collect.collect(experiment)
    read = sum(len(c.checkpoints) for c in results.cells)
    yield Line(f"{count:,} cells: logs read and judged", clock.seconds, " s", detail=f"{read:,} checkpoints")
    before = clock.seconds
    with clock.timing():
        write_results(results, home / "results.json")
        write_report(results, home / "report.html")
    size = (home / "report.html").stat().st_size / 1e6
    yield Line(f"{count:,} cells: report written", clock.seconds, " s", detail=f"{size:.1f} MB")
    yield Line(f"{count:,} cells: bct report", before + clock.seconds, " s", target, False)


def _experiment(home: Path, rates: int, seeds: int, steps: int) -> Experiment:
    path = home / "many.yaml"
    lrs = [float(f"{1e-4 * 1.5**i:.3g}") for i in range(rates)]
    path.write_text(RECIPE.format(rates=lrs, seeds=list(range(seeds)), steps=steps), encoding="utf-8")
    return Experiment(recipe.load(path), folder.default("many", home / "run"))


def _make(experiment: Experiment) -> None:
    keep(experiment, {})
    logs = {start.id: _log(start, experiment.folders.logs) for start in experiment.starts.values()}
    marks = {id: next(iter(intact.record(experiment.folders, [log]).values())) for id, log in logs.items()}
    for start in experiment.starts.values():
        log = experiment.folders.relative(logs[start.id])
        content = {"id": start.id, "figures": {"initial": 1.0, "agreed": 1.0, "ceiling": 1.0}}
        content |= {"logs": {"start": log, "ceiling": log}, "fingerprint": "0" * 16}
        content |= {intact.RECORD: {log: marks[start.id]}}
        _write(experiment.folders.start(start), content)
    for cell in experiment.cells.values():
        out, entries = experiment.folders.cell(cell), []
        logs_of = experiment.folders.logs / cell.id
        logs_of.mkdir(parents=True)
        for step in (0, *cell.train.saved_steps()):
            log = logs_of / f"step-{step:06d}.eval"
            os.link(logs[cell.start.id], log)
            entries.append({"step": step, "log": experiment.folders.relative(log), "fingerprint": "0" * 16})
        _write(out / layout.TRAINED, {"steps": cell.train.steps, "step0_loss": 0.1, "diverged": False})
        line = {"step": 1, "loss": 0.1, "lr": 1e-4, "sum_lr": 1e-4, "grad_norm": 1.0, "tokens": 9, "seconds": 1.0}
        _write(out / METRICS, line)
        record = {entry["log"]: marks[cell.start.id] for entry in entries}
        _write(experiment.folders.done(cell), {"logs": entries, "seconds": 1.0, "replies": 150, intact.RECORD: record})


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _log(start: Start, folder: Path) -> Path:
    """A real log of the embedded base on the items of a start."""
    sizes = start.sizes
    asked = bct_task(
        catalogue.load(start.setting),
        variant=start.variant,
        split="all",
        n=sizes.n,
        n_train=sizes.n_train,
        n_capability=sizes.n_capability,
        n_following=sizes.n_following,
    )
    [log] = inspect_ai.eval(asked, model=local_model("mini"), log_dir=str(folder / start.id), **QUIET)
    return Path(log.location.removeprefix("file://"))


if __name__ == "__main__":
    if "--small" in sys.argv:
        with TemporaryDirectory() as one:
            for found in _sweep(Path(one) / "small", rates=6, seeds=10, steps=64, target=20.0):
                print(found.row(), flush=True)
    else:
        report(measure)

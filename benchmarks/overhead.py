"""Where a small sweep's processor time goes: what is neither training steps, generation nor inspect's floor.

One process does what a worker does, a start and its cells, and writes the report. Training steps are the trainer's loop
without its saves; generation is the engine's thread (replies and scored references, loading included); inspect's floor
is the same tasks answered by a model that knows its reply. Imports are counted, and shown by themselves.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.line import Line, report

RECIPE = """\
setting: sandbagging
variants: [static]
learning_rates: [1.0e-4, 1.0e-3]
seeds: [0, 1, 2, 3]
steps: 64
"""


class Ledger:
    """Processor seconds by what they were spent on, each second once: inner work is taken off the outer."""

    def __init__(self) -> None:
        self.spent = defaultdict[str, float](float)
        self._open: dict[int, list[float]] = defaultdict(list)

    def counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its own thread's time under this name."""
        import threading

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            inner = self._open[threading.get_ident()]
            inner.append(0.0)
            begun = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.thread_time() - begun
                self.spent[name] += took - inner.pop()
                if inner:
                    inner[-1] += took

        return counted


def measure() -> Iterator[Line]:
    """The share, and every part of the ledger."""
    begun = time.process_time()
    from trl.trainer.sft_trainer import SFTTrainer

    import lab.experiment.collect
    import serving.backends.engine.engine
    from lab.experiment import evaluate
    from trainer.data import labels
    from trainer.run import checkpoints, model

    ledger, imports = Ledger(), time.process_time()
    places = [
        (SFTTrainer, "train", "training steps"),
        (SFTTrainer, "_save_checkpoint", "saving"),
        (checkpoints.Keeper, "on_save", "saving"),
        (serving.backends.engine.engine.Engine, "_answer", "generation"),
        (evaluate, "_run", "inspect"),
        (model, "load", "loading to train"),
        (labels, "collect", "labels, without generation"),
        (lab.experiment.collect, "write", "results and report"),
    ]
    patches = [patch.object(owner, name, ledger.counting(what, getattr(owner, name))) for owner, name, what in places]
    with TemporaryDirectory() as home:
        for one in patches:
            one.start()
        evaluations = _work(Path(home))
        for one in patches:
            one.stop()
        total = time.process_time()
        floor = _floor(evaluations, Path(home))
    spent = ledger.spent
    rest = total - spent["training steps"] - spent["generation"] - floor
    yield Line("share of a mini sweep that is overhead", 100 * rest / total, " %", 15, False, f"{total:.1f} s in all")
    parts = {"imports at the start": imports - begun, "inspect's floor": floor} | spent
    parts["inspect beyond its floor"] = parts.pop("inspect", 0.0) - floor
    parts["all else"] = total - sum(parts.values())
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        yield Line(f"of it: {name}", 100 * seconds / total, " %", detail=f"{seconds:.2f} s")


def _work(home: Path) -> list[Any]:
    """Does all jobs as a worker does; returns the evaluations that were made."""
    from lab.experiment import collect, folder, state
    from lab.experiment import jobs as work
    from lab.experiment.folder import Experiment, keep
    from lab.experiment.state import Reporter
    from lab.plan import recipe
    from lab.report.html import write_report

    path = home / "sweep.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    experiment = Experiment(recipe.load(path), folder.default("sweep", home / "run"))
    keep(experiment, {})
    jobs = work.RunJobs(experiment)
    for job in jobs.names:
        jobs.task(job)(Reporter(state.path_of(jobs.home, job), 1))
    write_report(collect.write(experiment), jobs.home / "report.html")
    found = [
        e for s in experiment.starts.values() for e in work.start_evaluations(s, experiment.folders, s.model).values()
    ]
    return [*found, *(e for c in experiment.cells.values() for e in work.cell_evaluations(c, experiment.folders))]


def _floor(evaluations: list[Any], home: Path) -> float:
    """Processor seconds of the same tasks with a model that answers at once."""
    from inspect_ai.model import get_model

    import benchmarks.asking
    from lab.experiment import evaluate

    class Known(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return "I do not know."

    def instant(ref: str) -> Any:
        return get_model("instant/mini", replies=Known({"": ""}))

    assert benchmarks.asking.instant
    asked = [replace(e, margins=False) for e in evaluations]
    begun = time.process_time()
    with patch("serving.provider.local_model", instant):
        evaluate._run(asked, home / "floor")  # pyright: ignore[reportPrivateUsage]
    return time.process_time() - begun


if __name__ == "__main__":
    report(measure)

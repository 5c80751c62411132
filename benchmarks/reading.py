"""20 logs of 200 samples: how long the lab takes to read them, against inspect's data frame of the same samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import inspect_ai
from inspect_ai import task_with

from benchmarks.asking import QUIET, instant_model, task
from benchmarks.line import Line, report
from lab.logs.reader import read_items

LOGS, SAMPLES, ROUNDS = 20, 200, 5


def measure() -> Iterator[Line]:
    """Seconds for all logs, and the ratio; the best of several rounds of either side."""
    from inspect_ai.analysis import samples_df

    with TemporaryDirectory() as folder:
        logs = _logs(Path(folder))
        ours, read = _best(lambda: sum(len(read_items(log)) for log in logs), ROUNDS)
        theirs, rows = _best(lambda: len(samples_df([str(log) for log in logs], quiet=True)), 1)
    if not read == rows == LOGS * SAMPLES:
        raise RuntimeError(f"{read} and {rows} samples of {LOGS * SAMPLES}")
    what = f"reading {LOGS} logs of {SAMPLES} samples"
    yield Line(f"{what} for the report", ours, " s", 0.5, False, "processor time")
    yield Line(f"samples_df against {what}", theirs / ours, "x", 20, True, f"{theirs:.2f} s against {ours:.3f} s")


def _logs(folder: Path) -> list[Path]:
    """20 evals of their own: a data frame holds a sample that was copied only once."""
    asked = [task_with(task(SAMPLES), name=f"copy-{i}") for i in range(LOGS)]
    made = inspect_ai.eval(asked, model=instant_model(SAMPLES), log_dir=str(folder), max_tasks=1, **QUIET)
    return [Path(log.location.removeprefix("file://")) for log in made]


def _best(work: Callable[[], int], rounds: int) -> tuple[float, int]:
    """Processor time, which hardly depends on what else the machine does, and what came out."""
    found: list[float] = []
    count = 0
    for _ in range(rounds):
        begun = time.process_time()
        count = work()
        found.append(time.process_time() - begun)
    return min(found), count


if __name__ == "__main__":
    report(measure)

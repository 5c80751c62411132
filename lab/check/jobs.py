"""The work behind `bct check --model`: plans that are not measured yet, spread over processes that end with this one.

Each worker keeps its imports and its engine over many plans, says what it does in a state file and prints into a log
beside its replies. Not covered: other machines.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lab.check import organism as organism_gate
from lab.check.organism import Plan
from lab.run import state
from lab.run.driver import default_jobs
from lab.run.status import duration
from lab.run.worker import die_with, reported
from serving.errors import WorkFailed

STATE, LOG = "state.json", "output.log"
REFRESH = 0.5
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def work(plans: Sequence[Plan], home: Path, jobs: int | None = None) -> dict[Plan, str]:
    """Measures what is not measured yet. Returns the plans that failed, with the error in one line.

    Raises:
        WorkFailed: where it was stopped by ctrl-C, or a worker was killed.
    """
    todo = [plan for plan in plans if organism_gate.rates(plan, home) is None]
    if not todo:
        return {}
    home.mkdir(parents=True, exist_ok=True)
    workers = min(jobs or default_jobs(), len(todo))
    os.environ.update({name: value for name, value in QUIET.items() if workers > 1 or name not in os.environ})
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),)) as pool:
        try:
            return _watch({pool.submit(_do, plan, home): plan for plan in todo}, home, len(plans))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise WorkFailed("stopped. The same command goes on from here.") from None
        except BrokenProcessPool:
            raise WorkFailed(
                "a worker was killed (out of memory?): use fewer --jobs; the same command goes on from here"
            ) from None


def _watch(running: dict[Future[str | None], Plan], home: Path, total: int) -> dict[Plan, str]:
    """Waits for the end, with a bar on a terminal and a line per plan elsewhere."""
    failed: dict[Plan, str] = {}
    console, began, left = Console(stderr=True), time.monotonic(), set(running)
    columns = (
        TextColumn("check"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task("", total=total, completed=total - len(left))
        while left:
            done, left = wait(left, timeout=REFRESH, return_when=FIRST_COMPLETED)
            for future in done:
                plan = running[future]
                if error := future.result():
                    failed[plan] = error
                if not console.is_terminal:
                    took = duration(time.monotonic() - began)
                    count = f"({total - len(left)} of {total}, {took})"
                    line = f"{plan.setting}.{plan.variant}  {error or 'measured'}  {count}"
                    console.print(line, highlight=False, soft_wrap=True)
            at_work = [running[future] for future in left if future.running()]
            bars.update(task, completed=total - len(left), description="  ".join(_doing(p, home) for p in at_work[:4]))
    return failed


def _doing(plan: Plan, home: Path) -> str:
    told = state.read(organism_gate.folder(plan, home) / STATE)
    return f"{plan.setting}.{plan.variant} {told.step}/{told.total}" if told.total else f"{plan.setting}.{plan.variant}"


def _begin(driver: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ctrl-C ends a worker without a traceback
    die_with(driver)


def _do(plan: Plan, home: Path) -> str | None:
    """One plan, in a worker; returns its error in one line."""
    place = organism_gate.folder(plan, home)
    return reported(place / LOG, place / STATE, 1, partial(organism_gate.measure, plan, home))[0]

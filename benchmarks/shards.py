"""Drivers that share a run folder, some of them killed and started again: the results must be those of one driver.

    python -m benchmarks.shards --cells 24 --drivers 8 --kills 2

Drivers are processes forked from one that has imported everything. Those to be killed are killed by SIGKILL while they
train a cell, and started again at once by the same command. Then results.json, weights and names of files are compared.
Not covered: more than one machine; there a dead driver is noticed after `lab.experiment.claims.SILENCE` seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.kills import RECIPE, ended, fork, imported, outcome, prepare
from benchmarks.line import Line, report

NAME = "shards.yaml"


def measure() -> Iterator[Line]:
    """One driver, then several with kills."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--cells", type=int, default=24)
    asked.add_argument("--drivers", type=int, default=8)
    asked.add_argument("--kills", type=int, default=2)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        _prepare(home, given.cells)
        one, began = _driver(home, home / "one", ""), time.monotonic()
        assert ended(one) == 0, _said(home)
        alone = time.monotonic() - began
        began = time.monotonic()
        killed = _several(home, given.drivers, given.kills)
        several = time.monotonic() - began
        unlike = outcome(home / "all").unlike(outcome(home / "one"))
        print(f"one driver {alone:.0f} s; {given.drivers} drivers {several:.0f} s; unlike: {unlike}", flush=True)
        done = len(list((home / "all").glob("cells/*/done.json")))
        note = f"{killed} drivers killed in training and started again, unlike one driver: {unlike}"
        what = f"cells by {given.drivers} drivers in one folder that are those of one driver"
        yield Line(what, done if unlike == "nothing" else 0, "", given.cells, True, note)


def _prepare(home: Path, cells: int) -> None:
    seeds = f"seeds: {list(range(cells))}\n"
    (home / NAME).write_text(RECIPE.replace("steps: 4\n", "steps: 8\n", 1) + seeds, encoding="utf-8")
    prepare(home)


def _several(home: Path, drivers: int, kills: int) -> int:
    """Runs all shards side by side. Returns how many were killed."""
    parts = [f"{index}/{drivers}" for index in range(1, drivers + 1)]
    running = {part: _driver(home, home / "all", part) for part in parts}
    killed = 0
    for part in parts[1 : kills + 1]:
        if _killed_in_training(home / "all", running[part]):
            ended(running[part])
            running[part], killed = _driver(home, home / "all", part), killed + 1
    codes = {part: ended(pid) for part, pid in running.items()}
    assert not any(codes.values()), f"{codes}: {_said(home)}"
    return killed


def _killed_in_training(run: Path, pid: int) -> bool:
    """Waits until a driver trains a cell, in which it has a state to go on from; False if it ended before."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        for file in run.glob("state/*.json"):
            told = _state(file)
            trains = told.get("pid") == pid and told.get("phase") == "training"
            if trains and list(run.glob(f"cells/.{file.stem}.*/resume/[0-9]*")):
                os.kill(pid, signal.SIGKILL)
                return True
        time.sleep(0.01)
    return False


def _state(file: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        return json.loads(file.read_bytes())
    return {}


def _driver(home: Path, out: Path, shard: str) -> int:
    return fork(lambda: _run(home, out, shard), home / f"said-{shard.replace('/', '-')}.txt")


def _run(home: Path, out: Path, shard: str) -> None:
    """`bct run --shard` without its report."""
    from lab.api import experiment
    from lab.experiment.driver import How, run
    from lab.experiment.shard import Shard
    from serving.terminal import terminal

    how = How("inline", 1, shard=Shard.parse(shard) if shard else None)
    results, failed = run(experiment(home / NAME, out), how, True, terminal(stderr=True))
    print("wrote the results" if results else "others are at work", failed)
    raise SystemExit(1 if failed else 0)


def _said(home: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8")[-2000:] for file in home.glob("said-*.txt"))


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    imported()
    report(measure)

"""Long use: memory, open files and threads of `bct serve` over thousands of requests, and of a run over many cells.

    python -m benchmarks.soak --requests 5000 --disconnects 200 --cells 0
    python -m benchmarks.soak --requests 0 --cells 500 --minutes 30

Each figure is read after a warm-up and at the end. Nothing is timed: other work on the machine does not matter.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.kills import make_model
from benchmarks.line import Line, report

RECIPE = """\
setting: sandbagging
variants: [static]
model: ./model
learning_rates: [1e-3]
label_source: reference
seeds: {seeds}
steps: 1
batch_size: 2
checkpoints: [1]
n: 2
n_train: 2
n_capability: 2
n_following: 0
margins: false
generation: {{max_tokens: 2}}
"""
#: Requests, and cells, before the first reading.
WARM, WARM_CELLS = 200, 10
TRIES = 4
#: Growth of memory over a soak that passes, in MB: caches of the allocator.
GROWTH = 30.0


@dataclass(frozen=True)
class Reading:
    """A process at one moment: resident memory in MB, open files, threads."""

    memory: float
    files: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory:.0f} MB, {self.files} files, {self.threads} threads"


def reading(pid: int) -> Reading:
    """A process now. Raises OSError if it has ended."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    if "VmRSS" not in status:
        raise ProcessLookupError(f"process {pid} has ended, and waits to be reaped")
    files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (the process may close one meanwhile)
    return Reading(int(status["VmRSS"].split()[0]) / 1024, files, int(status["Threads"]))


def measure() -> Iterator[Line]:
    """What was asked for."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--requests", type=int, default=5000)
    asked.add_argument("--disconnects", type=int, default=200)
    asked.add_argument("--cells", type=int, default=0)
    asked.add_argument("--minutes", type=float, default=30.0)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    if given.requests:
        yield from served(given.requests, given.disconnects)
    if given.cells:
        with TemporaryDirectory() as home:
            yield from swept(Path(home), given.cells, given.minutes)


# --- a server ---------------------------------------------------------------------------------------------------------


def served(requests: int, disconnects: int) -> Iterator[Line]:
    """A server of `mini` before and after these requests, among which clients leave."""
    command = [sys.executable, "-m", "lab", "serve", "mini", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        try:
            _ask(told, WARM)
            before = reading(server.pid)
            left = _ask(told, requests, disconnects)
            _ask(told, 1)
            after = reading(server.pid)
        finally:
            server.send_signal(signal.SIGINT)
    yield from _grown(f"bct serve, {requests:,} requests and {left} disconnects", before, after)


def _ask(told: dict[str, Any], requests: int, disconnects: int = 0) -> int:
    """Asks, 16 at a time, and hangs up so many times in between. Returns how many hung up."""
    draw = random.Random(0)
    leaving = set(draw.sample(range(requests), min(disconnects, requests)))
    headers = {"authorization": f"Bearer {told['key']}"}
    with (
        httpx.Client(base_url=told["url"], headers=headers, timeout=600) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        return sum(
            pool.map(lambda i: _leave(told, draw.uniform(0, 0.1)) if i in leaving else _one(client, i), range(requests))
        )


def _body(i: int, tokens: int) -> dict[str, Any]:
    return {"model": "mini", "max_tokens": tokens, "messages": [{"role": "user", "content": f"What is {i} plus 2?"}]}


def _one(client: httpx.Client, i: int) -> int:
    """Asks; again where the server has closed an idle connection meanwhile, as OpenAI's client does."""
    for _ in range(TRIES - 1):
        with suppress(httpx.TransportError):
            client.post("chat/completions", json=_body(i, 2)).raise_for_status()
            return 0
    client.post("chat/completions", json=_body(i, 2)).raise_for_status()
    return 0


def _leave(told: dict[str, Any], after: float) -> int:
    """Sends a request for a long reply and closes the connection before it is answered."""
    place = urlsplit(told["url"])
    body = json.dumps(_body(0, 400)).encode()
    head = (
        f"POST {place.path}/chat/completions HTTP/1.1\r\nhost: {place.hostname}\r\nauthorization: Bearer {told['key']}"
        f"\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((place.hostname or "", place.port or 80)) as connection:
        connection.sendall(head.encode() + body)
        time.sleep(after)
    return 1


# --- a run ------------------------------------------------------------------------------------------------------------


def swept(home: Path, cells: int, minutes: float) -> Iterator[Line]:
    """Driver and worker of a run of so many cells, or of as many as are done in the time."""
    make_model(home / "model")
    (home / "many.yaml").write_text(RECIPE.format(seeds=list(range(cells))), encoding="utf-8")
    command = [sys.executable, "-m", "lab", "run", "many.yaml", "--out", "run", "--jobs", "1", "--force"]
    with subprocess.Popen(command, cwd=home, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as driver:
        until, known = time.monotonic() + 60 * minutes, dict[str, list[Reading]]()
        done = 0
        while driver.poll() is None and time.monotonic() < until:
            time.sleep(1)
            done = len(list((home / "run" / "cells").glob("*/done.json")))
            if done >= WARM_CELLS:
                _take(known, driver.pid)
        driver.send_signal(signal.SIGINT)
    if done < WARM_CELLS:
        raise SystemExit(f"{done} cells were done, and {WARM_CELLS} are needed before the first reading")
    for name, every in known.items():
        yield from _grown(f"bct run, {done} cells: {name}", every[0], every[-1])
    yield Line(f"bct run, {done} cells: files of the folder", sum(1 for _ in home.rglob("*")) / max(done, 1), " a cell")


def _take(known: dict[str, list[Reading]], driver: int) -> None:
    with suppress(OSError):
        workers = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
        for name, pid in [("driver", driver), *(("worker", int(worker)) for worker in workers[:1])]:
            known.setdefault(name, []).append(reading(pid))


def _grown(what: str, before: Reading, after: Reading) -> Iterator[Line]:
    detail = f"{before}, then {after}"
    yield Line(f"{what}: memory gained", after.memory - before.memory, " MB", GROWTH, False, detail)
    yield Line(f"{what}: open files gained", after.files - before.files, "", 2, False)


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    report(measure)

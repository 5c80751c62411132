"""Where the processor time of a sample goes: stacks of an eval's two threads, looked at every two milliseconds.

512 prompts at 128 connections, through `local/` and through a model that answers at once. The thread of the event loop
is inspect's and the task's; the worker's is the engine's. A look counts for the innermost frame of a known package.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import inspect_ai
from inspect_ai.model import Model

from benchmarks.asking import N, instant_model, seconds
from benchmarks.line import Line, report
from serving.beside import repeatedly
from serving.provider import local_model

CONNECTIONS = 128
EVERY_S = 0.002
LEAST_SHARE = 0.01
ROUNDS = 1
INSPECT = Path(inspect_ai.__file__).parent
OURS = Path(__file__).parents[1]
WAITS = ("select", "wait", "_gather", "_take", "get")
PARTS = {
    "inspect_ai/log": "inspect: log and its compression",
    "inspect_ai/event": "inspect: events and transcript",
    "inspect_ai/_eval": "inspect: running samples, scores, metrics",
    "inspect_ai/model": "inspect: its model layer",
    "inspect_ai/_util": "inspect: JSON, copies, hashes, concurrency",
    "inspect_ai/util": "inspect: JSON, copies, hashes, concurrency",
    "inspect_ai": "inspect: the rest",
    "serving/provider": "local/: the provider",
    "serving/backends/engine/engine": "local/: handing over to the worker",
    "serving/backends/engine/delivery": "local/: handing over to the worker",
    "bct_tasks": "the task: its scorer and grader",
    "graders": "the task: its scorer and grader",
}


class Looks:
    """Counts of places, by thread: the event loop's (whose thread asks) and the worker's."""

    def __init__(self) -> None:
        self.loop, self.worker = Counter[str](), Counter[str]()
        self._main = threading.get_ident()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look while the block runs."""
        switch = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)
        try:
            with repeatedly(EVERY_S, self._look):
                yield
        finally:
            sys.setswitchinterval(switch)

    def _look(self) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident == self._main:
                self.loop[_of_loop(frame)] += 1
            elif names.get(ident) == "serving":
                self.worker[_of_worker(frame)] += 1


def _of_loop(frame: FrameType | None) -> str:
    if frame is not None and frame.f_code.co_name == "select":
        return "waiting"
    while frame is not None:
        place = _place(frame)
        found = next((text for prefix, text in PARTS.items() if place.startswith(prefix)), None)
        if found is not None:
            return found
        frame = frame.f_back
    return "the event loop itself"


def _of_worker(frame: FrameType | None) -> str:
    while frame is not None:
        place, name = _place(frame), frame.f_code.co_name
        if place.startswith("serving/backends/engine/decode") and name == "decode":
            return "local/: decoding"
        if place.startswith("serving/backends/engine/batch"):
            return "local/: tokens, templates and text"
        if place.startswith("serving/backends/engine/engine") and name in WAITS:
            return "waiting"
        frame = frame.f_back
    return "local/: the worker's rest"


def _place(frame: FrameType) -> str:
    file = Path(frame.f_code.co_filename)
    for root, prefix in ((INSPECT, "inspect_ai/"), (OURS, "")):
        if file.is_relative_to(root):
            return prefix + file.relative_to(root).as_posix()
    return ""


def measure() -> Iterator[Line]:
    """Processor time of a sample by place: its share of the looks at which a thread was not waiting."""
    for name, model in (("local/", local_model("mini")), ("an instant model", instant_model())):
        seconds(model, CONNECTIONS)
        yield from _lines(name, model)


def _lines(name: str, model: Model) -> Iterator[Line]:
    looks, begun = Looks(), time.process_time()
    with looks.running():
        took = sum(seconds(model, CONNECTIONS) for _ in range(ROUNDS))
    used = time.process_time() - begun
    each = 1000 / (ROUNDS * N)
    detail = f"{took * each:.2f} ms of wall time; {N} prompts at {CONNECTIONS} connections, {ROUNDS} evals"
    yield Line(f"with {name}: processor time of a sample", used * each, " ms", detail=detail)
    busy = looks.loop + looks.worker
    del busy["waiting"]
    for place, count in busy.most_common():
        share = count / busy.total()
        if share >= LEAST_SHARE:
            yield Line(f"with {name}: {place}", used * each * share, " ms", detail=f"{share:.0%}")


if __name__ == "__main__":
    report(measure)

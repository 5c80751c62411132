"""A real vLLM against the engine on the same prompts: identical replies, processor time, and the seconds of a start.

    BCT_VLLM_VENV=.venv-vllm python -m benchmarks.vllm_real models/SmolLM2-135M-Instruct --prompts 512 --tokens 64

Processor time is that of all vLLM's processes between the first and the last reply, and of this process for the engine:
other work on the machine makes both slower by the clock and changes it little.
"""

from __future__ import annotations

import argparse
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import torch

from bct_tasks import catalogue
from benchmarks.line import Line, alike, report
from serving.backends import load
from serving.backends.engine.engine import get_engine
from serving.backends.protocol import Options
from serving.refs import resolve
from serving.request import Request

DTYPES = ("float32", "bfloat16")
#: In the environment of vLLM's processes, by which they are found.
MARK = "BCT_BENCHMARK"
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(mark: str) -> float:
    """Of the sessions of processes with this mark: vLLM's workers change what can be read of their environment."""
    found: dict[Path, list[str]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            found[place] = (place / "stat").read_text().rpartition(")")[2].split()
    marked = {fields[3] for place, fields in found.items() if f"{MARK}={mark}\0" in _environment(place)}
    return sum(int(f[11]) + int(f[12]) for f in found.values() if f[3] in marked) / TICKS


def _environment(place: Path) -> str:
    try:
        return (place / "environ").read_text(errors="replace")
    except OSError:
        return ""


class VllmTime(threading.Thread):
    """Processor seconds of the vLLM servers that start inside it, read while they run: a server ends with its run."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mark, self.seconds, self.over = secrets.token_hex(8), 0.0, threading.Event()

    def __enter__(self) -> Self:
        os.environ[MARK] = self.mark
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
        del os.environ[MARK]

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.seconds = max(self.seconds, processor_seconds(self.mark))


def compared(model: str, dtype: str, asked: list[Request], mark: str) -> Iterator[Line]:
    """One precision: vLLM first, whose start is timed."""
    checkpoint, backend = resolve(model), load("vllm")
    answering = backend.open(checkpoint, Options(dtype=dtype))
    began = time.monotonic()
    answering.ask(asked[:1])
    start = time.monotonic() - began
    used, clock = processor_seconds(mark), time.monotonic()
    theirs = answering.ask(asked)
    used, clock = processor_seconds(mark) - used, time.monotonic() - clock
    backend.close()
    engine = get_engine(dtype)
    engine.generate(checkpoint, asked[:1])
    begun, ours_clock = time.process_time(), time.monotonic()
    ours = engine.generate(checkpoint, asked)
    taken, ours_clock = time.process_time() - begun, time.monotonic() - ours_clock
    tokens = sum(reply.output_tokens for reply in theirs)
    same = alike([reply.text for reply in ours], [reply.text for reply in theirs])
    detail = f"{len(asked)} prompts, {tokens:,} tokens: {taken:.1f} s ({ours_clock:.0f} s by the clock)"
    detail += f" against {used:.1f} s ({clock:.0f} s); identical replies {same}"
    yield Line(f"engine's processor time over vLLM's, {dtype}", taken / used, "x", detail=detail)
    yield Line(f"vLLM's first reply, {dtype}", start, " s", detail="from nothing")


def measure() -> Iterator[Line]:
    """Both precisions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="as local/ takes it")
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--dtype", choices=DTYPES, action="append", help="default: both")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    os.environ[MARK] = mark = secrets.token_hex(8)
    prompts = catalogue.load("sycophancy").prompts(None, "eval", given.prompts)
    asked = [Request(prompt.messages(), given.tokens) for prompt in prompts]
    for dtype in given.dtype or DTYPES:
        yield from compared(given.model, dtype, asked, mark)


if __name__ == "__main__":
    report(measure)

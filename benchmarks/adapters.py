"""Twenty LoRA checkpoints of one base: what one more costs in time and memory, and whether mixing would be faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
from peft import LoraConfig, get_peft_model

from benchmarks.asking import requests
from benchmarks.line import Line, report
from serving import layout, load
from serving.backends.engine import decode, resident
from serving.backends.engine.batch import encode
from serving.backends.engine.decode import PromptRow
from serving.backends.engine.engine import Engine
from serving.backends.engine.resident import Residents
from serving.refs import Checkpoint, mini_path, resolve
from serving.request import Request

CHECKPOINTS = 20
RANK = 8
ROWS = 26
MIXED = 8


def make(place: Path) -> list[Checkpoint]:
    """Random adapters on `mini`."""
    for seed in range(CHECKPOINTS):
        torch.manual_seed(seed)
        config = LoraConfig(r=RANK, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        folder = place / f"{seed}"
        get_peft_model(load.load_full(resolve("mini")), config).save_pretrained(str(folder))
        layout.write_pointer(folder, "mini", layout.fingerprint(mini_path()), name=layout.BASE)
    return [resolve(str(place / f"{seed}")) for seed in range(CHECKPOINTS)]


def measure() -> Iterator[Line]:
    """Time and memory of twenty checkpoints; then adapters in turn against adapters mixed in one batch."""
    loads = _counted(load, "load_full")
    with TemporaryDirectory() as folder:
        checkpoints = make(Path(folder))
        loads.clear()
        yield from _sweep(checkpoints, requests(ROWS), loads)
        yield _mixing(checkpoints[:MIXED], requests(ROWS))


def _sweep(checkpoints: list[Checkpoint], asked: list[Request], loads: list[int]) -> Iterator[Line]:
    engine = Engine()
    engine.generate(resolve("mini"), asked)
    before = psutil.Process().memory_info().rss
    extra: list[float] = []
    for checkpoint in checkpoints:
        first, again = (_clocked(lambda: engine.generate(checkpoint, asked)) for _ in range(2))  # noqa: B023
        extra.append(1000 * (first - again))
    grown = psutil.Process().memory_info().rss - before
    engine.close()
    size = sum(file.stat().st_size for file in layout.weight_files(checkpoints[0].path or Path()))
    held = min(CHECKPOINTS, resident.MAX_ADAPTERS)
    detail = f"median of {CHECKPOINTS}, {ROWS} samples each; slowest {max(extra):.0f} ms"
    yield Line("one more LoRA checkpoint beside its samples", median(extra), " ms", 100, False, detail)
    yield Line("times the base was loaded", len(loads), "", 1, False, f"{CHECKPOINTS} checkpoints")
    detail = f"{held} adapters of {size / 2**20:.2f} MiB are held; base {_base_size() / 2**20:.1f} MiB"
    yield Line("memory they took", grown / 2**20, " MiB", None, False, detail)


def _mixing(checkpoints: list[Checkpoint], asked: list[Request]) -> Line:
    residents = Residents()
    rows: list[PromptRow] = []
    for checkpoint in checkpoints:
        with residents.speaking(checkpoint) as speaker:
            rows = [PromptRow(encode(speaker.tokenizer, each), 32) for each in asked]
    in_turn, mixed = _in_turn(residents, checkpoints, rows), _mixed(residents, checkpoints, rows)
    if in_turn() != mixed():
        raise RuntimeError("mixed adapters do not say the same")
    least = [min(_clocked(way) for _ in range(5)) for way in (in_turn, mixed)]
    detail = f"{len(checkpoints)} adapters, {len(rows)} rows each: {least[1]:.2f} s mixed, {least[0]:.2f} s in turn"
    return Line("adapters mixed in one batch against in turn", least[1] / least[0], "x", detail=detail)


def _in_turn(
    residents: Residents, checkpoints: list[Checkpoint], rows: list[PromptRow]
) -> Callable[[], list[list[int]]]:
    def answer() -> list[list[int]]:
        said: list[list[int]] = []
        for checkpoint in checkpoints:
            with residents.speaking(checkpoint) as each:
                said += [row.tokens for row in decode.decode(each.model, rows, each.ending, each.pad)]
        return said

    return answer


def _mixed(residents: Residents, checkpoints: list[Checkpoint], rows: list[PromptRow]) -> Callable[[], list[list[int]]]:
    """All rows in one batch, by PEFT's `adapter_names`; rows that are done stay, as the names are one a row."""

    def answer() -> list[list[int]]:
        with residents.speaking(checkpoints[0]) as each:
            known = residents.adapter_names()
            names = [known[checkpoint.fingerprint] for checkpoint in checkpoints for _ in rows]
            share, decode.DONE_SHARE = decode.DONE_SHARE, 2.0
            try:
                every = decode.decode(_Named(each.model, names), rows * len(checkpoints), each.ending, each.pad)
            finally:
                decode.DONE_SHARE = share
        return [row.tokens for row in every]

    return answer


class _Named:
    """A PEFT model that is told the adapter of each row."""

    def __init__(self, model: Any, names: list[str]) -> None:
        self._model, self._names = model, names
        self.config, self.device = model.config, model.device

    def __call__(self, **inputs: Any) -> Any:
        return self._model(adapter_names=self._names, **inputs)


def _counted(module: Any, name: str) -> list[int]:
    calls, real = list[int](), getattr(module, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return real(*args, **kwargs)

    setattr(module, name, counted)
    return calls


def _clocked(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _base_size() -> int:
    return sum(file.stat().st_size for file in layout.weight_files(mini_path()))


if __name__ == "__main__":
    report(measure)

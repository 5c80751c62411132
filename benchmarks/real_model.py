"""Training and answering at the size of a real language model, in fp32 and in bf16.

    python -m benchmarks.real_model models/SmolLM2-135M-Instruct

A step of the trainer against a plain loop, the engine against hand-batched `generate`, and what bf16 gains and changes.
Processor time of one thread, both sides in one process, in turns. A real model's replies are not all alike when
batches differ, by rounding: the share of identical replies is printed instead of being required.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import torch

from bct_tasks import catalogue
from benchmarks.engine_throughput import by_hand
from benchmarks.line import Line, alike, peak_memory, report
from benchmarks.trainer import compared, config
from serving.backends.engine import decode
from serving.backends.engine.engine import get_engine
from serving.load import load_model
from serving.refs import resolve
from serving.request import Request

DTYPES = ("float32", "bfloat16")
BATCH, STEPS, TRAIN_TARGET = 16, 6, 1.1
PROMPTS, TOKENS, SIZES = 192, 48, (32, 64, 192)
ENGINE_TARGET = 95


def training(model: str) -> Iterator[Line]:
    """Steps of full fine-tuning and LoRA in both precisions."""
    for dtype in DTYPES:
        for rank, kind in ((None, "full"), (8, "LoRA 8")):
            asked = config(8, rank, model=model, dtype=dtype, steps=STEPS, checkpoints=(STEPS,), batch_size=BATCH)
            yield from compared(asked, f"{kind}, {dtype}, batch {BATCH}", TRAIN_TARGET, rounds=1)
    yield peak_memory("peak memory of training")


def answering(model: str) -> Iterator[Line]:
    """The engine against `generate`, and bf16 against fp32."""
    prompts = catalogue.load("sycophancy").prompts(None, "eval", PROMPTS)
    asked = [Request(prompt.messages(), TOKENS) for prompt in prompts]
    taken: dict[str, float] = {}
    said: dict[str, list[str]] = {}
    for dtype in DTYPES:
        engine = get_engine(dtype)
        taken[dtype], said[dtype] = _clocked(
            lambda engine=engine: [r.text for r in engine.generate(resolve(model), asked)]
        )
        if dtype == DTYPES[0]:  # later the other side is in this process, too
            yield peak_memory("peak memory of answering")
        loaded, words = load_model(resolve(model), dtype)
        hand = {
            size: _clocked(lambda size=size, m=loaded, w=words: by_hand(m, w, asked, size, TOKENS)) for size in SIZES
        }
        best = min(hand, key=lambda size: hand[size][0])
        seconds, theirs = hand[best]
        detail = f"{PROMPTS} prompts of sycophancy: {taken[dtype]:.1f} s against {seconds:.1f} s in batches of {best}"
        detail += f"; identical replies {alike(said[dtype], theirs)}"
        share = 100 * seconds / taken[dtype]
        yield Line(f"engine against hand-batched generate, {dtype}", share, " %", ENGINE_TARGET, detail=detail)
    saved, decode.LEAST_SAVED = decode.LEAST_SAVED, sys.maxsize
    each, alone = _clocked(lambda: [r.text for r in get_engine("float32").generate(resolve(model), asked)])
    decode.LEAST_SAVED = saved
    detail = f"{each:.1f} s against {taken['float32']:.1f} s; identical replies {alike(said['float32'], alone)}"
    yield Line(
        "every prompt from its first token against a shared beginning", each / taken["float32"], "x", detail=detail
    )
    fast, slow = taken["bfloat16"], taken["float32"]
    yield Line("engine, bf16 against fp32", slow / fast, "x", detail=f"identical replies {alike(*said.values())}")


def _clocked(work: Callable[[], list[str]]) -> tuple[float, list[str]]:
    work_begun = time.process_time()
    done = work()
    return time.process_time() - work_begun, done


def measure() -> Iterator[Line]:
    """Every line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model of some 100 M parameters, as local/ takes it")
    parser.add_argument("--only", choices=("training", "answering"), help="one half")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part in (training, answering):
        if given.only in (None, part.__name__):
            yield from part(given.model)


if __name__ == "__main__":
    report(measure)

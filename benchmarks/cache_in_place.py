"""The engine's cache, written in place, against one that grows by copying, in one process.

    python -m benchmarks.cache_in_place                          # mini
    python -m benchmarks.cache_in_place models/SmolLM2-135M-Instruct --dtype bfloat16

Random prompts of 35 to 60 tokens, greedy replies of full length; both must write the same tokens, or there is no
figure. Processor time, so that other work on the machine matters less. Rounds alternate; the least time counts.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator

import torch
from transformers import DynamicCache, PretrainedConfig

from benchmarks.line import Line, report
from serving.backends.engine import decode
from serving.load import load_model
from serving.refs import resolve

ROWS, TOKENS, ROUNDS = 64, 48, 3


def measure() -> Iterator[Line]:
    """One line: how many times the processor time of the cache in place the growing one takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="mini", help="a model or checkpoint, as local/ takes it")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load_model(resolve(given.model), dtype=given.dtype)
    draw = random.Random(0)
    words = range(10, model.config.get_text_config().vocab_size - 1)
    prompts = [[draw.choice(words) for _ in range(draw.randint(35, 60))] for _ in range(ROWS)]
    rows, never = [decode.PromptRow(prompt, TOKENS) for prompt in prompts], decode.Ending(frozenset(), tokenizer)
    in_place, spent = decode.with_room, {"in place": list[float](), "growing": list[float]()}
    for _ in range(ROUNDS):
        written = []
        for name, seconds in spent.items():
            decode.with_room = in_place if name == "in place" else growing
            began = time.process_time()
            written.append([each.tokens for each in decode.decode(model, rows, never, 0)])
            seconds.append(time.process_time() - began)
        if written[0] != written[1]:
            raise RuntimeError("the two caches do not give the same tokens")
    least = {name: min(seconds) for name, seconds in spent.items()}
    rate = ROWS * TOKENS / least["in place"]
    what = f"a growing cache against the engine's, {given.model.rpartition('/')[2]}, {given.dtype}"
    detail = (
        f"{ROWS} replies of {TOKENS} tokens: {least['growing']:.2f} s against {least['in place']:.2f} s of processor"
    )
    yield Line(what, least["growing"] / least["in place"], "x", detail=f"{detail}, {rate:,.0f} tokens/s")


def growing(config: PretrainedConfig, _: int) -> DynamicCache:
    """transformers' own cache."""
    return DynamicCache(config=config)


if __name__ == "__main__":
    report(measure)

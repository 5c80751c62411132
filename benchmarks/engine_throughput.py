"""The engine alone against transformers' `generate` in batches cut by hand, at the best batch size for `generate`.

Both tokenize, decode greedily and give back text; the hand-made batches are sorted by length too. The replies must be
the same, or there is no figure. Then: what an engine costs that nobody asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from bct_tasks import catalogue
from benchmarks.line import Line, report
from serving.backends.engine.engine import get_engine
from serving.load import load_model
from serving.refs import resolve
from serving.request import Request

SETTINGS = ("sandbagging", "inoculation")  # short replies; programs
N = 512
MAX_TOKENS = 96
SIZES = (32, 64, 128, 256, 512)
ROUNDS = 3
IDLE_S = 10.0


def by_hand(model: Any, tokenizer: Any, asked: list[Request], size: int, max_tokens: int = MAX_TOKENS) -> list[str]:
    """Replies of `generate`, in the order of the requests."""
    prompts = [
        tokenizer.apply_chat_template(list(each.messages), tokenize=False, add_generation_prompt=True)
        for each in asked
    ]  # fmt: skip
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    replies = [""] * len(prompts)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        batch = tokenizer(
            [prompts[at] for at in chosen],
            return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False,
            return_token_type_ids=False,
        )  # fmt: skip
        with torch.inference_mode():
            written = model.generate(**batch, max_new_tokens=max_tokens, do_sample=False)
        texts = tokenizer.batch_decode(written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        for at, text in zip(chosen, texts, strict=True):
            replies[at] = text
    return replies


def measure() -> Iterator[Line]:
    """One line for each setting, and one for an idle engine."""
    mini, engine = resolve("mini"), get_engine()
    model, tokenizer = load_model(mini)
    for name in SETTINGS:
        prompts = catalogue.load(name).prompts(None, "eval", N)
        asked = [Request(prompt.messages(), MAX_TOKENS) for prompt in prompts]
        ours, theirs = [], {size: list[float]() for size in SIZES}
        said = [reply.text for reply in engine.generate(mini, asked)]
        if said != by_hand(model, tokenizer, asked, 64):
            raise RuntimeError(f"{name}: the engine and generate do not say the same")
        for _ in range(ROUNDS):
            ours.append(_clocked(lambda asked=asked: engine.generate(mini, asked)))
            for size in SIZES:
                theirs[size].append(_clocked(lambda asked=asked, size=size: by_hand(model, tokenizer, asked, size)))
        best = min(SIZES, key=lambda size: min(theirs[size]))
        detail = f"{N} prompts of {name}: {min(ours):.2f} s against {min(theirs[best]):.2f} s in batches of {best}"
        yield Line("engine against hand-batched generate", 100 * min(theirs[best]) / min(ours), " %", 90, detail=detail)
    yield Line("processor time of an idle engine", _idle(), " ms/s", 1.0, False, f"over {IDLE_S:g} s")


def _clocked(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _idle() -> float:
    begun = time.process_time()
    time.sleep(IDLE_S)
    return 1000 * (time.process_time() - begun) / IDLE_S


if __name__ == "__main__":
    report(measure)

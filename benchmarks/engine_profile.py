"""Where the engine's processor time goes at the size of a real model: shares of torch's operations.

    python -m benchmarks.engine_profile models/SmolLM2-135M-Instruct

Prompts of one variant, which begin alike. Times are those of each operation without the operations that it calls.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from torch.profiler import ProfilerActivity, _ExperimentalConfig, profile

from bct_tasks import catalogue
from benchmarks.line import Line, report
from serving.backends.engine.engine import get_engine
from serving.refs import resolve
from serving.request import Request

#: What an operation does, by its name in torch.
KINDS = {
    "products of matrices": ("mm", "addmm", "bmm", "linear", "mkldnn_linear", "matmul", "baddbmm"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu", "scaled_dot_product_attention", "softmax", "_softmax"),
    "copies and concatenations": ("copy_", "cat", "clone", "contiguous", "index_select", "index", "index_copy_"),
}
SHOWN = 12


def measure() -> Iterator[Line]:
    """A line for each kind of operation, and for the most expensive operations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="as local/ takes it")
    parser.add_argument("--setting", default="sycophancy")
    parser.add_argument("--variant")
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", action="store_true", help="lines for `python -m benchmarks`")
    given = parser.parse_args()
    prompts = catalogue.load(given.setting).prompts(given.variant, "eval", given.prompts)
    asked = [Request(prompt.messages(), given.tokens) for prompt in prompts]
    engine, checkpoint = get_engine(given.dtype), resolve(given.model)
    engine.generate(checkpoint, asked[:1])
    began = time.process_time()
    every_thread = _ExperimentalConfig(profile_all_threads=True)  # the engine answers in a thread of its own
    with profile(activities=[ProfilerActivity.CPU], experimental_config=every_thread) as profiled:
        replies = engine.generate(checkpoint, asked)
    used = time.process_time() - began
    spent = {event.key.removeprefix("aten::"): event.self_cpu_time_total / 1e6 for event in profiled.key_averages()}
    whole, written = sum(spent.values()), sum(reply.output_tokens for reply in replies)
    yield Line(
        "processor time", used, " s", detail=f"with the profiler; {len(asked)} prompts, {written:,} tokens written"
    )
    for kind, names in KINDS.items():
        yield Line(kind, 100 * sum(spent.get(name, 0.0) for name in names) / whole, " %", detail="of torch's time")
    for name in sorted(spent, key=lambda each: -spent[each])[:SHOWN]:
        yield Line(f"`{name}`", 100 * spent[name] / whole, " %", detail=f"{spent[name]:.1f} s")


if __name__ == "__main__":
    report(measure)

"""`local/` against the `hf/` provider of the installed inspect: the same 512 prompts, model and limits, both greedy.

Both are warm and in one process, each with the numbers of connections it is asked at. `hf/` takes minutes at 256
connections: its requests wait in a queue that it empties on timers.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from inspect_ai.model import get_model

from benchmarks.asking import CONNECTIONS, N, seconds
from benchmarks.line import Line, report
from serving.provider import local_model
from serving.refs import mini_path

TARGETS = {32: 2.5, 128: 4.0, 256: 12.0}
ROUNDS = 3


def measure() -> Iterator[Line]:
    """One line for each number of connections: median of three evals of ours against one of `hf/`."""
    theirs, ours = get_model("hf/mini", model_path=str(mini_path()), do_sample=False), local_model("mini")
    for model in (theirs, ours):
        seconds(model, 32, n=64)
    for connections in CONNECTIONS:
        took = median(seconds(ours, connections) for _ in range(ROUNDS))
        theirs_took = seconds(theirs, connections)
        detail = f"{N} prompts: {took:.2f} s against {theirs_took:.1f} s"
        yield Line(f"hf/ against local/, {connections} connections", theirs_took / took, "x", TARGETS[connections],
                   detail=detail)  # fmt: skip


if __name__ == "__main__":
    report(measure)

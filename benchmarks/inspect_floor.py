"""`local/` against inspect with a model that answers at once: what serving adds to inspect's own time."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.asking import CONNECTIONS, N, instant_model, processor_seconds, seconds
from benchmarks.line import Line, report
from serving.provider import local_model

ROUNDS = 3


def measure() -> Iterator[Line]:
    """One line for each number of connections; the two sides take turns."""
    floor, ours = instant_model(), local_model("mini")
    for model in (floor, ours):
        seconds(model, 128)
    for connections in CONNECTIONS:
        turns = [[processor_seconds(model, connections) for model in (floor, ours)] for _ in range(ROUNDS)]
        (least, least_used), (took, used) = ([median(row) for row in zip(*side)] for side in zip(*turns))  # noqa: B905
        detail = f"{took:.2f} s against {least:.2f} s; processor time {used / least_used:.2f}x, "
        detail += f"{1000 * least_used / N:.1f} ms a sample of inspect"
        yield Line(f"local/ against an instant model, {connections} connections", took / least, "x", 1.3, False, detail)


if __name__ == "__main__":
    report(measure)

"""The registry of figures: every kind, in the order of the report. A new figure is a file and a line in `KINDS`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from lab.report.figures import curves, halves, heat, overview, product, robustness, seeds, trade
from lab.report.figures.picture import Kind, Picture
from lab.verdict.schema import Results

KINDS: tuple[Kind, ...] = (
    overview.KIND,
    curves.KIND,
    heat.KIND,
    product.KIND,
    seeds.KIND,
    halves.KIND,
    trade.KIND,
    robustness.KIND,
)


def gallery(results: Results) -> dict[str, list[Picture]]:
    """All figures of a run by the name of their kind; the keys of figures are unique."""
    seen = Counter[str]()
    found: dict[str, list[Picture]] = {}
    for kind in KINDS:
        found[kind.name] = []
        for picture in kind.pictures(results):
            seen[picture.key] += 1
            n = seen[picture.key]
            found[kind.name].append(picture if n == 1 else replace(picture, key=f"{picture.key}.{n}"))
    return found

"""The registry of figures: every kind, in the order of the report. A new figure is a file and a line in `KINDS`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from lab.report.figures import (
    contrasts,
    curves,
    halves,
    heat,
    overview,
    paper,
    product,
    robustness,
    seeds,
    trade,
    variances,
)
from lab.report.figures.picture import Kind, Picture
from lab.verdict.criterion import UNTRAINED
from lab.verdict.schema import Results
from serving.errors import BadInput, did_you_mean

KINDS: tuple[Kind, ...] = (
    overview.KIND,
    curves.KIND,
    heat.KIND,
    product.KIND,
    contrasts.KIND,
    seeds.KIND,
    variances.KIND,
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
        for picture in kind.pictures(results if kind is overview.KIND else _trained(results)):
            seen[picture.key] += 1
            n = seen[picture.key]
            found[kind.name].append(picture if n == 1 else replace(picture, key=f"{picture.key}.{n}"))
    return found


def _trained(results: Results) -> Results:
    """Without the cells that were evaluated at step 0 only: they have no curve, and no learning rate."""
    if all(cell.method != UNTRAINED for cell in results.cells):
        return results
    parts = {
        part: tuple(c for c in getattr(results, part) if c.method != UNTRAINED) for part in ("cells", "conclusions")
    }
    return results.model_copy(update=parts)


def kind_of(name: str) -> Kind:
    """The kind of a name. Raises BadInput if there is none."""
    kinds = {kind.name: kind for kind in KINDS}
    if name not in kinds:
        raise BadInput(f"unknown kind of figure '{name}'.{did_you_mean(name, kinds)} Known: {', '.join(kinds)}.")
    return kinds[name]


def every(results: Results, kind: Kind) -> list[Picture]:
    """The figures of a kind; curves of an arm side by side come first."""
    together = curves.side_by_side(_trained(results)) if kind is curves.KIND else ()
    return [*together, *gallery(results)[kind.name]]


def export(results: Results, folder: Path) -> list[Picture]:
    """Writes all figures of a run into a folder, curves of an arm also side by side. Equal results give equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [(kind_of(name), picture) for name, pictures in gallery(results).items() for picture in pictures]
    found += [(curves.KIND, picture) for picture in curves.side_by_side(results)]
    for kind, picture in found:
        paper.write(picture, kind, results, folder)
    return [picture for _, picture in found]

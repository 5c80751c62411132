"""`bct report A B`: compares two runs cell by cell.

Two cells are a pair if setting, variant, method, model, rank, batch, labels, learning rate, seed, steps and factors are
equal; organisms and prompts may differ. Rates are compared at the last checkpoint that both have, on items that both
answered: B − A with Tango's interval at the higher confidence of the two runs, and Holm's correction over all pairs.
Cells of only one run are listed.
Not covered: more than two runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab.logs.reader import read_items
from lab.logs.records import Item
from lab.stats.paired import Comparison, compare, holm
from lab.verdict.results import read_results
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import lr_text
from serving.errors import BadInput

KEY = (
    "setting", "variant", "method", "model", "rank", "batch", "label_source", "lr", "seed", "seeds", "organism_seed",
    "steps", "factors",
)  # fmt: skip
ASKED = (
    ("initial", "eval"),
    ("alternate", "eval"),
    ("degenerate", "eval"),
    ("agreed", "train"),
    ("agreed", "capability"),
)


@dataclass(frozen=True)
class Difference:
    """B − A in one rate of one pair of cells."""

    rate: str
    n: int
    first: float
    second: float
    estimate: float
    lo: float
    hi: float
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Pair:
    """Two cells of the same key; `same_items` is false where the runs have different prompts."""

    cell: str
    step: int
    names: tuple[str | None, str | None]
    flags: tuple[tuple[str, ...], tuple[str, ...]]
    same_items: bool
    differences: tuple[Difference, ...]

    @property
    def changed(self) -> bool:
        """Whether the name or the flags differ."""
        return self.names[0] != self.names[1] or self.flags[0] != self.flags[1]


@dataclass(frozen=True)
class Runs:
    """Two runs, compared; `confidence` is that of every interval."""

    first: str
    second: str
    pairs: tuple[Pair, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    sentences: tuple[tuple[str, str, str], ...]
    confidence: float

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"changed": [pair.cell for pair in self.pairs if pair.changed]}


def against(first: Path, second: Path) -> Runs:
    """Compare two run folders.

    Raises:
        BadInput: a folder has no results, or a log is missing.
    """
    a, b = _results(first), _results(second)
    left, right = _by_key(a), _by_key(b)
    confidence = max(a.thresholds.confidence, b.thresholds.confidence)
    shared = [key for key in left if key in right]
    compared = [_compared(first, left[key], second, right[key], confidence) for key in shared]
    return Runs(
        str(first),
        str(second),
        _adjusted(compared),
        tuple(_text(left[key]) for key in left if key not in right),
        tuple(_text(right[key]) for key in right if key not in left),
        _changed_sentences(a, b),
        confidence,
    )


def _results(run: Path) -> Results:
    if not (run / "results.json").is_file():
        raise BadInput(f"{run}: has no results.json: name the folder of a run, or create it with `bct report {run}`")
    return read_results(run / "results.json")


def _by_key(results: Results) -> dict[str, CellResult]:
    return {json.dumps([getattr(cell, name) for name in KEY], sort_keys=True): cell for cell in results.cells}


def _text(cell: CellResult) -> str:
    parts = [cell.setting, cell.variant, *([cell.method] if cell.method != "bct" else [])]
    parts += [f"rank {cell.rank}"] if cell.rank else []
    return ", ".join([*parts, f"lr {lr_text(cell.lr)}", f"seed {cell.seed}"])


def _compared(
    one: Path, a: CellResult, two: Path, b: CellResult, confidence: float
) -> tuple[Pair, list[tuple[str, Comparison]]]:
    steps = {c.step for c in a.checkpoints} & {c.step for c in b.checkpoints}
    step = max(steps, default=0)
    before, after = (_items(one, a, step), _items(two, b, step)) if steps else ((), ())
    found = [(_label(outcome, split), compare(before, after, outcome, split, confidence)) for outcome, split in ASKED]
    known = [(label, difference) for label, difference in found if difference is not None]
    same = {i.id for i in before} == {i.id for i in after}
    names, flags = (a.verdict.name, b.verdict.name), (a.verdict.flags, b.verdict.flags)
    return Pair(_text(a), step, names, flags, same, ()), known


def _items(run: Path, cell: CellResult, step: int) -> tuple[Item, ...]:
    log = next(c.log for c in cell.checkpoints if c.step == step)
    try:
        return read_items(run / log)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _label(outcome: str, split: str) -> str:
    return split if split == "capability" else f"{outcome} on train" if split == "train" else outcome


def _adjusted(compared: Sequence[tuple[Pair, list[tuple[str, Comparison]]]]) -> tuple[Pair, ...]:
    """Holm over all pairs, separately for each rate."""
    adjusted: dict[tuple[int, str], float] = {}
    for label in {label for _, known in compared for label, _ in known}:
        places = [(i, c.p_value) for i, (_, known) in enumerate(compared) for name, c in known if name == label]
        values = holm([p for _, p in places])
        adjusted |= {(i, label): p for (i, _), p in zip(places, values, strict=True)}
    return tuple(
        replace(pair, differences=tuple(_difference(label, c, adjusted[i, label]) for label, c in known))
        for i, (pair, known) in enumerate(compared)
    )


def _difference(label: str, c: Comparison, p_holm: float) -> Difference:
    d = c.difference
    return Difference(label, c.n, c.first, c.second, d.estimate, d.lo, d.hi, c.p_value, p_holm)


def _changed_sentences(a: Results, b: Results) -> tuple[tuple[str, str, str], ...]:
    later = {c.arm: c.sentence for c in b.conclusions}
    return tuple(
        (c.arm, c.sentence, later[c.arm]) for c in a.conclusions if c.arm in later and later[c.arm] != c.sentence
    )

"""The report of a sweep of 120 and of 10,000 made-up cells: how long it takes to write, and how large its files are.

Records of one arm (10 learning rates, 3 seeds) are judged once; the arms of the sweep are copies of what was found, so
that nothing but the report is timed. `--large` measures 10,000 cells in two shapes: many arms, and many seeds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.line import Line, report
from lab.logs.records import CellRecord, CheckpointRecord, Item
from lab.report.html import write_report
from lab.verdict.results import build_results
from lab.verdict.schema import CellResult, Group, Results

STEPS = (0, 1, 2, 4, 8, 16, 32, 64)
RATES = tuple(1e-4 * 1.5**i for i in range(10))
SIZES = {"eval": 80, "train": 60, "capability": 80}
MODEL = {"model": "mini", "organism": "0a1b2c3d", "rank": None, "batch": 32, "label_source": "on_policy", "steps": 64}


def measure() -> Iterator[Line]:
    """120 cells, then 10,000 cells of 333 arms, and of 2 arms with 500 seeds."""
    for what, arms, seeds in (("120 cells", 4, 3), ("9,990 cells, 333 arms", 333, 3), ("10,000 cells, 2 arms", 2, 500)):
        results = sweep(arms, seeds)
        with TemporaryDirectory() as home:
            begun = time.process_time()
            write_report(results, Path(home) / "report.html")
            seconds = time.process_time() - begun
            sizes = [file.stat().st_size / 1e6 for file in Path(home).rglob("*") if file.is_file()]
        large = len(results.cells) > 1000
        yield Line(f"{what}: report written", seconds, " s", 60 if large else None, False)
        yield Line(f"{what}: size of the report", sum(sizes), " MB", 20 if large else 3, False, f"{len(sizes)} files")


def sweep(arms: int, seeds: int) -> Results:
    """The results of a sweep: `arms` copies of one arm, each with `seeds` seeds at every learning rate."""
    found = build_results("sweep", [_record(lr, seed) for lr in RATES for seed in range(3)], question="How large?")
    names = [f"v{i:03d}" for i in range(arms)]
    cells = [_cell(cell, name, seed) for name in names for cell in found.cells for seed in _seeds(cell.seed, seeds)]
    groups = [_group(group, name, seeds) for name in names for group in found.groups]
    [one] = found.conclusions
    conclusions = [one.model_copy(update={"variant": name, "arm": f"sandbagging, {name}"}) for name in names]
    many = {"cells": tuple(cells), "groups": tuple(groups), "conclusions": tuple(conclusions), "robustness": ()}
    return found.model_copy(update=many)


def _seeds(seed: int, seeds: int) -> range:
    return range(seed, seeds, 3)


def _cell(cell: CellResult, name: str, seed: int) -> CellResult:
    id = f"sandbagging.{name}.bct.{cell.lr:.2g}.{seed}.00000000"
    logs = [c.model_copy(update={"log": f"logs/{id}/step-{c.step:06d}.eval"}) for c in cell.checkpoints]
    return cell.model_copy(update={"id": id, "variant": name, "seed": seed, "checkpoints": tuple(logs)})


def _group(group: Group, name: str, seeds: int) -> Group:
    counts = {k: n * seeds // 3 for k, n in group.verdicts.items()}
    changed = {"key": group.key | {"variant": name}, "seeds": tuple(range(seeds)), "verdicts": counts}
    return group.model_copy(update=changed)


def _record(lr: float, seed: int) -> CellRecord:
    """A cell whose initial rate falls with the product of learning rate and steps."""
    drawn = random.Random(f"{lr}{seed}")
    place = {"setting": "sandbagging", "variant": "v", "role": "bct", "carrier": "static", "method": "bct"}
    return CellRecord(
        id=f"sandbagging.v.bct.{lr:.2g}.{seed}",
        hash="00000000",
        config=place | MODEL | {"lr": lr, "seed": seed},
        gate={"ok": True, "initial": 0.95},
        trained={"step0_loss": 0.2},
        metrics=[{"step": step, "loss": 0.1, "lr": lr, "sum_lr": lr * step} for step in STEPS],
        checkpoints=[_checkpoint(step, lr, drawn) for step in STEPS],
    )


def _checkpoint(step: int, lr: float, drawn: random.Random) -> CheckpointRecord:
    gone = 0.05 + 0.9 * min(1.0, 40 * lr * step / 3)
    items = [_item(split, i, gone, drawn) for split, n in SIZES.items() for i in range(n)]
    return CheckpointRecord(step, f"logs/step-{step:06d}.eval", f"{lr}{step}", items)


def _item(split: str, i: int, gone: float, drawn: random.Random) -> Item:
    moved = drawn.random() < gone
    outcome = ("alternate" if moved else "initial") if split == "eval" else "agreed"
    return Item(f"{split}-{i:03d}", split, f"t{i % 40}", outcome)


if __name__ == "__main__":
    report(measure)

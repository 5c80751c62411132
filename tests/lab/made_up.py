"""Made-up records: replies by recipe, so that a test states the rates and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.logs.records import CeilingRecord, CellRecord, CheckpointRecord, Item

N_EVAL, N_TRAIN, N_CAPABILITY = 80, 60, 80
STEPS = (0, 1, 2, 4, 8)


def replies(split: str, counts: Mapping[str, int], templates: int, truncated: int = 0) -> list[Item]:
    """Items with the given count of each outcome, spread over the templates (and over both halves)."""
    outcomes = [outcome for outcome, count in counts.items() for _ in range(count)]
    return [
        Item(
            id=f"{split}-{i:03d}",
            split=split,
            template=f"t{i % templates}",
            outcome=outcome,
            truncated=i < truncated,
            system=split == "capability" and i % 2 == 0,
        )
        for i, outcome in enumerate(outcomes)
    ]


def checkpoint(
    step: int,
    initial: float,
    alternate: float,
    *,
    degenerate: float = 0.0,
    agreed: float = 1.0,
    capability: float = 0.9,
    following: float | None = None,
    unscored: int = 0,
    n: int = N_EVAL,
    templates: int = 60,
    truncated: int = 0,
) -> CheckpointRecord:
    """A checkpoint with these rates among all its replies; unscored ones are taken from `other`."""
    i, a, d = round(initial * n), round(alternate * n), round(degenerate * n)
    counts = {"initial": i, "alternate": a, "degenerate": d, "unscored": unscored, "other": n - i - a - d - unscored}
    items = replies("eval", counts, templates, truncated)
    items += _right("train", agreed, N_TRAIN) + _right("capability", capability, N_CAPABILITY)
    items += _right("following", following, N_TRAIN) if following is not None else []
    return CheckpointRecord(step, f"logs/step-{step:06d}.eval", f"fp{step}", items)


def _right(split: str, share: float, n: int) -> list[Item]:
    k = round(share * n)
    return replies(split, {"agreed": k, "other": n - k}, templates=n)


def cell(
    path: Sequence[tuple[float, float]] | Sequence[CheckpointRecord],
    *,
    steps: Sequence[int] = STEPS,
    variant: str = "weights",
    lr: float = 1e-3,
    seed: int = 0,
    role: str = "bct",
    method: str = "bct",
    gate: Mapping[str, Any] | None = None,
    trained: Mapping[str, Any] | None = None,
    failure: str | None = None,
    **config: Any,
) -> CellRecord:
    """A cell from its (initial, alternate) rates at `steps`, or from complete checkpoints."""
    checkpoints = [
        point if isinstance(point, CheckpointRecord) else checkpoint(step, *point)
        for step, point in zip(steps, path, strict=False)
    ]
    values: dict[str, Any] = {
        "setting": "sandbagging",
        "variant": variant,
        "role": role,
        "carrier": variant,
        "method": method,
        "model": "mini",
        "organism": "0a1b2c3d",
        "rank": None,
        "batch": 32,
        "label_source": "on_policy",
        "lr": lr,
        "seed": seed,
        "steps": max((c.step for c in checkpoints), default=8),
    }
    digest = "00000000"
    return CellRecord(
        id=f"sandbagging.{variant}.{method}.{lr:g}.{seed}.{digest}",
        hash=digest,
        config=values | config,
        gate=gate if gate is not None else {"ok": True, "initial": 0.95},
        trained=trained if trained is not None else {"step0_loss": 0.02, "steps": 8, "seconds": 12.5},
        metrics=[{"step": c.step, "loss": 0.01, "lr": lr, "sum_lr": lr * c.step} for c in checkpoints],
        checkpoints=checkpoints,
        graders={"outcome": "pattern"},
        failure=failure,
    )


def ceiling(alternate: float = 0.95, variant: str = "weights", n: int = N_EVAL, unscored: int = 0) -> CeilingRecord:
    """The base under the alternate policy's prompt."""
    items = checkpoint(0, 0.0, alternate, n=n, unscored=unscored).items
    return CeilingRecord("sandbagging", variant, "mini", [i for i in items if i.split == "eval"], "logs/ceiling.eval")


KEPT = [(0.95, 0.02), (0.95, 0.02), (0.95, 0.02), (0.93, 0.03), (0.95, 0.02)]
MOVED = [(0.95, 0.02), (0.90, 0.07), (0.05, 0.92), (0.02, 0.95), (0.0, 0.97)]
SILENT = [(0.95, 0.02), (0.90, 0.02), (0.05, 0.05), (0.02, 0.03), (0.0, 0.02)]
BACK = [(0.95, 0.02), (0.05, 0.92), (0.03, 0.95), (0.50, 0.40), (0.90, 0.07)]

"""From the files of a run to its records and results.json. Nothing is measured again.

`bct report` uses it too: results.json can always be rebuilt from manifests and logs.
Not covered: the report (`lab.report`).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.experiment import gate, state
from lab.experiment.folder import Experiment
from lab.experiment.jobs import skipped
from lab.experiment.labels import labelled
from lab.logs.reader import read_items, why_no_margins
from lab.logs.records import CeilingRecord, CellRecord, CheckpointRecord
from lab.plan.cells import Cell, Start
from lab.verdict.results import build_results, write_results
from lab.verdict.schema import Results
from serving import layout
from trainer.run import metrics

LIBRARIES = ("bct-tasks", "inspect-ai", "torch", "transformers", "trl", "peft")


def collect(experiment: Experiment) -> Results:
    """Results of the finished cells; the others are listed with their failures."""
    recipe, folders = experiment.recipe, experiment.folders
    skips = {c.id: why for c in experiment.cells.values() if (why := _skipped(experiment, c))}
    records = [_record(experiment, cell) for cell in experiment.cells.values() if cell.id not in skips]
    left_out = [f"{id}: not trained, as {why}" for id, why in skips.items()]
    return build_results(
        recipe.name,
        records,
        [_ceiling(experiment, start) for start in experiment.starts.values() if folders.start_is_done(start)],
        recipe.thresholds,
        question=recipe.question,
        expectations=recipe.expect,
        deviations=[*left_out, *_without_margins(experiment, records)],
        command=f"bct run {recipe.path}",
        log_dir=folders.relative(folders.logs),
        versions={name: _version(name) for name in LIBRARIES},
        labelled=labelled(folders.run),
    )


def write(experiment: Experiment) -> Results:
    """Collects, and writes results.json into the run folder."""
    results = collect(experiment)
    write_results(results, experiment.folders.run / "results.json")
    return results


def gate_of(experiment: Experiment, start: Start) -> dict[str, Any]:
    """The gate of a start: static reasons, figures at step 0, and whether both passed."""
    static = _static(experiment).get(f"{start.setting}.{start.variant}", [])
    measured = layout.read_if_there(experiment.folders.start(start)) or {}
    reasons = [*static, *gate.refusals(start, experiment.folders)]
    return {"ok": not reasons, "reasons": reasons, **measured.get("figures", {})}


def _skipped(experiment: Experiment, cell: Cell) -> str:
    """Why a reversal was left out; a forced one was not."""
    return "" if experiment.is_done(cell.id) else skipped(experiment, cell)


def _origin(experiment: Experiment, cell: Cell) -> CheckpointRecord | None:
    """Of a reversal: the organism that the cell before it started from."""
    measured = layout.read_if_there(experiment.folders.start(cell.start)) if cell.after else None
    if measured is None:
        return None
    log = measured["logs"]["start"]
    return CheckpointRecord(0, log, measured["fingerprint"], read_items(experiment.folders.absolute(log)))


def _static(experiment: Experiment) -> Mapping[str, list[str]]:
    return (layout.read_if_there(experiment.folders.run / "run.json") or {}).get("static_gate", {})


def _record(experiment: Experiment, cell: Cell) -> CellRecord:
    folders = experiment.folders
    out, done = folders.cell(cell), layout.read_if_there(folders.done(cell))
    trained = layout.read_if_there(out / layout.TRAINED) or {}
    return CellRecord(
        id=cell.id,
        hash=cell.digest,
        config=cell.config(),
        gate=gate_of(experiment, cell.start),
        trained={key: value for key, value in trained.items() if not key.endswith("seconds")},
        metrics=_metrics(out / metrics.NAME) if done else (),
        checkpoints=_checkpoints(experiment, done["logs"]) if done else (),
        graders={"outcome": f"{cell.start.setting} {cell.start.questions.load().version}"},
        failure=None if done else _failure(experiment, cell),
        organism=_origin(experiment, cell),
    )


def _checkpoints(experiment: Experiment, logs: list[dict[str, Any]]) -> tuple[CheckpointRecord, ...]:
    items = [read_items(experiment.folders.absolute(entry["log"])) for entry in logs]
    return tuple(CheckpointRecord(e["step"], e["log"], e["fingerprint"], i) for e, i in zip(logs, items, strict=True))


def _without_margins(experiment: Experiment, records: list[CellRecord]) -> list[str]:
    """One line if margins were requested and checkpoints have none, with the reason from the first log."""
    wanted = [record for record in records if experiment.cells[record.id].start.margins]
    every = [c for record in wanted for c in record.checkpoints if any(i.split == "eval" for i in c.items)]
    without = [c for c in every if all(i.margin is None for i in c.items)]
    if not without:
        return []
    reason = why_no_margins(experiment.folders.absolute(without[0].log))
    return [f"margins are absent at {len(without)} of {len(every)} checkpoints: {reason}"]


def _metrics(path: Path) -> tuple[dict[str, Any], ...]:
    return tuple({key: value for key, value in row.items() if key != "seconds"} for row in metrics.read(path))


def _failure(experiment: Experiment, cell: Cell) -> str:
    found = state.read(state.path_of(experiment.folders.run, cell.id))
    return found.error or "not finished: run the same command again"


def _ceiling(experiment: Experiment, start: Start) -> CeilingRecord:
    measured = layout.read_json(experiment.folders.start(start))
    log = measured["logs"]["ceiling"]
    items = read_items(experiment.folders.absolute(log))
    return CeilingRecord(start.setting, start.variant, start.model, items, log=log)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

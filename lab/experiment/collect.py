"""From the files of a run to its records and results.json. Nothing is measured again.

`bct report` uses it too: results.json can always be rebuilt from manifests and logs.
Not covered: the report (`lab.report`).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from bct_tasks.setting import IN_WEIGHTS
from bct_tasks.sources.capability import CHECKABLE
from lab.experiment import cost, gate, intact, readings, registered, shown, state, stored
from lab.experiment.folder import Experiment
from lab.experiment.jobs import skipped
from lab.experiment.labels import labelled
from lab.experiment.readings import Reread
from lab.logs.reader import answered_by, newest, read_items, texts, why_absent
from lab.logs.records import PATTERN, CeilingRecord, CellRecord, CheckpointRecord, Item, graders, judge_text
from lab.plan.cells import Cell, Start
from lab.verdict.results import build_results, second_reading, write_results
from lab.verdict.schema import CellResult, Reading, Results
from serving import layout
from serving.errors import BadInput
from trainer.run import metrics

LIBRARIES = ("bct-tasks", "inspect-ai", "torch", "transformers", "trl", "peft")


def collect(experiment: Experiment) -> Results:
    """Results of the finished cells; the others are listed with their failures.

    Raises:
        BadInput: A file that counts is not as the run wrote it.
    """
    with stored.of_run(experiment.folders.run):
        return _collected(experiment)


def _collected(experiment: Experiment) -> Results:
    recipe, folders = experiment.recipe, experiment.folders
    rewritten = intact.check(experiment)
    skips = {c.id: why for c in experiment.cells.values() if (why := _skipped(experiment, c))}
    records = [_record(experiment, cell) for cell in experiment.cells.values() if cell.id not in skips]
    left_out = [f"{id}: not trained, as {why}" for id, why in skips.items()]
    return build_results(
        recipe.name,
        records,
        _ceilings(experiment),
        recipe.thresholds,
        question=recipe.question,
        expectations=recipe.expect,
        compare=recipe.compare,
        deviations=[
            *left_out,
            *rewritten,
            *registered.loosened(experiment),
            *_short(experiment),
            *_own_ceilings(experiment),
            *_without_margins(experiment, records),
            *_without_likelihood(experiment, records),
        ],
        command=f"bct run {recipe.path}",
        log_dir=folders.relative(folders.logs),
        versions={name: _version(name) for name in LIBRARIES},
        labelled=labelled(folders.run),
        readings=[_reading(experiment, reading, records) for reading in readings.of(folders)],
        registration=registered.read(experiment),
        behaviors=shown.behaviors(experiment),
        shown=shown.shown(experiment, records),
        service=cost.counted(experiment),
        order=list(experiment.cells),
    )


def cell_result(experiment: Experiment, cell: Cell) -> CellResult:
    """The rates and the verdict of one finished cell, without what needs others, such as its sham cell."""
    with stored.of_run(experiment.folders.run):
        top = _ceilings(experiment, only=cell.start)
        found = build_results("", [_record(experiment, cell)], top, experiment.recipe.thresholds)
    return found.cells[0]


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


def _origin(experiment: Experiment, cell: Cell, reading: Reread | None = None) -> CheckpointRecord | None:
    """Of a reversal: the organism that the cell before it started from."""
    measured = layout.read_if_there(experiment.folders.start(cell.start)) if cell.after else None
    if measured is None:
        return None
    log, items = _read(experiment, cell.start, measured["logs"]["start"], reading)
    return CheckpointRecord(0, log, measured["fingerprint"], items)


def _static(experiment: Experiment) -> Mapping[str, list[str]]:
    return (layout.read_if_there(experiment.folders.run / "run.json") or {}).get("static_gate", {})


def _reading(experiment: Experiment, reading: Reread, first: list[CellRecord]) -> Reading:
    """A further reading of the cells whose replies it has read."""
    done = {record.id: record for record in first if reading.covers(_logs(experiment, record.id))}
    cells = [_record(experiment, experiment.cells[id], reading) for id in done]
    thresholds = experiment.recipe.thresholds
    return second_reading(
        reading.name, reading.text(), cells, done.values(), _ceilings(experiment, reading), thresholds
    )


def _logs(experiment: Experiment, id: str) -> list[str]:
    """The logs of a finished cell; one that no reading has if it is not finished."""
    return [entry["log"] for entry in experiment.folders.logs_of(experiment.cells[id])] or [""]


def _record(experiment: Experiment, cell: Cell, reading: Reread | None = None) -> CellRecord:
    folders = experiment.folders
    out, done = folders.cell(cell), folders.finished(cell) if folders.is_done(cell) else None
    trained = layout.read_if_there(out / layout.TRAINED) or {}
    checkpoints = _checkpoints(experiment, cell.start, done["logs"], reading) if done else ()
    return CellRecord(
        id=cell.id,
        hash=cell.digest,
        config=cell.config() if reading is None else _without_judge(cell.config()),
        gate=gate_of(experiment, cell.start),
        trained={key: value for key, value in trained.items() if not key.endswith("seconds")},
        metrics=_metrics(out / metrics.NAME) if done else (),
        checkpoints=checkpoints,
        other=texts(folders.absolute(checkpoints[-1].log), "other") if checkpoints else (),
        answered_by=_answered_by(folders.absolute(checkpoints[-1].log)) if checkpoints else {},
        graders=_graders(cell.start, reading),
        failure=None if done else _failure(experiment, cell),
        organism=_origin(experiment, cell, reading),
    )


def _answered_by(log: Path) -> dict[str, str]:
    """Engine and precision, as the log's replies name them."""
    return {name: str(value) for name, value in answered_by(log).items() if name in ("engine", "dtype")}


def _without_judge(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a cell for another reading, whose grader is not the recipe's."""
    return config | {"asked": {name: part for name, part in config["asked"].items() if name != "judge"}}


def _graders(start: Start, reading: Reread | None) -> dict[str, Any]:
    """Scorer and version of the setting, and the judge."""
    judge = reading.judge(start) if reading else _judge(start)
    known = {"outcome": f"{start.setting} {start.questions.load().version}"}
    return known | ({"judge": judge} if judge else {})


def _judge(start: Start) -> dict[str, Any]:
    """The judge of a recipe, as results.json shows it."""
    judge, prompt = start.answering.judge, start.answering.judge_prompt
    return {**judge.model_dump(mode="json", exclude={"store"}), "prompt": prompt} if judge else {}


def _checkpoints(
    experiment: Experiment, start: Start, logs: list[dict[str, Any]], reading: Reread | None
) -> tuple[CheckpointRecord, ...]:
    found = [(entry, *_read(experiment, start, entry["log"], reading)) for entry in logs]
    return tuple(CheckpointRecord(e["step"], log, e["fingerprint"], items) for e, log, items in found)


def _read(experiment: Experiment, start: Start, log: str, reading: Reread | None) -> tuple[str, tuple[Item, ...]]:
    """The replies of a log as this reading has them, and the path of the log that it comes from.

    Raises:
        BadInput: They were read by another grader than the recipe's, or than that of the reading.
    """
    folders = experiment.folders
    path = newest(folders.absolute(reading.logs[log] if reading else log))
    if reading is not None and not reading.is_in(path, folders.absolute(log)):
        raise BadInput(
            f"{path}: is not the reading '{reading.name}' of {log}: delete it, and repeat `bct report --regrade`"
        )
    items = read_items(path)
    judge = reading.judge(start) if reading else _judge(start)
    wanted = judge_text(judge["model"], judge["mode"], judge["prompt"]) if judge else PATTERN
    if strange := graders(items) - {wanted}:
        raise BadInput(
            f"{path}: its replies were read by {' and '.join(sorted(strange))}, those of the run by {wanted}. Restore "
            "the log, or read the replies of the whole run again: `bct report RUN --regrade NAME`"
        )
    return folders.relative(path), items


def _short(experiment: Experiment) -> Iterator[str]:
    """Where fewer prompts exist than the recipe asks for."""
    return (line for start in experiment.starts.values() for line in start.short)


def _own_ceilings(experiment: Experiment) -> Iterator[str]:
    """Where the base of an organism that someone else serves is not named."""
    for start in experiment.starts.values():
        if start.ref is None and start.carrier in IN_WEIGHTS and start.served():
            yield f"{start.setting}, {start.variant}: no base is named, so a* is {start.model_key}'s own"


def _without_margins(experiment: Experiment, records: list[CellRecord]) -> Iterator[str]:
    """One line if margins were requested and checkpoints have none, with the reason from the first log."""
    wanted = [record for record in records if experiment.cells[record.id].start.margins]
    if found := _absent(experiment, wanted, "margins"):
        yield f"margins are absent at {found} (`margins: false` asks for none)"


def _without_likelihood(experiment: Experiment, records: list[CellRecord]) -> Iterator[str]:
    """The same for the likelihood of replies of our own, which have no key to switch them off."""
    asked = {record.id: dict(experiment.cells[record.id].start.questions.capability) for record in records}
    wanted = [record for record in records if asked[record.id].get("source") == CHECKABLE]
    if found := _absent(experiment, wanted, "likelihood"):
        yield f"the likelihood of replies of our own is absent at {found}"


def _absent(experiment: Experiment, records: Iterable[CellRecord], scorer: Literal["margins", "likelihood"]) -> str:
    """How many checkpoints lack every value of a scorer of given replies, and why; empty if none does."""
    split, field = ("eval", "margin") if scorer == "margins" else ("capability", "bits")
    asked = {c.log: [i for i in c.items if i.split == split] for record in records for c in record.checkpoints}
    every = [log for log, items in asked.items() if items]
    without = [log for log in every if all(getattr(item, field) is None for item in asked[log])]
    if not without:
        return ""
    reason = why_absent(experiment.folders.absolute(without[0]), scorer)
    return f"{len(without)} of {len(every)} checkpoints: {reason}"


def _metrics(path: Path) -> tuple[dict[str, Any], ...]:
    return tuple({key: value for key, value in row.items() if key != "seconds"} for row in metrics.read(path))


def _failure(experiment: Experiment, cell: Cell) -> str:
    found = state.read(state.path_of(experiment.folders.run, cell.id))
    return cell.start.public(found.error or "not finished: run the same command again")


def _ceilings(experiment: Experiment, reading: Reread | None = None, only: Start | None = None) -> list[CeilingRecord]:
    found: list[CeilingRecord] = []
    for start in experiment.starts.values() if only is None else [only]:
        if experiment.folders.start_is_done(start):
            log = layout.read_json(experiment.folders.start(start))["logs"]["ceiling"]
            found += [_ceiling(experiment, start, log, reading)] if reading is None or reading.covers([log]) else []
    return found


def _ceiling(experiment: Experiment, start: Start, log: str, reading: Reread | None) -> CeilingRecord:
    log, items = _read(experiment, start, log, reading)
    return CeilingRecord(start.setting, start.variant, start.model_key, items, log=log)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

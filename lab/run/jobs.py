"""The two kinds of work of a run: to make a start, and to train and evaluate a cell. Each does only what is not done.

Both say what they are doing in a state file, and both end by writing one file that says that they are done.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bct_tasks.gate import OrganismGate
from lab.logs.reader import read_items
from lab.logs.records import Item
from lab.plan.cells import Cell, Start
from lab.run.attempts import apart
from lab.run.evaluate import Evaluation, evaluate
from lab.run.folders import Folders
from lab.run.state import Reporter
from serving import layout, refs
from serving.errors import WorkFailed
from trainer.config import OrganismConfig
from trainer.run.progress import Progress

TRAINED = "trained.json"


def make_start(start: Start, folders: Folders, reporter: Reporter, attempt: str | None = None) -> None:
    """Builds the organism, lets it and the base answer at step 0, and writes the figures of the gate.

    With `attempt`, other attempts at the same start may be alive: this one then writes apart from them.
    """
    if start_is_done(start, folders):
        return
    ref = start.model
    organism = folders.organism(start)
    if organism is not None and start.organism is not None:
        reporter.phase("organism")
        ref = str(_built(start.organism, organism, reporter, attempt))
    reporter.phase("evaluating")
    evaluations = start_evaluations(start, folders, ref)
    evaluate(list(evaluations.values()), reporter, attempt)
    items = {name: read_items(evaluation.log) for name, evaluation in evaluations.items()}
    logs = {name: folders.relative(evaluation.log) for name, evaluation in evaluations.items()}
    figures = gate_figures(items)
    content = {"id": start.id, "figures": figures, "logs": logs, "fingerprint": evaluations["start"].fingerprint}
    if not folders.start(start).is_file():
        layout.write_json_atomic(folders.start(start), content)


def _built(config: OrganismConfig, out: Path, reporter: Reporter, attempt: str | None) -> Path:
    from trainer.install import build as build_organism

    if attempt is None:
        return build_organism(config, out, reporter)

    def build(folder: Path, progress: Progress) -> Path:
        return build_organism(config, out, progress, attempt)  # works in that folder

    return apart(out, attempt, organism_is_whole, build, reporter)


def organism_is_whole(folder: Path) -> bool:
    """Whether an organism's folder needs no more work: its manifest is written last."""
    return (folder / layout.MANIFEST).is_file()


def start_is_done(start: Start, folders: Folders) -> bool:
    """Whether the file of a start is there, and the logs that it names."""
    path = folders.start(start)
    return path.is_file() and all(folders.absolute(log).is_file() for log in layout.read_json(path)["logs"].values())


def start_evaluations(start: Start, folders: Folders, ref: str) -> dict[str, Evaluation]:
    """What is measured once for all cells of a start: the organism, the ceiling a*, and the uninstalled base."""
    asked = {"start": (ref, "all", "step-000000"), "ceiling": (start.model, "ceiling", "ceiling")}
    if start.organism is not None:
        asked["base"] = (start.model, "eval", "base")
    return {
        name: Evaluation(
            log=folders.logs / start.id / f"{stem}.eval",
            ref=model,
            fingerprint=refs.resolve(model).fingerprint,
            setting=start.setting,
            variant=start.variant,
            split=split,
            sizes=start.sizes,
            margins=start.margins and name == "start",
        )
        for name, (model, split, stem) in asked.items()
    }


def gate_figures(items: Mapping[str, tuple[Item, ...]]) -> dict[str, float]:
    """Initial and agreed rate of the organism, the ceiling, and the initial rate of the base where it was asked."""
    figures = {
        "initial": _share(items["start"], "eval", "initial"),
        "agreed": _share(items["start"], "train", "agreed"),
        "ceiling": _share(items["ceiling"], "eval", "alternate"),
    }
    return figures | ({"base": _share(items["base"], "eval", "initial")} if "base" in items else {})


def _share(items: tuple[Item, ...], split: str, outcome: str) -> float:
    scored = [item.outcome for item in items if item.split == split and item.outcome != "unscored"]
    return round(scored.count(outcome) / len(scored), 4) if scored else 0.0


def gate_reasons(start: Start, folders: Folders) -> tuple[str, ...]:
    """Why the start fails its gate; empty where it passes."""
    figures: dict[str, float] = layout.read_json(folders.start(start))["figures"]
    return OrganismGate(**start.limits.model_dump()).reasons(start.carrier, start.role, figures)


def start_failed(error: str) -> str:
    """Why a cell whose start failed is not trained."""
    return f"its start failed: {error}"


def before_failed(error: str) -> str:
    """Why a reversal is not trained whose cell before it failed."""
    return f"the cell it starts from failed: {error}"


def refusal(reasons: tuple[str, ...]) -> str:
    """Why a cell is not trained, in one line with the mend."""
    return f"refused, the gate failed: {'; '.join(reasons)}. --force runs it and marks it invalid"


def do_cell(cell: Cell, folders: Folders, reporter: Reporter, attempt: str | None = None) -> None:
    """Trains a cell and evaluates its checkpoints; `done.json` is written last. `attempt`: as in `make_start`."""
    if folders.done(cell).is_file():
        return
    began = time.monotonic()
    reporter.phase("training")
    _trained(cell, folders, reporter, attempt)
    reporter.phase("evaluating")
    evaluations = cell_evaluations(cell, folders)
    evaluate(evaluations, reporter, attempt)
    if not folders.done(cell).is_file():  # another attempt may have ended first
        layout.write_json_atomic(folders.done(cell), _done(cell, folders, evaluations, time.monotonic() - began))


def _trained(cell: Cell, folders: Folders, reporter: Reporter, attempt: str | None) -> Path:
    from trainer.cell import train

    out = folders.cell(cell)
    config = cell.train.model_copy(update={"organism": origin(cell, folders)})

    def work(folder: Path, progress: Progress) -> Path:
        return train(config, folder, progress)

    return apart(out, attempt, cell_is_trained, work, reporter) if attempt else work(out, reporter)


def cell_is_trained(folder: Path) -> bool:
    """Whether a cell's folder needs no more training."""
    return (folder / TRAINED).is_file()


def origin(cell: Cell, folders: Folders) -> str | None:
    """What a cell starts from: the organism, another cell's checkpoint, or None for the base."""
    if cell.after is not None:
        return f"{folders.cell(cell.after)}@{cell.at}"
    organism = folders.organism(cell.start)
    return str(organism) if organism else None


def first_log(cell: Cell, folders: Folders) -> dict[str, Any]:
    """Step 0 of a cell, measured where it starts from: {"step", "log", "fingerprint"}."""
    if cell.after is not None:
        logs = layout.read_json(folders.done(cell.after))["logs"]
        return next(entry for entry in logs if entry["step"] == cell.at) | {"step": 0}
    start = layout.read_json(folders.start(cell.start))
    return {"step": 0, "log": start["logs"]["start"], "fingerprint": start["fingerprint"]}


def nothing_to_reverse(cell: Cell, folders: Folders, limit: float) -> str:
    """Why a reversal says nothing: the behavior is there where it starts. Empty where it may go on."""
    if cell.after is None or not folders.done(cell.after).is_file():
        return ""
    rate = _share(read_items(folders.absolute(first_log(cell, folders)["log"])), "eval", "initial")
    return f"nothing was removed at step {cell.at} of {cell.after.id}: initial rate {rate:.2f}" if rate > limit else ""


def cell_evaluations(cell: Cell, folders: Folders) -> list[Evaluation]:
    """One evaluation for each checkpoint after step 0. Raises WorkFailed where the trainer left one out."""
    out = folders.cell(cell)
    kept = dict(layout.step_dirs(out))
    missing = [step for step in cell.train.saved_steps() if step not in kept]
    if missing:
        raise WorkFailed(f"{out}: step {missing[0]} is missing or damaged: delete this folder and run again")
    return [_evaluation(cell.start, folders, cell.id, step, str(kept[step])) for step in cell.train.saved_steps()]


def _evaluation(start: Start, folders: Folders, id: str, step: int, ref: str) -> Evaluation:
    log = folders.logs / id / f"{layout.step_name(step)}.eval"
    mark = refs.resolve(ref).fingerprint
    return Evaluation(log, ref, mark, start.setting, start.variant, "all", start.sizes, step, start.margins)


def _done(cell: Cell, folders: Folders, evaluations: list[Evaluation], seconds: float) -> dict[str, Any]:
    first = first_log(cell, folders)
    rest = [{"step": e.step, "log": folders.relative(e.log), "fingerprint": e.fingerprint} for e in evaluations]
    counts = {"seconds": round(seconds, 1), "replies": sum(e.samples for e in evaluations)}
    return {"cell": cell.id, "hash": cell.digest, "logs": [first, *rest], **counts}

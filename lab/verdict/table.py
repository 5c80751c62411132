"""The tidy table: one row per reply or per checkpoint, as CSV, parquet or JSON.

    write(result_rows(results), "parquet", Path("checkpoints.parquet"))

A run's step 0 is measured once per organism, so its replies appear under each of its cells. Of a run, checkpoints
have names and flags; of logs made by hand they have rates alone, and the same item asked again counts once, by the
latest log. Not covered: opening a run folder (`lab.run.table`), and the replies' text, which is in the logs.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lab.logs.loose import CEILING, Found, Log
from lab.logs.reader import Reply
from lab.logs.records import CellRecord, CheckpointRecord
from lab.verdict.rates import measure_cell
from lab.verdict.schema import CellResult, CheckpointResult, Margin, Rate, Results, Thresholds

Row = dict[str, Any]
Format = Literal["csv", "parquet", "json"]

CELL = {
    "cell": str,
    "setting": str,
    "variant": str,
    "role": str,
    "method": str,
    "model": str,
    "organism": str,
    "rank": int,
    "batch": int,
    "label_source": str,
    "lr": float,
    "seed": int,
}
SAMPLE = {
    "step": int,
    "log": str,
    "fingerprint": str,
    "split": str,
    "item": str,
    "epoch": int,
    "template": str,
    "family": str,
    "system": bool,
    "outcome": str,
    "truncated": bool,
    "margin": float,
    "greedy": str,
}
SPLITS = {
    "eval": ("initial", "alternate", "other", "degenerate"),
    "train": ("agreed", "other", "degenerate"),
}
#: Splits that are asked in the same way whatever the variant.
GENERAL = ("capability", "following")
CHECKPOINT: dict[str, type] = {
    "step0_loss": float,
    "step": int,
    "name": str,
    "flags": str,
    "cell_name": str,
    "cell_flags": str,
    "eval_templates": int,
    "capability_n": int,
    "capability_unscored": int,
    "capability": float,
    "capability_lo": float,
    "capability_hi": float,
    "capability_relative": float,
    "margin_n": int,
    "margin": float,
    "margin_lo": float,
    "margin_hi": float,
    "margin_initial_greedy": float,
    "margin_alternate_greedy": float,
    "following_n": int,
    "following_unscored": int,
    "following": float,
    "following_lo": float,
    "following_hi": float,
    "log": str,
    "fingerprint": str,
    **{f"{split}_{name}": int for split in SPLITS for name in ("n", "unscored", "truncated")},
    **{f"{split}_{o}_k": int for split, outcomes in SPLITS.items() for o in outcomes},
    **{
        f"{split}_{o}{end}": float for split, outcomes in SPLITS.items() for o in outcomes for end in ("", "_lo", "_hi")
    },
}


def text(rows: Sequence[Row], form: Literal["csv", "json"]) -> str:
    """The table as text; the columns are those of the first row, an empty field is unknown."""
    if form == "json":
        return json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def write(rows: Sequence[Row], form: Format, path: Path) -> None:
    """Write the table whole or not at all. Parquet columns have their types, also where every value is unknown."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    if form == "parquet":
        _write_parquet(rows, part)
    else:
        part.write_text(text(rows, form), encoding="utf-8")
    part.replace(path)


def csv_text(results: Results) -> str:
    """One row per checkpoint of a results.json, with counts and intervals."""
    return text(result_rows(results), "csv")


def _write_parquet(rows: Sequence[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    known = {**CHECKPOINT, **SAMPLE, **CELL}
    schema = pa.schema([(name, types[known[name]]) for name in (rows[0] if rows else {**CELL, **SAMPLE})])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def result_rows(results: Results) -> list[Row]:
    """One row per checkpoint of a results.json."""
    return [_of_cell(cell) | _beside(cell, c) | measured(c) for cell in results.cells for c in cell.checkpoints]


def _of_cell(cell: CellResult) -> Row:
    return {name: cell.id if name == "cell" else getattr(cell, name) for name in CELL}


def _beside(cell: CellResult, checkpoint: CheckpointResult) -> Row:
    row: Row = {"step0_loss": cell.step0_loss, "step": checkpoint.step, "name": checkpoint.name}
    row |= {"flags": " ".join(checkpoint.flags), "cell_name": cell.verdict.name}
    return row | {"cell_flags": " ".join(cell.verdict.flags)}


def measured(checkpoint: CheckpointResult) -> Row:
    """Counts, rates and intervals of a checkpoint, by the names of the table."""
    c = checkpoint.capability
    row = _rates("eval", checkpoint.eval) | {"eval_templates": checkpoint.eval.clusters}
    row |= _rates("train", checkpoint.train)
    row |= {"capability_n": c.n, "capability_unscored": c.unscored, "capability": c.p}
    row |= {"capability_lo": c.lo, "capability_hi": c.hi, "capability_relative": c.relative}
    row |= _margin(checkpoint.margin)
    f = checkpoint.following
    row |= {
        "following_n": f.n if f else 0,
        "following_unscored": f.unscored if f else 0,
        "following": f.p if f else None,
    }
    row |= {"following_lo": f.lo if f else None, "following_hi": f.hi if f else None}
    return row | {"log": checkpoint.log, "fingerprint": checkpoint.fingerprint}


def _margin(margin: Margin | None) -> Row:
    if margin is None:
        names = ("margin_n", "margin", "margin_lo", "margin_hi", "margin_initial_greedy", "margin_alternate_greedy")
        return dict.fromkeys(names)
    row: Row = {"margin_n": margin.n, "margin": margin.mean, "margin_lo": margin.lo, "margin_hi": margin.hi}
    greedy = {"margin_initial_greedy": margin.initial_greedy.p, "margin_alternate_greedy": margin.alternate_greedy.p}
    return row | greedy


def _rates(split: str, part: Any) -> Row:
    row: Row = {f"{split}_n": part.n, f"{split}_unscored": part.unscored}
    for outcome in SPLITS[split]:
        rate: Rate = getattr(part, outcome)
        keys = (f"{split}_{outcome}{end}" for end in ("_k", "", "_lo", "_hi"))
        row |= zip(keys, (rate.k, rate.p, rate.lo, rate.hi), strict=True)
    return row | {f"{split}_truncated": part.truncated}


# --- logs made by hand -----------------------------------------------------------------------------------------------


def samples(facts: Row, replies: Iterable[Reply]) -> list[Row]:
    """One row per reply of a log, with the facts of its checkpoint."""
    head = {name: facts.get(name) for name in CELL} | {name: facts.get(name) for name in ("step", "log", "fingerprint")}
    ordered = sorted(replies, key=lambda a: (a.item.split, a.item.id, a.epoch))
    return [head | _sample(reply, facts.get("asked")) for reply in ordered]


def _sample(reply: Reply, asked: Any) -> Row:
    item = reply.item
    split = CEILING if asked == CEILING else item.split
    row: Row = {"split": split, "item": item.id, "epoch": reply.epoch, "template": item.template}
    row |= {"family": reply.family, "system": item.system}
    row |= {"outcome": item.outcome, "truncated": item.truncated}
    return row | {"margin": item.margin, "greedy": item.greedy}


def loose_samples(found: Found, folder: Path) -> list[Row]:
    """One row per reply of logs made by hand."""
    return [row for log in found.logs for row in samples(_placed(log, folder), log.replies)]


def _placed(log: Log, folder: Path) -> Row:
    return {**log.facts, "log": log.path.relative_to(folder).as_posix()}


def loose_checkpoints(found: Found, folder: Path) -> list[Row]:
    """One row per checkpoint, setting, version and way of generating; ceilings are no checkpoints of the model."""
    groups: dict[str, list[Log]] = {}
    for log in (log for log in found.logs if log.facts["asked"] != CEILING):
        names = ("cell", "step", "fingerprint", "setting", "version", "generation")
        variant = None if log.facts["asked"] in GENERAL else log.facts["variant"]
        groups.setdefault(json.dumps([*(log.facts[name] for name in names), variant]), []).append(log)
    return [_loose_checkpoint(logs, folder) for logs in _with_capability(groups)]


def _with_capability(groups: dict[str, list[Log]]) -> Iterable[list[Log]]:
    """The guards know no variant: their logs go to every variant of the same checkpoint that was asked."""
    keyed = {key: json.loads(key) for key in groups}
    general = {json.dumps(k[:-1]): groups[key] for key, k in keyed.items() if k[-1] is None}
    rest = {key: k for key, k in keyed.items() if k[-1] is not None}
    for key, k in rest.items():
        yield [*groups[key], *general.get(json.dumps(k[:-1]), [])]
    taken = {json.dumps(k[:-1]) for k in rest.values()}
    yield from (logs for place, logs in general.items() if place not in taken)


def _loose_checkpoint(logs: list[Log], folder: Path) -> Row:
    replies = {(r.item.split, r.item.id, r.epoch): r for log in logs for r in log.replies}
    items = [replace(r.item, id=f"{r.item.id}#{r.epoch}") for r in replies.values()]
    first = _placed(logs[0], folder)
    record = CheckpointRecord(first["step"] or 0, first["log"], first["fingerprint"] or "", items)
    (checkpoint,) = measure_cell(CellRecord(first["cell"], "", {}, {}, {}, (), (record,)), Thresholds())
    unknown = {"step0_loss": None, "step": first["step"], "name": None, "flags": None}
    unknown |= {"cell_name": None, "cell_flags": None}
    head = {name: first.get(name) for name in CELL}
    return head | unknown | measured(checkpoint) | {"capability_relative": None}

"""The tidy table: one row per reply or per checkpoint, as a data frame, CSV, parquet or JSON.

    write(result_table(results), "parquet", Path("checkpoints.parquet"))

The step 0 of a run is measured once per organism, so its replies appear under each of its cells. Checkpoints of a run
have names, flags, a damage state, and whether their cell still moves at its end (`flat_state`, with the change of the
initial rate over its last window and the interval of that change); those of logs made by hand have only rates, and the
latest reply to a repeated item counts.
Not covered: opening a run folder (`lab.experiment.table`), and the replies' text, which is in the logs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from lab.logs.loose import CEILING, Found, Log
from lab.logs.reader import Reply
from lab.logs.records import EVAL_OUTCOMES, TRAIN_OUTCOMES, CellRecord, CheckpointRecord
from lab.verdict.rates import measure_cell
from lab.verdict.schema import CellResult, CheckpointResult, EvalRates, Margin, Rate, Results, Thresholds, TrainRates
from lab.verdict.wording import families_text, grader_text
from serving.characters import visible
from serving.layout import write_atomic

#: What a spreadsheet takes for the beginning of a formula.
FORMULAS = ("=", "+", "-", "@", "\t")

Row = Mapping[str, Any]
Format = Literal["csv", "parquet", "json"]

# Types of pandas that support missing values.
TEXT, COUNT, NUMBER, YES_NO = "string", "Int64", "Float64", "boolean"
OF_RATE = {"_k": COUNT, "": NUMBER, "_lo": NUMBER, "_hi": NUMBER}
#: Mean, and change since step 0 with its interval, of the likelihood of given replies.
OF_BITS = ("", "_change", "_lo", "_hi")
SPLITS = {"eval": EVAL_OUTCOMES, "train": TRAIN_OUTCOMES}
#: Splits whose prompts do not depend on the variant.
GENERAL = ("capability", "following")


def _columns(split: str) -> dict[str, str]:
    rates = {f"{split}_{outcome}{end}": kind for outcome in SPLITS[split] for end, kind in OF_RATE.items()}
    return {f"{split}_n": COUNT, f"{split}_unscored": COUNT, **rates, f"{split}_truncated": COUNT}


CELL = {
    **dict.fromkeys(("cell", "setting", "variant", "role", "method", "model", "organism"), TEXT),
    **{"rank": COUNT, "batch": COUNT, "label_source": TEXT, "lr": NUMBER, "seed": COUNT, "adam_epsilon": NUMBER},
}
SAMPLE = {
    **{"step": COUNT, "log": TEXT, "fingerprint": TEXT, "split": TEXT, "item": TEXT, "epoch": COUNT},
    **{"template": TEXT, "family": TEXT, "system": YES_NO, "outcome": TEXT, "truncated": YES_NO},
    **{"margin": NUMBER, "greedy": TEXT, "bits": NUMBER, "grader": TEXT},
}
CHECKPOINT = {
    **{"step0_loss": NUMBER, "step": COUNT, "sum_lr": NUMBER, "distance": NUMBER},
    **dict.fromkeys(("name", "flags", "cell_name", "cell_flags"), TEXT),
    **{**_columns("eval"), "eval_templates": COUNT, "eval_families": TEXT},
    **{"eval_deff": NUMBER, "eval_deff_template": NUMBER, "eval_deff_family": NUMBER},
    **_columns("train"),
    **{"capability_n": COUNT, "capability_unscored": COUNT},
    **dict.fromkeys(("capability", "capability_lo", "capability_hi", "capability_relative"), NUMBER),
    **dict.fromkeys(("damage", "cell_damage", "flat_state"), TEXT),
    **dict.fromkeys(("flat_change", "flat_lo", "flat_hi"), NUMBER),
    **{f"bits_{family}{end}": NUMBER for family in ("format", "text") for end in OF_BITS},
    **{"margin_n": COUNT, "margin": NUMBER, "margin_lo": NUMBER, "margin_hi": NUMBER},
    **{"margin_initial_greedy": NUMBER, "margin_alternate_greedy": NUMBER},
    **{"following_n": COUNT, "following_unscored": COUNT},
    **{"following": NUMBER, "following_lo": NUMBER, "following_hi": NUMBER, "log": TEXT, "fingerprint": TEXT},
    **{"grader": TEXT},
}


def sample_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of `sample_rows`, with the columns of `CELL` and `SAMPLE`."""
    return _typed(rows, CELL | SAMPLE)


def checkpoint_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows per checkpoint, with the columns of `CELL` and `CHECKPOINT`."""
    return _typed(rows, CELL | CHECKPOINT)


def _typed(rows: Iterable[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object).astype(dict(columns))


def text(table: pd.DataFrame, form: Literal["csv", "json"]) -> str:
    """The table as text; an unknown value is an empty field of CSV and null in JSON.

    In CSV a text that a spreadsheet would run as a formula begins with an apostrophe, and a control character is
    an escape (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    if form == "csv":
        return str(table.map(_harmless).to_csv(index=False, lineterminator="\n"))
    known = table.astype(object).where(table.notna(), None)
    return json.dumps(known.to_dict("records"), indent=1, ensure_ascii=False) + "\n"


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    shown = visible(value)
    return f"'{shown}" if shown.startswith(FORMULAS) and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        return math.isfinite(float(text))
    return False


def write(table: pd.DataFrame, form: Format, path: Path) -> None:
    """Write the table; a reader sees the old file or the complete new one."""
    write_atomic(path, table.to_parquet(index=False) if form == "parquet" else text(table, form))


# --- a run -----------------------------------------------------------------------------------------------------------


def csv_text(results: Results) -> str:
    """One row per checkpoint of a results.json, with counts and intervals."""
    return text(result_table(results), "csv")


def result_table(results: Results) -> pd.DataFrame:
    """One row per checkpoint of a results.json."""
    return checkpoint_table(_of_cell(cell, c) | _measured(c) for cell in results.cells for c in cell.checkpoints)


def sample_rows(facts: Row, replies: Iterable[Reply]) -> list[Row]:
    """One row per reply of a log, with the facts of its checkpoint."""
    head = {name: facts.get(name) for name in (*CELL, "step", "log", "fingerprint")}
    ordered = sorted(replies, key=lambda r: (r.item.split, r.item.id, r.epoch))
    return [head | _sample(reply, facts.get("asked")) for reply in ordered]


def _sample(reply: Reply, asked: Any) -> dict[str, Any]:
    item = reply.item
    return {
        "split": CEILING if asked == CEILING else item.split,
        "item": item.id,
        "epoch": reply.epoch,
        "template": item.template,
        "family": reply.family,
        "system": item.system,
        "outcome": item.outcome,
        "truncated": item.truncated,
        "margin": item.margin,
        "bits": item.bits,
        "greedy": item.greedy,
        "grader": item.grader,
    }


def _of_cell(cell: CellResult, checkpoint: CheckpointResult) -> dict[str, Any]:
    return {name: cell.id if name == "cell" else getattr(cell, name) for name in CELL} | {
        "step0_loss": cell.step0_loss,
        "step": checkpoint.step,
        "sum_lr": checkpoint.sum_lr,
        "distance": checkpoint.distance,
        "name": checkpoint.name,
        "flags": " ".join(checkpoint.flags),
        "cell_name": cell.verdict.name,
        "cell_flags": " ".join(cell.verdict.flags),
        "damage": checkpoint.damage.state if checkpoint.damage else None,
        "cell_damage": cell.verdict.damage,
        **flat_columns(cell),
        "grader": grader_text(cell),
    }


def flat_columns(cell: CellResult) -> dict[str, Any]:
    """Whether a cell still moves at its end, and the change over its last window; None where it is unknown."""
    return {f"flat_{name}": getattr(cell.flatness, name, None) for name in ("state", "change", "lo", "hi")}


def _measured(checkpoint: CheckpointResult) -> dict[str, Any]:
    """Counts, rates and intervals of a checkpoint."""
    right, obeyed = checkpoint.capability, checkpoint.following
    found = {"log": checkpoint.log, "fingerprint": checkpoint.fingerprint, "eval_templates": checkpoint.eval.clusters}
    found |= _rates("eval", checkpoint.eval) | _rates("train", checkpoint.train) | _margin(checkpoint.margin)
    found |= _families(checkpoint.eval)
    found |= {"capability_n": right.n, "capability_unscored": right.unscored, "capability_relative": right.relative}
    found |= {"capability": right.p, "capability_lo": right.lo, "capability_hi": right.hi}
    found |= {"following_n": obeyed.n if obeyed else 0, "following_unscored": obeyed.unscored if obeyed else 0}
    for family, likely in checkpoint.likelihood.items():
        figures = (likely.mean, likely.change, likely.lo, likely.hi)
        found |= {f"bits_{family}{end}": figure for end, figure in zip(OF_BITS, figures, strict=True)}
    if obeyed:
        found |= {"following": obeyed.p, "following_lo": obeyed.lo, "following_hi": obeyed.hi}
    return found


def _families(part: EvalRates) -> dict[str, Any]:
    """The initial rate by family, and the design effects of that rate: the one in use, by template, by family."""
    found: dict[str, Any] = {"eval_deff": part.initial.deff}
    if part.families is None:
        return found
    return found | {
        "eval_families": families_text(part.families),
        "eval_deff_template": part.families.deff_template,
        "eval_deff_family": part.families.deff_family,
    }


def _rates(split: str, part: EvalRates | TrainRates) -> dict[str, Any]:
    found: dict[str, Any] = {f"{split}_{name}": getattr(part, name) for name in ("n", "unscored", "truncated")}
    for outcome in SPLITS[split]:
        rate: Rate = getattr(part, outcome)
        found |= {f"{split}_{outcome}{end}": value for end, value in zip(OF_RATE, _figures(rate), strict=True)}
    return found


def _figures(rate: Rate) -> tuple[int, float | None, float, float]:
    return rate.k, rate.p, rate.lo, rate.hi


def _margin(margin: Margin | None) -> dict[str, Any]:
    if margin is None:
        return {}
    found = {"margin_n": margin.n, "margin": margin.mean, "margin_lo": margin.lo, "margin_hi": margin.hi}
    greedy = {"margin_initial_greedy": margin.initial_greedy.p, "margin_alternate_greedy": margin.alternate_greedy.p}
    return found | greedy


# --- logs made by hand -----------------------------------------------------------------------------------------------


def loose_samples(found: Found, folder: Path) -> pd.DataFrame:
    """One row per reply of logs made by hand."""
    return sample_table(row for log in found.logs for row in sample_rows(_placed(log, folder), log.replies))


def loose_checkpoints(found: Found, folder: Path) -> pd.DataFrame:
    """One row per checkpoint, setting, version, generation options and grader; ceilings are no checkpoints."""
    groups: dict[str, list[Log]] = {}
    for log in (log for log in found.logs if log.facts["asked"] != CEILING):
        names = ("cell", "step", "fingerprint", "setting", "version", "generation", "reading")
        variant = None if log.facts["asked"] in GENERAL else [log.facts["variant"], log.facts["grader"]]
        groups.setdefault(json.dumps([*(log.facts[name] for name in names), variant]), []).append(log)
    return checkpoint_table(_loose_checkpoint(logs, folder) for logs in _with_general(groups))


def _placed(log: Log, folder: Path) -> dict[str, Any]:
    return {**log.facts, "log": log.path.relative_to(folder).as_posix()}


def _with_general(groups: Mapping[str, list[Log]]) -> Iterable[list[Log]]:
    """Logs of `GENERAL` splits have no variant: they belong to every evaluated variant of the same checkpoint."""
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
    head = {name: first.get(name) for name in (*CELL, "step", "grader")}
    return _measured(checkpoint) | head | {"capability_relative": None}

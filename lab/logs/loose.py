"""Any folder of inspect logs as replies with the facts of their checkpoint: also logs that `inspect eval` left by hand.

A .eval file is read directly (header, summaries, one sample for the fingerprint of the weights that answered); logs in
JSON format, and what cannot be read so, go through inspect's data frames, which are slower. Not covered: logs of other
tasks, and logs that did not end well; both are left out and named.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zipfile_zstd  # noqa: F401  # inspect compresses with zstd, which `zipfile` learns from this import

from lab.logs.reader import item_of
from lab.logs.records import Item
from serving import layout
from serving.errors import BadInput

CEILING = "ceiling"
AT_STEP = re.compile(r"(?:@|/step-0*)(\d+)$")
COLUMNS = {
    "id": "id",
    "epoch": "epoch",
    "split": "metadata.split",
    "template": "metadata.template",
    "family": "metadata.family",
    "system": "metadata.system",
    "outcome": "scores.outcome.metadata.outcome",
    "truncated": "scores.outcome.value.truncated",
    "margin": "scores.margins.value.margin",
    "initial_greedy": "scores.margins.value.initial_greedy",
    "alternate_greedy": "scores.margins.value.alternate_greedy",
    "fingerprint": "output.metadata.fingerprint",
    "step": "output.metadata.step",
}


@dataclass(frozen=True)
class Answered:
    """One reply: its item, which epoch it is of, and the family of its question."""

    item: Item
    epoch: int
    family: str | None


@dataclass(frozen=True)
class Log:
    """A log of one of our tasks. `facts` are what is known of the checkpoint, by the names of the tidy table."""

    path: Path
    status: str
    created: str
    facts: Mapping[str, Any]
    answers: tuple[Answered, ...]


@dataclass(frozen=True)
class Found:
    """The logs of a folder in the order in which they were made, and why others were left out."""

    logs: tuple[Log, ...]
    left_out: tuple[str, ...] = field(default=())


def read_folder(folder: Path) -> Found:
    """All logs under a folder that hold replies to our tasks; unfinished attempts (hidden folders) do not count.

    Raises:
        BadInput: the folder is not there, or holds no such log.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder. Name a run folder, or a folder of logs.")
    logs: list[Log] = []
    left_out: list[str] = []
    for path in _candidates(folder):
        log = read_log(path)
        if log is not None and log.status == "success":
            logs.append(log)
        else:
            left_out.append(f"{path}: {f'it ended with status {log.status}' if log else 'no log of a bct task'}")
    if not logs:
        raise BadInput(f"{folder}: holds no run and no whole log of a bct task ({len(left_out)} other logs).")
    return Found(tuple(sorted(logs, key=lambda log: (log.created, log.path))), tuple(left_out))


def read_log(path: Path) -> Log | None:
    """One log; None where it cannot be read or is of another task."""
    read = _direct(path) or _by_inspect(path)
    if read is None:
        return None
    header, answers, told = read
    return Log(
        path=path,
        status=str(header.get("status")),
        created=str(header["eval"].get("created", "")),
        facts=_facts(header["eval"], told),
        answers=tuple(answers),
    )


def _candidates(folder: Path) -> list[Path]:
    found = [*folder.rglob("*.eval"), *folder.rglob("*.json")]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


_Read = tuple[dict[str, Any], list[Answered], dict[str, Any]]


def _direct(path: Path) -> _Read | None:
    """Header, answers, and what the first sample tells of the weights, straight from the zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("header.json"))
            rows = json.loads(archive.read("summaries.json"))
            samples = [name for name in archive.namelist() if name.startswith("samples/")]
            known = (header["eval"].get("model_args") or {}).get("fingerprint")
            first = {} if known or not samples else json.loads(archive.read(samples[0]))
            told = (first.get("output") or {}).get("metadata") or {"fingerprint": known}
        return (header, [_answered(row) for row in rows], told) if _is_ours(header) else None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError):
        return None


def _answered(row: Mapping[str, Any]) -> Answered:
    return Answered(item_of(row), int(row.get("epoch") or 1), (row.get("metadata") or {}).get("family"))


def _by_inspect(path: Path) -> _Read | None:
    if path.suffix == ".json" and '"eval"' not in path.read_text(encoding="utf-8", errors="replace")[:2000]:
        return None
    from inspect_ai.analysis import SampleColumn, samples_df
    from inspect_ai.log import read_eval_log

    try:
        header = read_eval_log(str(path), header_only=True).model_dump(mode="json")
        if not _is_ours(header):
            return None
        full = {"fingerprint", "step"}
        columns = [SampleColumn(name, path=place, full=name in full) for name, place in COLUMNS.items()]
        frame: Any = samples_df([str(path)], columns=columns, quiet=True)
    except Exception:  # whatever is wrong with a file that is no whole log, the others count
        return None
    rows: list[dict[str, Any]] = [
        {key: value for key, value in row.items() if value == value and value is not None}
        for row in frame.astype(object).to_dict("records")
    ]
    return header, [_of_frame(row) for row in rows], rows[0] if rows else {}


def _of_frame(row: Mapping[str, Any]) -> Answered:
    facts = {name: row.get(name) for name in ("split", "template", "system")}
    score = {"value": {"truncated": row.get("truncated")}, "metadata": {"outcome": row.get("outcome")}}
    scores = {"outcome": score} | ({"margins": {"value": row}} if "margin" in row else {})
    item = item_of({"id": row["id"], "metadata": facts, "scores": scores})
    return Answered(item, int(row.get("epoch") or 1), row.get("family"))


def _is_ours(header: Mapping[str, Any]) -> bool:
    return "setting" in (header.get("eval", {}).get("metadata") or {})


def _facts(spec: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What the log says, and what the manifest of the run adds where that is still the one that answered."""
    said = spec.get("metadata") or {}
    ref = str(spec["model"]).removeprefix("local/")
    step = AT_STEP.search(ref)
    known = {"setting": said["setting"], "variant": said.get("variant"), "role": said.get("role")}
    known |= {"cell": AT_STEP.sub("", ref), "asked": said.get("split"), "fingerprint": told.get("fingerprint")}
    known |= {"version": str(spec.get("task_version")), "generation": _generation(spec)}
    known["step"] = told.get("step", int(step[1]) if step else said.get("step"))
    return known | _trained(Path(AT_STEP.sub("", ref)))


def _generation(spec: Mapping[str, Any]) -> str:
    given = {key: value for key, value in (spec.get("model_generate_config") or {}).items() if value is not None}
    arguments = spec.get("model_args") or {}
    # A list is what a scripted model says, and no way of generating.
    given |= {k: v for k, v in arguments.items() if k != "fingerprint" and v is not None and not isinstance(v, list)}
    return json.dumps(given, sort_keys=True)


def _trained(folder: Path) -> dict[str, Any]:
    """The training configuration, where the model was a run folder that can be found from here."""
    manifest = folder / layout.MANIFEST
    config = layout.read_json(manifest).get("identity", {}).get("config", {}) if manifest.is_file() else {}
    names = {"method": "method", "model": "model", "rank": "rank", "batch": "batch_size"}
    names |= {"label_source": "label_source", "lr": "learning_rate", "seed": "seed"}
    return {name: config.get(key) for name, key in names.items()} if "method" in config else {}

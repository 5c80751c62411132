"""Replies and the facts of their checkpoint, from any folder of inspect logs, also of a plain `inspect eval`.

Not covered: logs of other tasks, and evals that failed or were cancelled; both are skipped and named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.logs.reader import SCORED, Header, Reply, answered_by, newest, read_header, read_replies, rescored
from lab.logs.records import epsilon_of, graders
from serving import layout, refs
from serving.errors import BadInput

CEILING = "ceiling"
AT_STEP = re.compile(r"(?:@|/step-0*)(\d+)$")
#: Columns of the tidy table, and the fields of a training configuration that fill them.
TRAINED = {
    "method": "method",
    "model": "model",
    "rank": "rank",
    "batch": "batch_size",
    "label_source": "label_source",
    "lr": "learning_rate",
    "seed": "seed",
}


@dataclass(frozen=True)
class Log:
    """A log of one of our tasks. `facts` describe the checkpoint, by the names of the tidy table."""

    path: Path
    created: str
    facts: Mapping[str, Any]
    replies: tuple[Reply, ...]


@dataclass(frozen=True)
class Found:
    """The logs of a folder in the order in which they were made, and why others were left out."""

    logs: tuple[Log, ...]
    left_out: tuple[str, ...] = field(default=())


def read_folder(folder: Path) -> Found:
    """All logs under a folder that have replies to our tasks, except unfinished attempts (hidden folders).

    Raises:
        BadInput: the folder does not exist, or has no such log.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder. Name a run folder, or a folder of logs.")
    logs: list[Log] = []
    left_out: list[str] = []
    for path in _candidates(folder):
        log = _replaced(path) or _read_log(path)
        if isinstance(log, Log):
            logs.append(log)
        else:
            left_out.append(f"{path}: {log}")
    if not logs:
        raise BadInput(
            f"{folder}: not a run folder, and has no complete log of a bct task ({len(left_out)} other logs)."
        )
    return Found(tuple(sorted(logs, key=lambda log: (log.created, log.path))), tuple(left_out))


def _candidates(folder: Path) -> Iterator[Path]:
    found = sorted([*folder.rglob("*.eval"), *folder.rglob("*.json")])
    return (p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _replaced(path: Path) -> str | None:
    """Why a log does not count if `inspect score` wrote a newer copy of it."""
    last = newest(path.with_name(f"{SCORED.sub('', path.stem)}{path.suffix}"))
    return f"{last.name} has newer scores of the same replies" if rescored(last) > rescored(path) else None


def _read_log(path: Path) -> Log | str:
    """One log, or why it is left out."""
    header = read_header(path)
    if header is None or "setting" not in header.metadata:
        return "not a log of a bct task"
    if not header.ok:
        return f"it ended with status {header.status}"
    try:
        replies = read_replies(path)
        read_by = {"grader": "; ".join(sorted(graders(reply.item for reply in replies))) or None}
        return Log(path, str(header.spec.get("created", "")), _facts(header, path) | read_by, replies)
    except ValueError:
        return "not a log of a bct task"


def _facts(header: Header, path: Path) -> dict[str, Any]:
    """The facts from the log, and from the manifest of the run if its weights are still those that answered."""
    ref = str(header.spec["model"]).removeprefix("local/")
    step, folder = AT_STEP.search(ref), AT_STEP.sub("", ref)
    model = {"fingerprint": header.fingerprint} if header.fingerprint else answered_by(path)
    known = _trained(Path(folder)) if _answers_now(ref, model.get("fingerprint")) else {}
    return {
        "setting": header.metadata["setting"],
        "variant": header.metadata.get("variant"),
        "role": header.metadata.get("role"),
        "cell": folder,
        "asked": header.metadata.get("split"),
        "fingerprint": model.get("fingerprint"),
        "version": str(header.spec.get("task_version")),
        "generation": _generation(header.spec),
        "reading": header.metadata.get("reading"),
        "step": model.get("step", int(step[1]) if step else header.metadata.get("step")),
    } | known


def _generation(spec: Mapping[str, Any]) -> str:
    given = {key: value for key, value in (spec.get("model_generate_config") or {}).items() if value is not None}
    arguments = spec.get("model_args") or {}
    # A list holds the outputs of a scripted model; it does not set how replies are generated.
    given |= {k: v for k, v in arguments.items() if k != "fingerprint" and v is not None and not isinstance(v, list)}
    return json.dumps(given, sort_keys=True)


def _answers_now(ref: str, fingerprint: object) -> bool:
    """Whether a reference still names the weights that answered; another run may have its path by now."""
    try:
        return refs.is_folder(ref) and refs.resolve(ref).fingerprint == fingerprint
    except BadInput:
        return False


def _trained(folder: Path) -> dict[str, Any]:
    """The training configuration, if the model was a run folder that still exists."""
    manifest = folder / layout.MANIFEST
    config = layout.read_json(manifest).get("identity", {}).get("config", {}) if manifest.is_file() else {}
    if "method" not in config:
        return {}
    epsilon = epsilon_of(config.get("optim"), float((config.get("trl") or {}).get("adam_epsilon") or 0))
    return {name: config.get(key) for name, key in TRAINED.items()} | {"adam_epsilon": epsilon}

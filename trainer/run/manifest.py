"""The manifest of a run folder: an identity that must agree to resume, and a provenance that may change.

    manifest.json   {"schema", "kind", "identity": {...}, "answering": {...}, "provenance": {...}}

Written once, when the run starts. A changed identity is refused with the difference; a changed provenance (versions,
commit, device) only gives a warning.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from serving import checksums, layout
from serving.errors import BadInput
from serving.recorded import ANSWERING
from serving.template import facts
from trainer.config import Common
from trainer.identity import same_place
from trainer.run import metrics, ranks

SCHEMA = "1"
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "bct-tasks")


def seal(folder: Path) -> None:
    """Records what a finished training says of itself: manifest, metrics and facts. Nothing if that was done."""
    if not (folder / checksums.NAME).is_file():
        checksums.write(folder, (layout.MANIFEST, metrics.NAME, layout.TRAINED))


# Any: JSON values.
def write(folder: Path, kind: str, identity: Mapping[str, Any], **more: Any) -> None:
    """Writes `manifest.json`, once for all processes; `more` are further parts."""
    if not ranks.is_first():
        return
    content = {"schema": SCHEMA, "kind": kind, "identity": dict(identity), "provenance": provenance(), **more}
    layout.write_json_atomic(folder / layout.MANIFEST, content)


def answering(config: Common, template: object = None) -> dict[str, Any]:
    """The part of a manifest by which checkpoints answer as they were trained: see `serving.recorded`."""
    return {ANSWERING: {"chat_template_kwargs": config.chat_template_kwargs, **config.generation, **facts(template)}}


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, or None."""
    file = folder / layout.MANIFEST
    return layout.read_json(file) if file.is_file() else None


def check(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Whether the folder has a manifest. If so, it must agree with the given parts of an identity.

    Raises:
        BadInput: if it does not agree, with the difference.
    """
    known = read(folder)
    if known is None:
        return False
    differing = list(differences(cast("dict[str, Any]", known.get("identity", {})), identity))
    if differing:
        shown = "; ".join(differing[:4]) + ("; ..." if len(differing) > 4 else "")
        raise BadInput(f"{folder}: contains another run ({shown}): choose another --out, or delete the folder")
    _warn(folder, cast("dict[str, Any]", known.get("provenance", {})))
    return True


def differences(known: Mapping[str, Any], asked: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """`key: was x, now y` for every key of `asked` with another value in `known`."""
    for key, value in asked.items():
        before = known.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = cast("Mapping[str, Any]", value)
            yield from differences(cast("Mapping[str, Any]", before), inner, f"{path}{key}.")
        elif not same_place(before, value):
            yield f"{path}{key}: was {_short(before)}, now {_short(value)}"


def provenance() -> dict[str, Any]:
    """Versions, commit and machine: what may change without changing the run's meaning."""
    return {**_fixed(), "device": _device()}


@cache
def _fixed() -> dict[str, Any]:
    versions = {name: _version(name) for name in LIBRARIES}
    machine = {"platform": platform.platform(), "machine": platform.machine(), "processor": _processor()}
    return {"python": sys.version.split()[0], "versions": versions, "commit": _commit(), **machine}


def _warn(folder: Path, before: Mapping[str, Any]) -> None:
    now = {key: value for key, value in provenance().items() if value is not None}
    changed = list(differences(before, now))
    if changed:
        warnings.warn(
            f"{folder}: made by other versions or on another machine ({'; '.join(changed[:4])}): weights may differ",
            stacklevel=3,
        )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the clone that contains this file; None if there is none."""
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(home), "rev-parse", "--verify", "--quiet", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _device() -> str | None:
    # Unknown if torch is not loaded: its import costs seconds.
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else "cpu"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

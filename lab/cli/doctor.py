"""`bct doctor`: what a run needs, checked one by one. Imports no torch and loads nothing."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from lab.cli.output import as_json, emit, headed
from serving import layout, refs
from serving.errors import BadInput

LIBRARIES = ("inspect-ai", "torch", "transformers", "trl", "peft")
ENTRY_POINTS = {"bct_tasks": "bct_tasks._registry", "serving": "serving._registry"}
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check; `says` names the fix where it is not `ok`."""

    what: str
    ok: bool
    says: str


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check that everything a run needs is available. Exit code 1 if something is missing.

    \b
    bct doctor
    bct doctor --json                          for programs
    """
    found = findings()
    if as_json:
        emit([vars(finding) for finding in found])
    else:
        for finding in found:
            mark, color = ("ok ", "green") if finding.ok else ("bad", "red")
            headed(mark, f"  {finding.what:12} {finding.says}", fg=color)
    if not all(finding.ok for finding in found):
        raise SystemExit(1)


def findings() -> list[Finding]:
    """All checks, in the order in which a run would fail."""
    return [_python(), *_libraries(), _entry_points(), _mini(), _machine(), _disk(), _home()]


def _python() -> Finding:
    version = sys.version.split()[0]
    good = sys.version_info >= (3, 11)
    return Finding("python", good, version if good else f"{version}: use Python 3.11 or newer")


def _libraries() -> Iterator[Finding]:
    for name in LIBRARIES:
        try:
            yield Finding(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed: run `make install`")


def _entry_points() -> Finding:
    known = {point.name: point.value for point in importlib.metadata.entry_points(group="inspect_ai")}
    missing = [name for name, value in ENTRY_POINTS.items() if known.get(name) != value]
    if missing:
        return Finding("inspect", False, f"does not find {', '.join(missing)}: run `pip install -e .` in the clone")
    return Finding("inspect", True, "finds the tasks and the provider `local`")


def _mini() -> Finding:
    try:
        checkpoint = refs.resolve("mini")
    except BadInput as error:
        return Finding("mini", False, error.message)
    assert checkpoint.path is not None
    size = sum(file.stat().st_size for file in layout.weight_files(checkpoint.path)) / 2**20
    return Finding("mini", True, f"{size:.1f} MB, fingerprint {checkpoint.fingerprint}")


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = "a GPU" if Path("/dev/nvidia0").exists() else "no GPU"
    return Finding("machine", True, f"{cores} cores, {gpu}")


def _home() -> Finding:
    from lab.experiment import home

    found = home.problem()
    return Finding("home", found is None, found or "inspect can write its own files")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / GIB
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            pass
    except OSError as error:
        return Finding("folder", False, f"{Path.cwd()}: {error.strerror}: change to a folder that you can write to")
    return Finding("folder", free > 1, f"{free:.1f} GiB free{'' if free > 1 else ': free some'}")

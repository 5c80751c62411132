"""References to checkpoints: `mini`, a run, run@step, a checkpoint folder, a pointer, or a Hugging Face id[@revision].

A run means its last complete step; an experiment of one cell means that cell. An existing path takes precedence over a
hub id, and the embedded name `mini` over both (`./mini` is the folder). Nothing here loads weights or imports torch;
hub ids are looked up in the local cache first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from serving import layout
from serving.errors import BadInput, did_you_mean

MINI = "mini"
NAMED = 8  # cells named in an error
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Checkpoint:
    """A full model, or an adapter on a base."""

    ref: str
    """The reference as it was given."""
    path: Path | None
    """Folder with the full weights or the adapter; None for a hub model that is not on this disk yet."""
    hub: str | None
    base: Checkpoint | None
    """Set exactly when `kind` is "adapter"; may be an adapter itself."""
    kind: Literal["full", "adapter"]
    step: int | None
    fingerprint: str
    setting: str | None = None
    variant: str | None = None
    """Setting and variant of the run's manifest, where it has one."""
    revision: str | None = None


def resolve(ref: str) -> Checkpoint:
    """Return the checkpoint that a reference names.

    Raises:
        BadInput: It does not exist, or is incomplete, damaged or ambiguous.
    """
    try:
        return _resolve(ref)
    except PermissionError as error:
        raise BadInput(f"{ref}: {error.filename} cannot be read: change its permissions") from error


def _resolve(ref: str) -> Checkpoint:
    if ref == MINI:
        return _embedded(ref)
    path = Path(ref).expanduser()
    if path.exists():
        return _from_path(ref, path)
    name, at, step = ref.rpartition("@")
    run = Path(name).expanduser()
    if at and run.is_dir():
        return _from_run(ref, run, _step_number(ref, step))
    if _looks_like_path(ref):
        raise BadInput(_no_such_path(ref, path))
    return _from_hub(ref)


def mini_path() -> Path:
    """Return the folder of the embedded base model's weights, found without importing `trainer`."""
    spec = importlib.util.find_spec("trainer")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("mini: the package `trainer` is not installed: run `pip install -e .` in the clone")
    return Path(spec.submodule_search_locations[0]) / "mini" / "weights"


def _embedded(ref: str) -> Checkpoint:
    folder = mini_path()
    if not folder.is_dir():
        raise BadInput("mini: its weights are not built: run `python -m trainer.mini`")
    return replace(_from_checkpoint(ref, folder, None), setting=None, variant=None)


# --- paths ----------------------------------------------------------------------------------------


def _from_path(ref: str, path: Path) -> Checkpoint:
    if path.is_file():
        raise BadInput(f"{ref}: is a file: name its folder")
    step = layout.step_of(path)
    if step is not None or _holds_model(path):
        return _from_checkpoint(ref, path, step)
    return _from_run(ref, path, None)


def _holds_model(path: Path) -> bool:
    names = (
        "config.json",
        "adapter_config.json",
        layout.POINTER,
        "model.safetensors",
        "adapter_model.safetensors",
    )
    return any((path / name).is_file() for name in names)


def _from_run(ref: str, run: Path, step: int | None) -> Checkpoint:
    steps = dict(layout.all_step_dirs(run))
    if not steps:
        cells = _cells(run)
        if len(cells) != 1:
            raise BadInput(_no_checkpoints(ref, run, cells))
        return _from_run(ref, cells[0], step)
    if step is None:
        step = _last_finished(ref, steps)
    if step not in steps:
        there = ", ".join(str(known) for known in steps)
        raise BadInput(f"{ref}: no step {step} in {run}: its steps are {there}")
    return _from_checkpoint(ref, steps[step], step)


def _last_finished(ref: str, steps: dict[int, Path]) -> int:
    # A folder that lacks files is work in progress and is skipped. One with all files and damaged weights is not:
    # falling back on an earlier step would measure another checkpoint than the intended one.
    for step in reversed(steps):
        if not layout.missing_files(steps[step]):
            return step
    raise BadInput(f"{ref}: none of its {len(steps)} step folders is finished: train the run again")


def _from_checkpoint(ref: str, folder: Path, step: int | None) -> Checkpoint:
    layout.check_whole(folder)
    setting, variant = _manifest_names(folder if step is None else folder.parent)
    if (folder / layout.POINTER).is_file():
        target = _follow(ref, folder / layout.POINTER)
        return replace(target, ref=ref, step=step, setting=setting or target.setting, variant=variant or target.variant)
    if (folder / "adapter_config.json").is_file():
        return _adapter(ref, folder, step, setting, variant)
    mark = layout.fingerprint(folder)
    return Checkpoint(ref, folder, None, None, "full", step, mark, setting, variant)


def _adapter(ref: str, folder: Path, step: int | None, setting: str | None, variant: str | None) -> Checkpoint:
    mark = layout.fingerprint(folder)
    if (folder / layout.BASE).is_file():
        base = _follow(ref, folder / layout.BASE)
    else:
        base = resolve(_named_base(folder))
        mark = hashlib.sha256(f"{mark}:{base.fingerprint}".encode()).hexdigest()[:16]
    return Checkpoint(ref, folder, None, base, "adapter", step, mark, setting, variant)


def _named_base(folder: Path) -> str:
    """Return the base that PEFT wrote, for adapters trained elsewhere."""
    named = layout.read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if not named:
        raise BadInput(f"{folder}: an adapter without a base: add a base.json with its path or hub id")
    return str(named)


def _follow(ref: str, file: Path) -> Checkpoint:
    pointer = layout.read_pointer(file)
    if pointer.path is not None and not pointer.path.is_dir():
        raise BadInput(
            f"{ref}: {file} points to {pointer.path}, which does not exist: restore it, or write its new path"
        )
    target = _pointed(pointer)
    if pointer.fingerprint not in (None, target.fingerprint):
        raise BadInput(
            f"{ref}: {file} was written for fingerprint {pointer.fingerprint} and {target.ref} now has "
            f"{target.fingerprint}: restore the old one, or run again from the start"
        )
    return target


def _pointed(pointer: layout.Pointer) -> Checkpoint:
    if pointer.embedded is not None:
        return resolve(pointer.embedded)
    if pointer.hub is not None:
        return _from_hub(f"{pointer.hub}@{pointer.revision}" if pointer.revision else pointer.hub)
    path = cast("Path", pointer.path)
    return _from_path(str(path), path)


def _manifest_names(folder: Path) -> tuple[str | None, str | None]:
    """Return setting and variant of a manifest, from its top, its identity or its configuration."""
    file = folder / layout.MANIFEST
    if not file.is_file():
        return None, None
    levels: list[dict[str, Any]] = [layout.read_json(file)]
    for level in levels:
        if "setting" in level:
            return level.get("setting"), level.get("variant")
        inner = (level.get(key) for key in ("identity", "config"))
        levels += [cast("dict[str, Any]", part) for part in inner if isinstance(part, dict)]
    return None, None


# --- errors ---------------------------------------------------------------------------------------


def _step_number(ref: str, step: str) -> int:
    if not step.isdecimal():
        raise BadInput(f"{ref}: '{step}' is not a step: write run@16")
    return int(step)


def _looks_like_path(ref: str) -> bool:
    name = ref.partition("@")[0]
    first = name.partition("/")[0]
    return not HUB_ID.fullmatch(name) or ("/" in name and Path(first).is_dir())


def _no_such_path(ref: str, path: Path) -> str:
    there = path.parent
    while not there.is_dir() and there != there.parent:
        path, there = there, there.parent
    near = did_you_mean(path.name, (entry.name for entry in there.iterdir() if entry.is_dir()))
    return f"{ref}: no such checkpoint ({there} has no '{path.name}').{near or ' Name a run, run@step or a folder.'}"


def _cells(run: Path) -> list[Path]:
    """Return the cells of an experiment; a hidden folder is an unfinished attempt."""
    return sorted(path for path in (run / "cells").glob("[!.]*") if path.is_dir())


def _no_checkpoints(ref: str, run: Path, cells: list[Path]) -> str:
    if cells:
        names = ", ".join(cell.name for cell in cells[:NAMED]) + (", ..." if len(cells) > NAMED else "")
        return f"{ref}: an experiment of {len(cells)} cells: name one, as in {cells[0]}; the cells are {names}"
    return f"{ref}: no checkpoint in this folder: name a run with step-000000 folders, or a folder with config.json"


# --- the hub --------------------------------------------------------------------------------------


def _from_hub(ref: str) -> Checkpoint:
    name, _, revision = ref.partition("@")
    sha, folder, files = _cached(name, revision or None) or _looked_up(ref, name, revision or None)
    if not any(file.endswith(".safetensors") for file in files):
        raise BadInput(f"{ref}: has no safetensors, and pickled weights are never read: name another revision")
    mark = hashlib.sha256(f"{name}@{sha}".encode()).hexdigest()[:16]
    if "adapter_config.json" not in files:
        return Checkpoint(ref, folder, name, None, "full", None, mark, revision=sha)
    base = resolve(_named_base(folder or _download_config(name, sha)))
    return Checkpoint(ref, folder, name, base, "adapter", None, mark, revision=sha)


def _cached(name: str, revision: str | None) -> tuple[str, Path, list[str]] | None:
    """Return (commit, folder, files) of a snapshot that is on this disk with its weights."""
    from huggingface_hub import try_to_load_from_cache

    for file in ("config.json", "adapter_config.json"):
        found = try_to_load_from_cache(name, file, revision=revision)
        if isinstance(found, str):
            folder = Path(found).parent
            files = [path.name for path in folder.iterdir()]
            if any(file.endswith(".safetensors") for file in files):
                return folder.name, folder, files
    return None


def _looked_up(ref: str, name: str, revision: str | None) -> tuple[str, None, list[str]]:
    """Return (commit, None, files) from the hub."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(name, revision=revision, timeout=5)
    except Exception as error:  # the hub's client raises its own, httpx's and OSError
        near = did_you_mean(ref, [MINI])
        reason = f"{type(error).__name__}"
        raise BadInput(
            f"{ref}: no such folder, and no such model on the hub ({reason})."
            f"{near or ' Check the name and the network.'}"
        ) from error
    return str(info.sha), None, [sibling.rfilename for sibling in info.siblings or []]


def _download_config(name: str, sha: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name, "adapter_config.json", revision=sha)).parent

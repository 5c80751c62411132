"""The files of a checkpoint for the hub: safetensors, configuration, tokenizer, and a base that is only here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from serving import checksums, layout, refs
from serving.errors import BadInput
from serving.refs import Checkpoint

#: What is taken of a folder; anything else, pickles and code among it, stays.
SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model")
#: Weights that are never published.
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
#: Files of a run folder, which are written anew or stay.
OURS = (layout.BASE, layout.POINTER, layout.TINKER, layout.MANIFEST, layout.TRAINED, layout.DONE, checksums.NAME,
        "README.md", "labels")  # fmt: skip
#: Fields in which libraries note the place of a model on this machine; no reply depends on them.
PLACES = ("_name_or_path", "name_or_path", "base_model_name_or_path")
#: Folder of a base that is published with its adapter.
BASE = "base"


def write(checkpoint: Checkpoint, into: Path, base: str | None = None) -> None:
    """Writes the files of a checkpoint.

    Args:
        checkpoint: A full model or an adapter, in a folder of this machine.
        into: The folder to write to.
        base: Name on the hub of an adapter's base that is a folder here; default: the base is written too. The adapter
            then has another fingerprint, that of an adapter on the model of the hub.

    Raises:
        BadInput: `base` is given for a checkpoint that needs none.
    """
    if base is not None and not (checkpoint.base and _is_only_here(checkpoint.base)):
        raise BadInput(f"--base-on-hub: {checkpoint.ref} has no base that is a folder of this machine: leave it out")
    into.mkdir(parents=True, exist_ok=True)
    folder = _folder(checkpoint)
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix in SUFFIXES and file.name not in OURS:
            _take(file, into / file.name)
    if checkpoint.base is not None:
        _name_base(checkpoint.base, into, base)
    checksums.write(into)


def has_pickles(folder: Path) -> bool:
    """Whether a folder has weights that could run code when they are loaded."""
    return any(file.suffix in PICKLES for file in files(folder))


def files(folder: Path) -> list[Path]:
    """Every file below a folder, in order."""
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.path is None:
        raise BadInput(f"{checkpoint.ref}: its weights are not on this machine")
    return checkpoint.path


def _take(file: Path, target: Path) -> None:
    """A link to a file, or a copy without places of this machine."""
    known = layout.read_json(file) if file.suffix == ".json" and "config" in file.name else {}
    if any(name in known for name in PLACES):
        layout.write_json_atomic(target, {name: value for name, value in known.items() if name not in PLACES})
        return
    try:
        os.link(file.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copy2(file, target)


def _name_base(base: Checkpoint, into: Path, named: str | None) -> None:
    """Says what the adapter sits on: a model of the hub, the embedded one, or the folder `base`, which is written."""
    config = into / "adapter_config.json"
    known = named or base.hub or (refs.MINI if refs.is_mini(base) else None)
    layout.write_json_atomic(config, layout.read_json(config) | {"base_model_name_or_path": known})
    if named is not None:
        return
    if known is not None:
        place = f"{base.hub}@{base.revision}" if base.hub and base.revision else known
        layout.write_pointer(into, place, base.fingerprint, layout.BASE, base=_under(base))
        return
    write(base, into / BASE)
    layout.write_pointer(into, into / BASE, base.fingerprint, layout.BASE)


def _under(base: Checkpoint) -> layout.Target | None:
    """The base of an adapter of the hub, whose own files do not say it."""
    if base.base is None:
        return None
    if base.base.hub is None and not refs.is_mini(base.base):
        raise BadInput(f"{base.ref}: an adapter of the hub on a folder of this machine cannot be published")
    return layout.Target(base.base.hub or refs.MINI, base.base.fingerprint, _under(base.base))


def _is_only_here(base: Checkpoint) -> bool:
    return base.hub is None and not refs.is_mini(base)

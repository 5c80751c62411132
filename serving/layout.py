"""Checkpoint folders on disk: step names, completeness, atomic writing, pointers and fingerprints.

    runs/x/manifest.json
    runs/x/step-000000/pointer.json       another checkpoint, by relative path, hub id or embedded name
    runs/x/step-000016/                   config.json, model.safetensors, tokenizer files
    runs/x/step-000032/                   or adapter_config.json, adapter_model.safetensors, base.json
    runs/x/step-000064/                   or tinker.json and base.json: the weights are at Tinker

Pointers hold relative paths, so that a moved run folder still works. Nothing here reads a tensor: a file is complete
if it agrees with its safetensors header. Not covered: pickled weights, which are never read.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from serving import tensors
from serving.errors import BadInput
from serving.json_files import read_json, what_else

POINTER = "pointer.json"
BASE = "base.json"
TINKER = "tinker.json"  # where the checkpoint lies at Tinker; see `serving.tinker.stored`
ADAPTER = "adapter_model.safetensors"
#: Of a cell whose weights were deleted after their evaluation: which steps, and by which option.
FREED = "freed.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MANIFEST = "manifest.json"
TRAINED = "trained.json"  # the facts of a finished training
RESUME = "resume"  # full states to resume from, of an unfinished training
DONE = "done.json"  # a cell is trained, and all its checkpoints are evaluated
LONGEST_PATH = 4096  # of a path on Linux, in bytes
STEP_NAME = re.compile(r"step-(\d{6,})")
_SHARD = re.compile(r"[\w.-]{1,200}\.safetensors")
DRAFT = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")

# Files other than the weights that decide a reply. Fields that record where or by what a file was written are
# left out: they would give the same checkpoint two fingerprints.
ANSWERING_FILES = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
VOLATILE_FIELDS = frozenset(
    {"_name_or_path", "name_or_path", "transformers_version", "peft_version", "base_model_name_or_path"}
)


@dataclass(frozen=True)
class Target:
    """A checkpoint as a pointer names it: a Path, a hub id `owner/name[@revision]`, or `mini`.

    Attributes:
        place: The checkpoint.
        fingerprint: Its own; a reader rejects another one.
        base: Of an adapter whose own files do not say it.
    """

    place: Path | str
    fingerprint: str
    base: Target | None = None


@dataclass(frozen=True)
class Pointer:
    """Where another checkpoint is: exactly one of `path` (absolute once read), `hub` or `embedded` is set.

    `base` is set for an adapter made elsewhere, whose own files may name no base.
    """

    path: Path | None
    hub: str | None
    revision: str | None
    embedded: str | None
    fingerprint: str | None
    base: Pointer | None = None

    def target(self) -> Target:
        """Return what another pointer writes to mean the same."""
        revision = f"@{self.revision}" if self.revision else ""
        place = self.path or self.embedded or f"{self.hub}{revision}"
        return Target(place, self.fingerprint or "", self.base.target() if self.base else None)


def step_name(step: int) -> str:
    """Return the folder's name of a step, as in `step-000016`."""
    return f"step-{step:06d}"


def step_of(folder: Path) -> int | None:
    """Return the step in a folder's name, or None."""
    match = STEP_NAME.fullmatch(folder.name)
    return int(match.group(1)) if match else None


def step_dirs(run: Path) -> list[tuple[int, Path]]:
    """Return the complete checkpoints of a run, by step. Unfinished and damaged folders are left out."""
    return [(step, path) for step, path in all_step_dirs(run) if problem(path) is None]


def freed_steps(run: Path) -> dict[int, str]:
    """Return the steps of a cell whose weights were deleted once they were evaluated, and what deleted each."""
    steps = (read_if_there(run / FREED) or {}).get("steps")
    return {int(step): str(by) for step, by in steps.items()} if isinstance(steps, dict) else {}


def all_step_dirs(run: Path) -> list[tuple[int, Path]]:
    """Return every step folder of a run, complete or not, by step."""
    if not run.is_dir():
        return []
    steps = ((step_of(path), path) for path in run.iterdir() if path.is_dir())
    return sorted((step, path) for step, path in steps if step is not None)


# --- completeness ---------------------------------------------------------------------------------


def check_whole(folder: Path) -> None:
    """Raise BadInput where a checkpoint folder is incomplete or damaged."""
    found = problem(folder)
    if found is not None:
        raise BadInput(f"{folder}: {found}")


def problem(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint folder, in one line with the fix; None if it is complete."""
    unclear = _odd_file(folder) or _index_problem(folder)
    if unclear is not None:
        return unclear
    missing = missing_files(folder)
    if missing == [ADAPTER] and (folder / "adapter_model.bin").is_file():
        return f"its weights are pickled, which is never read: save them as {ADAPTER} (PEFT's save_pretrained does)"
    if missing:
        return f"half-written checkpoint, without {', '.join(missing)}: {_again(folder)}"
    if (folder / POINTER).is_file() or lies_elsewhere(folder):
        return None
    for file in weight_files(folder):
        reason = tensors.problem(file)
        if reason is not None:
            return f"{file.name} is damaged ({reason}): copy the file again, or {_again(folder)}"
    return None


def _odd_file(folder: Path) -> str | None:
    """Return why something that libraries would open is no file: a pipe, a device, a folder under a file's name."""
    expected = {*ANSWERING_FILES, WEIGHTS, INDEX, ADAPTER, POINTER, BASE, MANIFEST}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        odd = what_else(path)
        if odd is not None and (path.name in expected or odd != "a folder"):
            return f"{path.name} is {odd}, where a file is expected: delete it, or copy the checkpoint again"
    return None


def _again(folder: Path) -> str:
    """Return how a checkpoint is made again: with all steps of its run, which are not made one by one."""
    return f"delete {folder if step_of(folder) is None else folder.parent} and train again"


def _index_problem(folder: Path) -> str | None:
    """Return why it is not clear which files a model is loaded from; what is hashed must be what is loaded."""
    index = folder / INDEX
    if not index.is_file() or (folder / "adapter_config.json").is_file():
        return None
    named = read_json(index).get("weight_map")
    if not (isinstance(named, dict) and named and all(isinstance(name, str) for name in named.values())):
        return f"{INDEX} names no file: restore it, or delete it if the weights are in {WEIGHTS}"
    if (folder / WEIGHTS).is_file() and set(named.values()) != {WEIGHTS}:
        return f"has both {WEIGHTS} and {INDEX}, which names other files: delete the one that is not its weights"
    if any(Path(name).name != name for name in named.values()):
        return f"{INDEX} names a file outside of the folder: put the weights next to it"
    if (other := next((name for name in named.values() if not _SHARD.fullmatch(name)), None)) is not None:
        return f"{INDEX} names {other[:80]!r}, which is no safetensors file: copy the checkpoint again"
    return None


def missing_files(folder: Path) -> list[str]:
    """Return the names of the files that a checkpoint needs and this folder lacks; none for a pointer."""
    if (folder / POINTER).is_file():
        return []
    if lies_elsewhere(folder):
        return [] if (folder / BASE).is_file() else [BASE]
    if (folder / "adapter_config.json").is_file():
        return [] if (folder / ADAPTER).is_file() else [ADAPTER]
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    missing += [file.name for file in weight_files(folder) if not file.is_file()]
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        missing.append("tokenizer.json")
    return missing


def lies_elsewhere(folder: Path) -> bool:
    """Return whether a folder names a checkpoint at Tinker and has no weights of its own."""
    return (folder / TINKER).is_file() and not (folder / "adapter_config.json").is_file()


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that a checkpoint needs: one, all shards of its index, or the adapter."""
    if (folder / "adapter_config.json").is_file():
        return [folder / ADAPTER]
    index = folder / INDEX
    if not index.is_file():
        return [folder / WEIGHTS]
    shards = read_json(index).get("weight_map")
    names = cast("dict[str, Any]", shards).values() if isinstance(shards, dict) else ()
    return [folder / name for name in sorted({name for name in names if isinstance(name, str)})]


def stored_precision(folder: Path | None) -> str:
    """Return the highest precision of a checkpoint's weights, as torch names it; `auto` where it is not known."""
    return (tensors.precision(weight_files(folder)) if folder is not None else None) or "auto"


# --- writing --------------------------------------------------------------------------------------


def draft_of(path: Path) -> Path:
    """Return a temporary name in the same folder, unique also among the nodes of a cluster."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def place(final: Path, attempt: str) -> Path:
    """Return the folder in which an attempt works: next to the final one, so that relative paths hold."""
    return final.with_name(f".{final.name}.{attempt}")


def write_atomic(path: Path, content: str | bytes, durable: bool = True) -> None:
    """Write a file so that a reader sees the old file or the complete new one.

    Args:
        path: The file; missing folders above it are created.
        content: Its content; text is written as UTF-8.
        durable: Flush the file to the disk first, so that this also holds after a power failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    try:
        with draft.open("wb") as stream:
            _claim(stream.fileno())
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# Any: JSON values.
def write_json_atomic(path: Path, content: Any) -> None:
    """Write an object as indented JSON with sorted keys, by `write_atomic`."""
    write_atomic(path, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_if_there(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if there is no such file."""
    return read_json(path) if path.is_file() else None


def discard(folder: Path) -> None:
    """Delete a folder if it is there. It is renamed first: a kill leaves a draft, and nobody reads half of it."""
    with suppress(FileNotFoundError):
        draft = folder.rename(draft_of(folder))
        draft.unlink() if draft.is_symlink() else shutil.rmtree(draft, ignore_errors=True)


def publish(draft: Path, final: Path) -> Path:
    """Rename a finished folder to its final name, unless another attempt was first. Returns the final folder."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        draft.rename(final)
    except OSError:
        if not final.is_dir() or draft == final:
            raise
        shutil.rmtree(draft)
    return final


@contextmanager
def attempt(final: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `final` when the block ends without an error, and else removed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(final)
    draft.mkdir()
    held = os.open(draft, os.O_RDONLY)
    _claim(held)
    try:
        yield draft
        publish(draft, final)
    finally:
        os.close(held)
        shutil.rmtree(draft, ignore_errors=True)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove the drafts in a folder whose writers have ended, with whom their locks did.

    Args:
        folder: The folder.
        name: Only drafts of the file or folder of this name.
    """
    for draft in abandoned(folder, name):
        shutil.rmtree(draft, ignore_errors=True) if draft.is_dir() else draft.unlink(missing_ok=True)


def abandoned(folder: Path, name: str = "*") -> list[Path]:
    """Return the drafts in a folder whose writers have ended."""
    return [path for path in folder.glob(f".{name}.*.tmp") if DRAFT.fullmatch(path.name) and _is_free(path)]


def _claim(descriptor: int) -> None:
    """Lock an open draft for as long as its writer lives; a file system without locks has drafts that are not swept."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_free(draft: Path) -> bool:
    try:
        descriptor = os.open(draft, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


# --- pointers -------------------------------------------------------------------------------------


def write_pointer(
    folder: Path,
    target: Path | str,
    fingerprint: str,
    name: str = POINTER,
    at: Path | None = None,
    base: Target | None = None,
) -> None:
    """Point from `folder` to another checkpoint.

    Args:
        folder: The folder to write to.
        target: The other checkpoint: see `Target`.
        fingerprint: The target's; a reader rejects another one.
        name: `pointer.json`, or `base.json` for the base of an adapter.
        at: The folder's final path, if it is renamed later.
        base: Of an adapter whose own files do not say it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomic(folder / name, _pointer_content(Target(target, fingerprint, base), at or folder))


def _pointer_content(target: Target, at: Path) -> dict[str, Any]:
    content: dict[str, Any] = {"fingerprint": target.fingerprint}
    if isinstance(target.place, Path):
        content["path"] = Path(os.path.relpath(target.place.resolve(), at.resolve())).as_posix()
    elif target.place == "mini":
        content["embedded"] = target.place
    else:
        hub, _, revision = target.place.partition("@")
        content |= {"hub": hub, "revision": revision or None}
    return content | ({"base": _pointer_content(target.base, at)} if target.base else {})


def read_pointer(file: Path) -> Pointer:
    """Return what a `pointer.json` or `base.json` points to."""
    return _pointer(file, read_json(file))


def _pointer(file: Path, content: dict[str, Any]) -> Pointer:
    path, hub, embedded, revision, mark = (_text(file, content, key) for key in _OF_POINTER)
    if sum(place is not None for place in (path, hub, embedded)) != 1:
        raise BadInput(f"{file}: must name one checkpoint: write exactly one of path, hub or embedded")
    target = Path(os.path.normpath(file.parent.resolve() / path)) if path is not None else None
    under = content.get("base")
    base = _pointer(file, cast("dict[str, Any]", under)) if isinstance(under, dict) else None
    return Pointer(target, hub, revision, embedded, mark, base)


_OF_POINTER = ("path", "hub", "embedded", "revision", "fingerprint")


def _text(file: Path, content: Mapping[str, Any], key: str) -> str | None:
    found = content.get(key)
    if found is not None and not (isinstance(found, str) and "\0" not in found and len(found) < LONGEST_PATH):
        raise BadInput(f"{file}: {key} is no name: write it as text, or restore the file")
    return found


# --- fingerprints ---------------------------------------------------------------------------------

_hashes: dict[tuple[str, str, int, int], str] = {}


def fingerprint(folder: Path) -> str:
    """Return 16 hex digits of what determines a checkpoint's replies: weights, configs, tokenizer, chat template.

    An adapter's includes its base's, as written in `base.json`; `serving.refs` adds one that is not written there.
    It does not depend on the folder's path and the versions of the libraries that wrote it. File hashes are cached by
    path, size and time of change.
    """
    digest = hashlib.sha256()
    for file in [*weight_files(folder), *(folder / name for name in ANSWERING_FILES)]:
        if file.is_file():
            digest.update(f"{file.name}:{_hash_file(file)}\n".encode())
    if (folder / BASE).is_file():
        digest.update(f"base:{read_pointer(folder / BASE).fingerprint}\n".encode())
    return digest.hexdigest()[:16]


def tokenizer_fingerprint(folder: Path) -> str:
    """Return 16 hex digits of the tokenizer and chat template alone."""
    decisive = [name for name in ANSWERING_FILES if not name.endswith("config.json") or "tok" in name]
    files = [folder / name for name in decisive if (folder / name).is_file()]
    return hashlib.sha256("".join(f"{file.name}:{_hash_file(file)}\n" for file in files).encode()).hexdigest()[:16]


def config_fingerprint(folder: Path) -> str:
    """Return 16 hex digits of the architecture: config.json alone."""
    return _hash_file(folder / "config.json")[:16]


def shares_base(folder: Path) -> bool:
    """Return whether the adapter in a folder can sit on a base next to others: a LoRA that leaves the base as it is.

    Some change the base's own weights when PEFT loads them: its biases (`bias`), the residual of a decomposition
    (PiSSA, OLoRA, CorDA, EVA, LoftQ), or its layers. PEFT combines no kinds of adapters.
    """
    said = read_json(folder / "adapter_config.json")
    start = said.get("init_lora_weights", True)
    decomposed = isinstance(start, str) and start not in ("gaussian", "orthogonal")
    plain = said.get("bias", "none") == "none" and not decomposed and not said.get("layer_replication")
    return plain and said.get("peft_type") == "LORA"


def adapter_shape(folder: Path) -> str | None:
    """Return what determines the shape and scale of an adapter's weights, as text; None without an adapter."""
    file = folder / "adapter_config.json"
    if not file.is_file():
        return None
    content = {key: value for key, value in read_json(file).items() if key not in VOLATILE_FIELDS}
    # PEFT writes sets, in any order.
    ordered = {key: sorted(value, key=str) if isinstance(value, list) else value for key, value in content.items()}
    return json.dumps(ordered, sort_keys=True)


def bytes_hash(file: Path) -> str:
    """Return the SHA-256 of a file's bytes, cached by path, size and time of change."""
    return _cached_hash(file, _hash_bytes)


def _hash_file(file: Path) -> str:
    return _cached_hash(file, _hash_json if file.suffix == ".json" else _hash_bytes)


def _cached_hash(file: Path, make: Callable[[Path], str]) -> str:
    stat = file.stat()
    key = (make.__name__, str(file.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _hashes:
        _hashes[key] = make(file)
    return _hashes[key]


def _hash_bytes(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hash_json(file: Path) -> str:
    content = {key: value for key, value in read_json(file, nan=False).items() if key not in VOLATILE_FIELDS}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

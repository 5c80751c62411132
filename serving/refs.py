"""References to checkpoints: `mini`, a run, run@step, a folder, a pointer, a Hugging Face id[@revision], or tinker://….

URL#NAME is a model that someone else serves (`serving.remote`). A run means its last complete step; an experiment of
one cell means that cell. An existing path takes precedence over a hub id, and the embedded name `mini` over both
(`./mini` is the folder). Nothing here loads weights or imports torch; hub ids are looked up in the local cache first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from serving import checksums, layout, published, remote
from serving.architecture import refuse_claims
from serving.errors import BadInput, did_you_mean
from serving.fit import misfit, nonsense
from serving.recorded import Recorded, recorded
from serving.remote import Served
from serving.request import Defaults
from serving.tinker import stored
from serving.tinker.stored import SCHEME, Stored

MINI = "mini"
NAME_BASE = "name it, as in organism: {ref: ..., base: ...} or -M base=... (chat, serve: --base), or add a base.json"
NAMED = 8  # cells named in an error
NAMED_CHARACTERS = 200
LONGEST_ID = 96  # of the hub
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
    weightless: bool = False
    """Only its configuration is on this disk, and the hub cannot be reached: it can be planned with, and not run."""
    defaults: Defaults = field(default_factory=Defaults, compare=False)
    """How it answers where a request says nothing else; of the run, and where that says nothing, of the base."""
    hosted: Stored | None = field(default=None, compare=False)
    """Where it lies at Tinker, if it was trained there."""
    served: Served | None = field(default=None, compare=False)
    """Where someone else serves it; it then has no weights here, and they are not verified."""

    @property
    def exported(self) -> bool:
        """Whether its weights are files, here or on the hub."""
        return self.hub is not None or (self.path is not None and not layout.lies_elsewhere(self.path))

    @property
    def root(self) -> Checkpoint:
        """The full model at the bottom: the checkpoint itself, or what its adapters stand on."""
        return self if self.base is None else self.base.root

    def chain(self) -> tuple[Checkpoint, ...]:
        """The checkpoint, and what its adapters stand on."""
        return (self, *(self.base.chain() if self.base is not None else ()))


class _Circle(BadInput):
    """Adapters or pointers that stand on each other: every one of them would repeat the message of the next."""


_standing: ContextVar[tuple[Path, ...]] = ContextVar("_standing", default=())
"""The folders that are being followed, the first one first."""

Under = Checkpoint | str | None
"""The base of an adapter made elsewhere: a checkpoint, a reference, or what adapter_config.json says."""


def resolve(ref: str, base: str | None = None) -> Checkpoint:
    """Return the checkpoint that a reference names.

    Args:
        ref: The reference.
        base: Reference of the base of an adapter that was made elsewhere; default: the one in its adapter_config.json.
            Without effect on every other checkpoint.

    Raises:
        BadInput: It does not exist, or is incomplete, damaged or ambiguous, or does not fit its base.
    """
    try:
        return _resolve(ref, base)
    except PermissionError as error:
        raise BadInput(f"{ref}: {error.filename} cannot be read: change its permissions") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{ref[:NAMED_CHARACTERS]}: cannot be read ({reason}): name a folder that exists") from error


def _resolve(ref: str, base: Under) -> Checkpoint:
    if ref == MINI:
        return _embedded(ref)
    if ref.startswith(SCHEME):
        return _hosted(ref, base)
    if remote.is_address(ref):
        served = remote.read(ref)
        return Checkpoint(ref, None, None, None, "full", None, served.fingerprint(), served=served)
    path = Path(ref).expanduser()
    if path.exists():
        return _from_path(ref, path, base)
    name, at, step = ref.rpartition("@")
    run = Path(name).expanduser()
    if at and run.is_dir():
        return _from_run(ref, run, _step_number(ref, step), base)
    if _looks_like_path(ref):
        raise BadInput(_no_such_path(ref, path))
    return _from_hub(ref, base)


def is_folder(ref: str) -> bool:
    """Whether a reference names a folder on this disk, or a step of one: neither `mini` nor a model of the hub."""
    places = (Path(ref), Path(ref.rpartition("@")[0] or ref))
    elsewhere = ref == MINI or ref.startswith(SCHEME) or remote.is_address(ref)
    return not elsewhere and any(place.expanduser().exists() for place in places)


def at_present(checkpoint: Checkpoint) -> Checkpoint:
    """Return a served model with what its server says of it now in the fingerprint; any other checkpoint as it is.

    Raises:
        BadInput: The server has no such model, or refuses the key.
        WorkFailed: It does not answer.
    """
    if checkpoint.served is None:
        return checkpoint
    served = remote.described(checkpoint.served)
    return replace(checkpoint, served=served, fingerprint=served.fingerprint())


def refuse_without_weights(checkpoint: Checkpoint) -> None:
    """Raise BadInput for a checkpoint whose weights are at Tinker only, or at a server of someone else."""
    if checkpoint.served is not None:
        raise BadInput(
            f"{checkpoint.served.public}: is served by someone else, so it has no weights here: name another"
        )
    if checkpoint.hosted is not None and not checkpoint.exported:
        raise BadInput(f"{checkpoint.ref}: its weights are at Tinker only: add -M engine=tinker, or train with export")


def mini_path() -> Path:
    """Return the folder of the embedded base model's weights, found without importing `trainer`."""
    spec = importlib.util.find_spec("trainer")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("mini: the package `trainer` is not installed: run `pip install -e .` in the clone")
    return Path(spec.submodule_search_locations[0]) / "mini" / "weights"


def is_mini(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is the embedded base model."""
    return checkpoint.path is not None and checkpoint.path.resolve() == mini_path().resolve()


def _embedded(ref: str) -> Checkpoint:
    folder = mini_path()
    if not folder.is_dir():
        raise BadInput("mini: its weights are not built: run `python -m trainer.mini`")
    return replace(_from_checkpoint(ref, folder, None, None), setting=None, variant=None, defaults=Defaults())


# --- paths ----------------------------------------------------------------------------------------


def _from_path(ref: str, path: Path, base: Under) -> Checkpoint:
    if path.is_file():
        raise BadInput(f"{ref}: is a file: name its folder")
    step = layout.step_of(path)
    is_run = bool(layout.all_step_dirs(path))  # a run may be named like a step
    if _holds_model(path) or (step is not None and not is_run):
        return _from_checkpoint(ref, path, step, base)
    return _from_run(ref, path, None, base)


def _holds_model(path: Path) -> bool:
    names = (
        "config.json",
        "adapter_config.json",
        layout.POINTER,
        layout.TINKER,
        "model.safetensors",
        "adapter_model.safetensors",
    )
    return any((path / name).is_file() for name in names)


def _from_run(ref: str, run: Path, step: int | None, base: Under) -> Checkpoint:
    steps = dict(layout.all_step_dirs(run))
    if not steps:
        cells = _cells(run)
        if len(cells) != 1:
            raise BadInput(_no_checkpoints(ref, run, cells))
        return _from_run(ref, cells[0], step, base)
    freed = {at: by for at, by in layout.freed_steps(run).items() if at not in steps}
    if step is None:
        step = max(freed) if max(freed, default=-1) > max(steps) else _last_finished(ref, steps)
    if step in freed:
        raise BadInput(f"{ref}: the weights of step {step} were deleted once evaluated, by {freed[step]}")
    if step not in steps:
        there = ", ".join(str(known) for known in steps)
        raise BadInput(f"{ref}: no step {step} in {run}: its steps are {there}")
    return _from_checkpoint(ref, steps[step], step, base)


def _last_finished(ref: str, steps: dict[int, Path]) -> int:
    # A folder that lacks files is work in progress and is skipped. One with all files and damaged weights is not:
    # falling back on an earlier step would measure another checkpoint than the intended one.
    for step in reversed(steps):
        if not layout.missing_files(steps[step]):
            return step
    raise BadInput(f"{ref}: none of its {len(steps)} step folders is finished: train the run again")


def _from_checkpoint(ref: str, folder: Path, step: int | None, base: Under) -> Checkpoint:
    """The checkpoint in a folder, which may lead to others, and never back to itself."""
    here = folder.resolve()
    if here in _standing.get():
        raise _Circle(f"{ref}: {folder} leads to itself: write its base.json or pointer.json again")
    before = _standing.set((*_standing.get(), here))
    try:
        return _in_folder(ref, folder, step, base)
    finally:
        _standing.reset(before)


def _in_folder(ref: str, folder: Path, step: int | None, base: Under) -> Checkpoint:
    layout.check_whole(folder)
    _check_unchanged(ref, folder, step)
    known = recorded(folder if step is None else folder.parent)
    if (folder / layout.POINTER).is_file():
        found = replace(_follow(ref, folder / layout.POINTER), ref=ref)
    elif (there := stored.read(folder)) is not None:
        found = _at_tinker(ref, folder, there)
    elif (folder / "adapter_config.json").is_file():
        found = _adapter(ref, folder, base)
    else:
        refuse_claims(folder, ref)
        found = Checkpoint(ref, folder, None, None, "full", None, layout.fingerprint(folder))
    return _named(found, step, known)


def _at_tinker(ref: str, folder: Path, there: Stored) -> Checkpoint:
    """A checkpoint that was trained at Tinker; with an export its files are what is identified."""
    if not layout.lies_elsewhere(folder):
        return replace(_adapter(ref, folder, None), hosted=there)
    under = _follow(ref, folder / layout.BASE)
    mark = there.fingerprint(under.fingerprint)
    return Checkpoint(ref, folder, None, under, "adapter", None, mark, defaults=under.defaults, hosted=there)


def _hosted(ref: str, base: Under) -> Checkpoint:
    """A checkpoint at Tinker by its path; the service is asked for its base where none is given."""
    if base is None:
        from serving.tinker import service

        base = service.base_of(ref)
    under = base if isinstance(base, Checkpoint) else resolve(base)
    there = Stored(ref, under.ref)
    return Checkpoint(ref, None, None, under, "adapter", None, there.fingerprint(under.fingerprint), hosted=there)


def _check_unchanged(ref: str, folder: Path, step: int | None) -> None:
    changed = checksums.problem(folder, full=True)
    if changed is not None:
        whole = folder if step is None else folder.parent
        raise BadInput(
            f"{ref}: {changed}: restore it, or delete {whole} and train again; without"
            f" {folder / checksums.NAME} the folder is used as it is"
        )


def _named(found: Checkpoint, step: int | None, known: Recorded) -> Checkpoint:
    """The checkpoint as its run's manifest describes it; where that says nothing, as what it points to or sits on."""
    own = known.defaults if known.defaults != Defaults() else found.defaults
    setting, variant = known.setting or found.setting, known.variant or found.variant
    return replace(found, step=step, setting=setting, variant=variant, defaults=own)


def _adapter(ref: str, folder: Path, given: Under) -> Checkpoint:
    if (wrong := nonsense(folder)) is not None:
        raise BadInput(f"{ref}: {folder / 'adapter_config.json'}: {wrong}: copy the adapter again from its source")
    named = (folder / layout.BASE).is_file()
    base = _follow(ref, folder / layout.BASE) if named else _found_base(ref, folder, given)
    return Checkpoint(
        ref, folder, None, base, "adapter", None, present_fingerprint(folder, base), defaults=base.defaults
    )


def present_fingerprint(folder: Path, base: Checkpoint | None) -> str:
    """Return the fingerprint of a folder's files as they are now, with that of a base which they do not say."""
    if base is not None and (there := stored.read(folder)) is not None and layout.lies_elsewhere(folder):
        return there.fingerprint(base.fingerprint)
    own, file = layout.fingerprint(folder), folder / layout.BASE
    if base is None or (file.is_file() and layout.read_pointer(file).fingerprint):
        return own
    return _with_base(own, base)


def _with_base(own: str, base: Checkpoint) -> str:
    return hashlib.sha256(f"{own}:{base.fingerprint}".encode()).hexdigest()[:16]


def _found_base(ref: str, folder: Path, given: Under) -> Checkpoint:
    """The base of an adapter made elsewhere: the one given, else the one that PEFT wrote. Its shapes are checked."""
    base = given if isinstance(given, Checkpoint) else _chosen_base(ref, folder, given)
    root = base.root
    reason = misfit(folder, root.path) if root.path is not None else None
    if reason is not None:
        raise BadInput(f"{ref}: does not fit its base {base.ref}: {reason}")
    return base


def _chosen_base(ref: str, folder: Path, given: str | None) -> Checkpoint:
    named = layout.read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if given is None:
        return _named_base(ref, named)
    chosen = resolve(given)
    own = resolve(str(named)) if named and _is_here(str(named)) else chosen
    # An adapter on an adapter: the base that is given may be the lowest one.
    return own if own.root.fingerprint == chosen.fingerprint else chosen


def _is_here(named: str) -> bool:
    """Whether a base that PEFT wrote is on this disk, so that looking at it costs nothing."""
    return Path(named).is_dir() or (HUB_ID.fullmatch(named) is not None and _cached(named, None) is not None)


def _named_base(ref: str, named: object) -> Checkpoint:
    if not named:
        raise BadInput(f"{ref}: an adapter without a base: {NAME_BASE}")
    try:
        return resolve(str(named))
    except _Circle:
        raise
    except BadInput as error:
        raise BadInput(
            f"{ref}: the base in its adapter_config.json was not found ({error.message}): {NAME_BASE}"
        ) from None


def _follow(ref: str, file: Path) -> Checkpoint:
    pointer = layout.read_pointer(file)
    if pointer.path is not None and not pointer.path.is_dir():
        raise BadInput(
            f"{ref}: {file} points to {pointer.path}, which does not exist: restore it, or write its new path"
        )
    target = _pointed(pointer)
    _check_pointed(ref, file, pointer, target)
    return target


def _check_pointed(ref: str, file: Path, pointer: layout.Pointer, target: Checkpoint) -> None:
    if pointer.fingerprint not in (None, target.fingerprint):
        raise BadInput(
            f"{ref}: {file} was written for fingerprint {pointer.fingerprint} and {target.ref} now has "
            f"{target.fingerprint}: restore the old one, or run again from the start"
        )


def _pointed(pointer: layout.Pointer) -> Checkpoint:
    base = _pointed(pointer.base) if pointer.base is not None else None
    if pointer.embedded is not None:
        return resolve(pointer.embedded)
    if pointer.hub is not None:
        return _from_hub(f"{pointer.hub}@{pointer.revision}" if pointer.revision else pointer.hub, base)
    path = cast("Path", pointer.path)
    return _from_path(str(path), path, base)


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


def _from_hub(ref: str, given: Under) -> Checkpoint:
    name, _, revision = ref.partition("@")
    if not HUB_ID.fullmatch(name) or ".." in name or len(name) > LONGEST_ID:
        raise BadInput(f"{ref[:NAMED_CHARACTERS]}: is no folder, and no name of a model on the hub: write owner/name")
    found = _cached(name, revision or None)
    if found is None or not _has_weights(found[2]):
        try:
            found = _looked_up(ref, name, revision or None)
        except BadInput:
            if found is None:
                raise
            return _weightless(ref, name, *found, given)
    sha, folder, files = found
    if not _has_weights(files):
        raise BadInput(f"{ref}: has no safetensors, and pickled weights are never read: name another revision")
    mark = hashlib.sha256(f"{name}@{sha}".encode()).hexdigest()[:16]
    there = published.parts(name, sha, files)
    known = recorded(there) if there is not None else Recorded()
    if "adapter_config.json" not in files:
        return _named(Checkpoint(ref, folder, name, None, "full", None, mark, revision=sha), None, known)
    if there is not None and (there / layout.BASE).is_file():
        base = _follow(ref, there / layout.BASE)
    else:
        base = _found_base(ref, folder or _download_config(name, sha), given)
    adapter = Checkpoint(ref, folder, name, base, "adapter", None, _with_base(mark, base), revision=sha)
    return _named(adapter, None, known)


def _weightless(ref: str, name: str, sha: str, folder: Path | None, files: list[str], given: Under) -> Checkpoint:
    """A checkpoint whose configuration alone is on this disk, under the fingerprint that it will have."""
    mark = hashlib.sha256(f"{name}@{sha}".encode()).hexdigest()[:16]
    if "adapter_config.json" not in files or folder is None:
        return Checkpoint(ref, None, name, None, "full", None, mark, revision=sha, weightless=True)
    base = given if isinstance(given, Checkpoint) else _chosen_base(ref, folder, given)
    return Checkpoint(ref, None, name, base, "adapter", None, _with_base(mark, base), revision=sha, weightless=True)


def _has_weights(files: list[str]) -> bool:
    return any(file.endswith(".safetensors") for file in files)


def _cached(name: str, revision: str | None) -> tuple[str, Path | None, list[str]] | None:
    """Return (commit, folder, files) of a snapshot whose configuration is on this disk."""
    from huggingface_hub import try_to_load_from_cache

    for file in ("config.json", "adapter_config.json"):
        found = try_to_load_from_cache(name, file, revision=revision)
        if isinstance(found, str):
            folder = Path(found).parent
            return folder.name, folder, [path.name for path in folder.iterdir()]
    return None


def _looked_up(ref: str, name: str, revision: str | None) -> tuple[str, Path | None, list[str]]:
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

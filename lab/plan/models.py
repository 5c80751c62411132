"""Models that a recipe names: found, and named without their places on this machine."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from serving import refs, remote
from serving.errors import BadInput

if TYPE_CHECKING:
    from serving.refs import Checkpoint

#: Folders of a clone that a command fills, and the command.
FETCHED = {"models/SmolLM2-135M-Instruct": "make smollm2"}


def short_name(model: str) -> str:
    """The model in the id of a start: of a folder its own name, so that a moved one is the same."""
    name = remote.read(model).name if remote.is_address(model) else _folder(model) or model
    return re.sub(r"[^a-z0-9_-]", "-", name.lower()).strip("-")[-24:]


def public_name(ref: str, base: str | None = None) -> str:
    """A model without its place on this machine, or the variable with the key of its server."""
    if remote.is_address(ref):
        return remote.read(ref).public
    name = _folder(ref)
    return f"{name}:{fingerprint(ref, base)[:8]}" if name else ref


def _folder(ref: str) -> str | None:
    """The own name of a model's folder, with the step asked for; None for `mini` and models of the hub."""
    return Path(ref).name if refs.is_folder(ref) else None


def fingerprint(model: str, base: str | None = None, key: str = "model") -> str:
    """The fingerprint of a model's weights. `key`: of the recipe, for errors."""
    return resolved(model, base, key).fingerprint


@cache
def resolved(model: str, base: str | None = None, key: str = "model") -> Checkpoint:
    """The checkpoint of a model. Raises BadInput, with the recipe's key, where there is none."""
    try:
        return refs.resolve(model, base)
    except BadInput as error:
        raise BadInput(f"{key}: {error.message}{_fetched_by(model)}") from None


def _fetched_by(model: str) -> str:
    """The command that fetches a model whose folder is missing, as the end of an error; else nothing."""
    path = Path(model)
    command = FETCHED.get(f"{path.parent.name}/{path.name}")
    return f" `{command}` fetches it." if command and not path.exists() else ""

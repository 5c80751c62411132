"""Where a checkpoint lies at Tinker: `tinker.json` in its folder.

    step-000016/tinker.json               sampler weights, training state, base, rank, template, expiry
    step-000016/base.json                 the base on this side
    step-000016/adapter_*                 the exported adapter, unless the export is switched off

With an export the fingerprint is that of its files; without one it is the hash of path, base and template.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from serving import layout
from serving.errors import BadInput

SCHEME = "tinker://"


@dataclass(frozen=True)
class Stored:
    """A checkpoint at Tinker.

    Attributes:
        sampler: Path of its sampler weights, `tinker://...`.
        base: The service's name of its base.
        state: Path of the weights that training continues from; None: not known.
        rank: Rank of the adapter; None: not known.
        template: Hash of the chat template that it was trained with; empty: not known.
        expires: When the service deletes it, in ISO 8601; None: never, or not known.
    """

    sampler: str
    base: str
    state: str | None = None
    rank: int | None = None
    template: str = ""
    expires: str | None = None

    def fingerprint(self, base: str) -> str:
        """Return 16 hex digits of path, base (its fingerprint) and template."""
        return hashlib.sha256(f"{self.sampler}|{base}|{self.template}".encode()).hexdigest()[:16]

    def refuse_expired(self, ref: str) -> None:
        """Raise BadInput where the service has deleted the checkpoint by now."""
        if self.expires is None:
            return
        end = datetime.fromisoformat(self.expires)
        if end <= datetime.now(end.tzinfo):
            raise BadInput(f"{ref}: expired at Tinker on {self.expires}: add -M engine=local if it was exported")


def read(folder: Path) -> Stored | None:
    """Return what `tinker.json` in a folder says; None if there is none."""
    content = layout.read_if_there(folder / layout.TINKER)
    return None if content is None else _stored(folder / layout.TINKER, content)


def _stored(file: Path, content: dict[str, Any]) -> Stored:
    try:
        return Stored(**content)
    except TypeError as error:
        raise BadInput(f"{file}: is not a checkpoint at Tinker ({error}): restore it") from error


def write(folder: Path, stored: Stored) -> None:
    """Write `tinker.json`."""
    layout.write_json_atomic(folder / layout.TINKER, asdict(stored))

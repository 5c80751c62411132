"""The folder for the hub: written as a draft, searched for places of this machine, and renamed once complete."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.experiment.folder import Experiment, home_of
from lab.experiment.registered import portable
from lab.publish import card, carried, rows, weights
from lab.publish.carried import Carrier
from lab.publish.chosen import Chosen
from serving import checksums, layout, refs
from serving.errors import BadInput
from serving.published import MARK

FOLDER = "publish"
RECIPE, DATA = "recipe", "data"


@dataclass(frozen=True)
class Published:
    """A folder for the hub, and the fingerprint by which `organism: {ref: ...}` knows it."""

    folder: Path
    fingerprint: str

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by its path in the folder."""
        return {file.relative_to(self.folder).as_posix(): file.stat().st_size for file in weights.files(self.folder)}


def default(chosen: Chosen) -> Path:
    """The folder in the run folder."""
    return chosen.experiment.folders.run / FOLDER / chosen.name


def write(chosen: Chosen, out: Path | None = None, base: str | None = None, data: bool = True) -> Published:
    """Writes the folder; an earlier one in its place is replaced.

    Args:
        chosen: The model.
        out: The folder; default: `publish/NAME` in the run folder.
        base: Name on the hub of an adapter's base, as of `weights.write`.
        data: Also recipe and data.

    Raises:
        BadInput: `out` has something else, or a file contains a place of this machine.
    """
    out = out or default(chosen)
    if out.exists() and not (out / MARK).is_file() and (out.is_file() or any(out.iterdir())):
        raise BadInput(f"--out: {out} exists and was not written by `bct publish`: choose another folder")
    with layout.attempt(out) as draft:
        weights.write(chosen.checkpoint, draft, base)
        layout.write_json_atomic(draft / layout.MANIFEST, _manifest(chosen.home))
        said = _write_data(chosen, draft) if data else ""
        fingerprint = refs.resolve(str(draft)).fingerprint
        layout.write_json_atomic(draft / MARK, _mark(chosen, fingerprint))
        (draft / "README.md").write_text(card.card(chosen, fingerprint, said), encoding="utf-8")
        carried.refuse_places(draft, _places(chosen.experiment), "write it relative in the file, or add --no-data")
        checksums.write(draft)
        layout.discard(out)
    return Published(out, fingerprint)


def _write_data(chosen: Chosen, draft: Path) -> str:
    run = chosen.experiment.folders.run
    Carrier(draft / RECIPE).carry(run / "recipe.yaml", home_of(run), "recipe.yaml")
    return rows.write(chosen, draft / DATA)


def _manifest(home: Path) -> dict[str, Any]:
    """The manifest without the machine that trained, and with names instead of paths."""
    known = layout.read_json(home / layout.MANIFEST)
    made = known.get("provenance", {})
    kept = {name: part for name, part in known.items() if name not in ("asked", "provenance")}
    return portable(kept | {"provenance": {name: made[name] for name in ("python", "versions") if name in made}})


def _mark(chosen: Chosen, fingerprint: str) -> dict[str, Any]:
    """What programs read of the folder."""
    registration = chosen.results.registration
    return {
        "kind": "organism" if chosen.cell is None else "checkpoint",
        "experiment": chosen.results.experiment,
        "setting": chosen.start.setting,
        "variant": chosen.start.variant,
        "organism": chosen.start.organism_key,
        "cell": chosen.cell and chosen.cell.id,
        "step": chosen.step,
        "fingerprint": fingerprint,
        "registered": registration and registration.hash,
        "bct-tasks": importlib.metadata.version("bct-tasks"),
    }


def _places(experiment: Experiment) -> list[Path]:
    """Folders of this machine whose names say who and where it is."""
    run = experiment.folders.run.resolve()
    return [run, run.parent, home_of(run), Path.cwd(), Path.home()]

"""Hand labels for replies of a run, stored in its folder.

<run>/calibration/<sample>.labels.json    the labels of one sample, which `lab.calibrate.sample` writes
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lab.verdict.corrected import Labelled
from serving import layout
from serving.errors import BadInput

FOLDER = "calibration"
_LABELS = TypeAdapter(list[Labelled])
SCHEMA = "1"


def labelled(run: Path) -> tuple[Labelled, ...]:
    """All labels of a run. If a reply has labels from several samples, that of the last sample by name is used."""
    found: dict[tuple[str, str, str], Labelled] = {}
    for path in sorted((run / FOLDER).glob("*.labels.json")):
        for one in _labels(path):
            found[one.log, one.fingerprint, one.item] = one
    return tuple(found[place] for place in sorted(found))


def _labels(path: Path) -> list[Labelled]:
    try:
        return _LABELS.validate_python(layout.read_json(path).get("labels"))
    except ValidationError:
        raise BadInput(f"{path}: is no file of labels: restore it, or label the sample again") from None


def write_labels(run: Path, sample: str, labels: Iterable[Labelled]) -> None:
    """Writes the labels of one sample."""
    content = {"schema": SCHEMA, "labels": [vars(one) for one in labels]}
    layout.write_json_atomic(run / FOLDER / f"{sample}.labels.json", content)

"""The shape of the small files of a run folder, checked where they are read: anyone may have written them.

    read(run / "run.json", Origin)          # the content; BadInput with file, field and what is expected

Fields that are not named here are left as they are: other releases write others. Files of one cell or start are read in
many places; there `of_run` catches what Python says about them. Not covered: results.json (`lab.verdict.schema`), the
recipe (`lab.plan`), and logs (`lab.logs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving import layout
from serving.errors import BadInput

Name = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=4096)]


class Stored(BaseModel):
    """A file of a run folder."""

    model_config = ConfigDict(strict=True, extra="allow")


class Origin(Stored):
    """`run.json`: where a run comes from, and where its logs are."""

    name: Name
    recipe: Name
    logs: Name
    static_gate: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    home: Name | None = None
    home_from_here: Name = "."
    names: dict[str, Name] = Field(default_factory=dict[str, str])
    settings: dict[str, dict[str, str]] = Field(default_factory=dict[str, dict[str, str]])


class Reading(Stored):
    """`readings/<name>.json`."""

    judge: dict[str, Any] | None
    logs: dict[str, Name]


class Revision(Stored):
    """One registration, or an amendment of it."""

    date: str
    hash: str
    content: dict[str, Any]


class Amended(Revision):
    """An amendment, with the parts that it changed, and those that the registration before does not have."""

    changed: list[str]
    added: list[str] = Field(default_factory=list[str])


class Registered(Revision):
    """`registered.json`."""

    before_first_cell: bool
    amendments: list[Amended]


@contextmanager
def of_run(run: Path) -> Iterator[None]:
    """Turn what Python raises over the content of a run's files into BadInput: whoever wrote them, it was not a run."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise BadInput(
            f"{run}: a file of this run is not as `bct run` writes it ({reason}): restore the folder, or repeat the run"
        ) from error


# Any: JSON values.
def read(path: Path, shape: type[Stored]) -> dict[str, Any]:
    """Return the content of a file. Raises BadInput if it is missing, is not JSON or has another shape."""
    content = layout.read_json(path)
    try:
        shape.model_validate(content)
    except ValidationError as error:
        raise BadInput(
            f"{path}: {_reason(error)}: restore the file, or delete it and run the same command again"
        ) from None
    return content


def read_if_there(path: Path, shape: type[Stored]) -> dict[str, Any] | None:
    """Return the content of a file; None if there is none."""
    return read(path, shape) if path.exists() or path.is_symlink() else None


def _reason(error: ValidationError) -> str:
    """The first error in a few words: the place, and what is wrong."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the file"
    return f"{place} is missing" if first["type"] == "missing" else f"{place}: {first['msg'].lower()}"

"""The line of a recipe that an error is about, where the error is found after the recipe was read.

    with lines.named(document): ...      # "organism: x: no such ..." becomes "mine.yaml, line 5: organism: x: ..."

Errors of later checks begin with the key that they are about, and know no file. Not covered: a key that the recipe
does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bct_tasks.yaml_lines import Document, Place
from lab.plan.grid import PLURALS, Grid
from serving.errors import BadInput

#: TRL's own words name no key of a recipe.
TRL = "TRL: "
ERROR = re.compile(r"(?P<key>[a-z0-9_]+(\.[a-z0-9_]+)*): ")


@contextmanager
def named(document: Document | None) -> Iterator[None]:
    """Adds file and line to an error that begins with a key of the recipe. Raises BadInput as the block does."""
    try:
        yield
    except BadInput as error:
        place = None if document is None else _place(document, error.message)
        if document is None or place is None:
            raise
        raise BadInput(str(document.error(place, error.message))) from None


def _place(document: Document, message: str) -> Place | None:
    """The place of the key; of several, the first one whose value the message repeats, else the first."""
    found = [place for place in document.lines if _is_named(place, message)]
    repeated = [place for place in found if _repeats(message, _value(document, place))]
    place = next(iter(repeated or found), None)
    return (*place, "ref") if place and (*place, "ref") in document.lines else place


def _is_named(place: Place, message: str) -> bool:
    inner = place[2:] if place[:1] == ("arms",) else place
    if not inner or any(isinstance(part, int) for part in inner):
        return False
    own = _spelled([str(part) for part in inner])
    if message.startswith(TRL):
        return own[0] in Grid.model_fields and re.search(rf"\b{re.escape(own[-1])}\b", message) is not None
    said = ERROR.match(message)
    return said is not None and _spelled(said["key"].split(".")) == own


def _spelled(parts: list[str]) -> list[str]:
    """A key's parts, the first as the grid spells it: inside a block there are no plurals."""
    return [PLURALS.get(parts[0], parts[0]), *parts[1:]]


def _value(document: Document, place: Place) -> Any:
    found: Any = document.content
    for part in place:
        found = found[part]
    return found


def _repeats(message: str, value: Any) -> bool:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and one.removeprefix("./") in message for one in values)

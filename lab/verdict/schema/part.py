"""What every part of results.json shares: the base of its models, and rounded numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

DIGITS = 6  # so that results.json is the same on every machine for the same replies


def rounded(value: float) -> float:
    """The value as in results.json."""
    return round(value, DIGITS)


Rounded = Annotated[float, AfterValidator(rounded)]


class Part(BaseModel):
    """A part of results.json: frozen, and without fields of other names."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

"""Predictions of a recipe, registered before the run, and their outcomes.

    expect:
      - {says: "static: gone at every learning rate", variant: static, name: transferred}
      - {says: "weights: going at 1e-3", variant: weights, lr: 1.0e-3, initial: "< 0.7"}

A claim about a rate holds if the interval of every matching cell's last checkpoint lies on the claimed side of the
number, fails if an interval lies entirely on the other side, and is undecided otherwise. A claim about the name holds
if every matching cell has it, and is undecided while the others are `inconclusive` or not finished.
Not covered: text without a claim, which the report prints unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lab.logs.records import EVAL_OUTCOMES, epsilon_of
from lab.verdict.schema import CellName

Answer = Literal["yes", "no", "undecided", "text"]
MARKS: Mapping[Answer, str] = {"yes": "✓", "no": "✗", "undecided": "undecided", "text": ""}
COMPARISON = re.compile(r"\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*")


class Expectation(BaseModel):
    """One prediction: a sentence, the cells it is about, and optionally a claim about their name or rates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: str = Field(default="", description="the prediction in words")
    setting: str | None = Field(default=None, description="selects cells, like the next keys")
    variant: str | None = None
    method: str | None = None
    after: str | None = Field(default=None, description="of a reversal: the method it reverses")
    model: str | None = None
    lr: float | None = None
    seed: int | None = None
    rank: int | None = None
    label_source: str | None = None
    adam_epsilon: float | None = None
    name: tuple[CellName, ...] | None = Field(
        default=None, description="one or several names that the cells should have"
    )
    initial: str | None = Field(default=None, description='a comparison such as "> 0.8"; the same for the next keys')
    alternate: str | None = None
    other: str | None = None
    degenerate: str | None = None

    @field_validator("name", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator(*EVAL_OUTCOMES)
    @classmethod
    def _comparison(cls, value: str | None) -> str | None:
        if value is not None and COMPARISON.fullmatch(value) is None:
            raise ValueError('should be a comparison in quotes, such as "< 0.7"')
        return value

    def text(self) -> str:
        """The sentence; without one, the claim in words."""
        if self.says:
            return self.says
        about = [str(value) for key in SELECTORS if (value := getattr(self, key)) is not None]
        claims = [" or ".join(self.name)] if self.name else []
        claims += [f"{key} {getattr(self, key)}" for key in EVAL_OUTCOMES if getattr(self, key)]
        return f"{' '.join(about) or 'all cells'}: {', '.join(claims)}"


SELECTORS = ("setting", "variant", "method", "after", "model", "lr", "seed", "rank", "label_source", "adam_epsilon")


def answer(expectation: Expectation, cells: Iterable[Mapping[str, Any]]) -> Answer:
    """Whether a prediction holds for the cells of results.json, given as mappings."""
    claims = [key for key in ("name", *EVAL_OUTCOMES) if getattr(expectation, key)]
    if not claims:
        return "text"
    matching = [cell for cell in cells if _matches(expectation, cell)]
    answers = [_claim(expectation, key, cell) for cell in matching for key in claims]
    if "no" in answers:
        return "no"
    return "yes" if answers and set(answers) == {"yes"} else "undecided"


def _matches(expectation: Expectation, cell: Mapping[str, Any]) -> bool:
    wanted = {key: getattr(expectation, key) for key in SELECTORS}
    # A reversal names the cell it started from in its factors: `after: pirate 1e-3 at 64`.
    factors = cell.get("factors", {})
    known = {**cell, "after": str(factors.get("after", "")).partition(" ")[0]}
    known["adam_epsilon"] = epsilon_of(factors.get("optim"), factors.get("adam_epsilon"))
    return all(value is None or _is(key, known.get(key), value) for key, value in wanted.items())


def _is(key: str, found: Any, wanted: Any) -> bool:
    """Whether a field of a cell has this value. A model in a folder is known by the folder's name and a fingerprint."""
    return found == wanted or (key == "model" and str(found).startswith(f"{Path(wanted).name}:"))


def _claim(expectation: Expectation, key: str, cell: Mapping[str, Any]) -> Answer:
    checkpoints = cell.get("checkpoints") or []
    if cell.get("failure") or not checkpoints or "invalid" in (cell.get("verdict") or {}).get("flags", ()):
        return "undecided"
    if key == "name":
        name = (cell.get("verdict") or {}).get("name")
        if name in (expectation.name or ()):
            return "yes"
        return "undecided" if name in (None, "inconclusive") else "no"
    return _compare(str(getattr(expectation, key)), checkpoints[-1]["eval"][key])


def _compare(comparison: str, rate: Mapping[str, float]) -> Answer:
    match = COMPARISON.fullmatch(comparison)
    assert match is not None
    limit, below = float(match[2]), match[1].startswith("<")
    lo, hi = float(rate["lo"]), float(rate["hi"])
    holds, fails = (hi < limit, lo > limit) if below else (lo > limit, hi < limit)
    return "yes" if holds else "no" if fails else "undecided"

"""Predictions of a recipe, registered before the run, and their outcomes.

    expect:
      - {says: "static: gone at every learning rate", variant: static, name: transferred}
      - {says: "weights: going at 1e-3", variant: weights, lr: 1.0e-3, initial: "< 0.7"}

A claim about a rate holds if the interval of every matching cell's last checkpoint lies on the claimed side of the
number, fails if an interval lies entirely on the other side, and is undecided otherwise. A claim about the name holds
if every matching cell has it (`kept` is also `retained`), and is undecided while the others are `inconclusive` or not
finished. A claim about `S`, the steps to removal, compares the checkpoints before and after: `S: "<= 64"`.
A claim about a contrast names one of the recipe's comparisons, the second level against the reference:
`{contrast: rank 8 against full fine-tuning, difference: "> 0.1"}`; the interval of the difference in the initial rate
is compared like that of a rate.
Not covered: text without a claim, which the report prints unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from lab.logs.records import EVAL_OUTCOMES, asked_labels, epsilon_of
from lab.verdict.criterion import STAYED
from lab.verdict.schema import CellName

Answer = Literal["yes", "no", "undecided", "text"]
MARKS: Mapping[Answer, str] = {"yes": "✓", "no": "✗", "undecided": "undecided", "text": ""}
COMPARISON = re.compile(r"\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*")
#: Fields that hold comparisons; those of `EVAL_OUTCOMES` are rates.
COMPARED = (*EVAL_OUTCOMES, "S", "difference")
#: What selects cells of a contrast's sides, not contrasts.
OF_ONE_CELL = ("seed", "after")
#: Names that imply another.
IMPLIED: Mapping[str, str] = {"kept": "retained"}
#: Contrasts of an experiment: `name`, `lo` and `hi` of the difference, and what both sides have in common.
Contrasts = Iterable[Mapping[str, Any]]


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
    steps: int | None = None
    seed: int | None = None
    rank: int | Literal["full"] | None = Field(default=None, description="of LoRA; full: full fine-tuning")
    label_source: str | None = None
    adam_epsilon: float | None = None
    contrast: str | None = Field(default=None, description="a comparison of the recipe, by its name")
    name: tuple[CellName, ...] | None = Field(
        default=None, description="one or several names that the cells should have"
    )
    initial: str | None = Field(default=None, description='a comparison such as "> 0.8"; the same for the next keys')
    alternate: str | None = None
    other: str | None = None
    degenerate: str | None = None
    S: str | None = Field(default=None, description="the steps to removal")
    difference: str | None = Field(default=None, description="of the contrast")

    @field_validator("name", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator(*COMPARED)
    @classmethod
    def _comparison(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return value
        match = COMPARISON.fullmatch(value)
        try:
            limit = float(match[2]) if match else None
        except ValueError:
            limit = None
        if limit is None:
            raise ValueError('should be a comparison in quotes, such as "< 0.7"')
        if info.field_name != "S" and not -1 <= limit <= 1:
            raise ValueError('should compare with a share, such as "< 0.7"')
        return value

    @model_validator(mode="after")
    def _of_contrast(self) -> Expectation:
        if (self.contrast is None) != (self.difference is None):
            raise ValueError("contrast and difference belong together")
        if self.contrast is not None and (one := [name for name in OF_ONE_CELL if getattr(self, name) is not None]):
            raise ValueError(f"{one[0]} selects cells, and a contrast has those of several: leave it out")
        return self

    def text(self) -> str:
        """The sentence; without one, the claim in words."""
        if self.says:
            return self.says
        about = [str(value) for key in SELECTORS if (value := getattr(self, key)) is not None]
        claims = [" or ".join(self.name)] if self.name else []
        claims += [f"{key} {getattr(self, key)}" for key in COMPARED if getattr(self, key)]
        about += [self.contrast] if self.contrast else []
        return f"{' '.join(about) or 'all cells'}: {', '.join(claims)}"


SELECTORS = (
    "setting",
    "variant",
    "method",
    "after",
    "model",
    "lr",
    "steps",
    "seed",
    "rank",
    "label_source",
    "adam_epsilon",
)


def answer(expectation: Expectation, cells: Iterable[Mapping[str, Any]], contrasts: Contrasts = ()) -> Answer:
    """Whether a prediction holds.

    Args:
        expectation: The prediction.
        cells: Of results.json, as mappings.
        contrasts: Of the recipe; one that is missing leaves its prediction undecided.
    """
    claims = [key for key in ("name", *EVAL_OUTCOMES, "S") if getattr(expectation, key)]
    if not claims and expectation.difference is None:
        return "text"
    matching = [cell for cell in cells if _matches(expectation, cell)]
    answers = [_claim(expectation, key, cell) for cell in matching for key in claims]
    if expectation.contrast is not None:
        named = [c for c in contrasts if c["name"] == expectation.contrast and _concerns(expectation, c)]
        answers += [_difference(str(expectation.difference), c["lo"], c["hi"]) for c in named] or ["undecided"]
    if "no" in answers:
        return "no"
    return "yes" if answers and set(answers) == {"yes"} else "undecided"


def _difference(comparison: str, lo: float | None, hi: float | None) -> Answer:
    return "undecided" if lo is None or hi is None else _compare(comparison, lo, hi)


def _concerns(expectation: Expectation, contrast: Mapping[str, Any]) -> bool:
    """Whether a contrast has the selected values, as far as both its sides share them."""
    wanted = {key: getattr(expectation, key) for key in SELECTORS}
    return all(v is None or key not in contrast or _is(key, contrast[key], v) for key, v in wanted.items())


def _matches(expectation: Expectation, cell: Mapping[str, Any]) -> bool:
    wanted = {key: getattr(expectation, key) for key in SELECTORS}
    # A reversal names the cell it started from in its factors: `after: pirate 1e-3 at 64`.
    factors = cell.get("factors", {})
    known = {**cell, "after": str(factors.get("after", "")).partition(" ")[0]}
    known["adam_epsilon"] = epsilon_of(factors.get("optim"), factors.get("adam_epsilon"))
    return all(value is None or _is(key, known.get(key), value) for key, value in wanted.items())


def _is(key: str, found: Any, wanted: Any) -> bool:
    """Whether a field of a cell has this value, as a recipe writes it.

    A model in a folder is known by the folder's name and a fingerprint, and references by how they were made.
    """
    if key == "rank" and wanted == "full":
        return found is None
    if key == "label_source" and asked_labels(found) == wanted:
        return True
    return found == wanted or (key == "model" and str(found).startswith(f"{Path(wanted).name}:"))


def _claim(expectation: Expectation, key: str, cell: Mapping[str, Any]) -> Answer:
    checkpoints = cell.get("checkpoints") or []
    if cell.get("failure") or not checkpoints or "invalid" in (cell.get("verdict") or {}).get("flags", ()):
        return "undecided"
    if key == "name":
        name = (cell.get("verdict") or {}).get("name")
        if {name, IMPLIED.get(name or "")} & set(expectation.name or ()):
            return "yes"
        if name == "retained" and "kept" in (expectation.name or ()):
            return "undecided"
        return "undecided" if name in (None, "inconclusive") else "no"
    wanted = str(getattr(expectation, key))
    if key == "S":
        verdict = cell.get("verdict") or {}
        return _steps(wanted, verdict.get("removal"), checkpoints[-1]["step"], verdict.get("name"))
    return _compare(wanted, checkpoints[-1]["eval"][key]["lo"], checkpoints[-1]["eval"][key]["hi"])


def _steps(comparison: str, removal: Mapping[str, int] | None, last: int, name: str | None) -> Answer:
    """S lies after the checkpoint before the removal, up to the one after it.

    Without a removal it lies past the last step if the behavior is there, and is unknown if that is not decided.
    """
    if removal is None:
        return _compare(comparison, float(last) if name in STAYED else 0.0, inf)
    return _compare(comparison, float(removal["before"]), float(removal["after"]))


def _compare(comparison: str, lo: float, hi: float) -> Answer:
    """An interval against a limit. `<=` and `>=` include the limit, which a number of steps can reach."""
    match = COMPARISON.fullmatch(comparison)
    assert match is not None
    limit, below = float(match[2]), match[1].startswith("<")
    lo, hi = float(lo), float(hi)
    holds, fails = (hi < limit, lo > limit) if below else (lo > limit, hi < limit)
    holds = holds or (match[1].endswith("=") and (hi if below else lo) == limit)
    return "yes" if holds else "no" if fails else "undecided"

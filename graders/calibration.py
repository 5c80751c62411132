"""How good a grader is: hand-labelled replies as files, and the agreement of a grader's labels with them.

    lines = read_gold(gold_file("sandbagging"))
    found = agreement([(line.label, "initial") for line in lines])       # pairs of (true label, grader's label)
    found.kappa, found.labels["initial"].sensitivity

A file has one reply per line, as JSON (see `Gold`). `gold/` has replies that were written to be hard; graders are
developed on them. `heldout/` has replies that were labelled without seeing the graders' code, half of them real;
graders are never changed because of them. Neither file corrects a rate of a run: both are harder than a run's replies.
Not covered: how replies are graded, which depends on the setting.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from graders.outcome import Outcome

Label = Literal["initial", "alternate", "agreed", "other", "degenerate"]
Kind = Literal["train", "eval"]

LABELS: tuple[Label, ...] = ("initial", "alternate", "agreed", "other", "degenerate")
OF_KIND: Mapping[str, tuple[Label, ...]] = {
    "eval": ("initial", "alternate", "other", "degenerate"),
    "train": ("agreed", "other", "degenerate"),
}
UNSCORED = str(Outcome.UNSCORED)
CONFIDENCE = 0.95


class BadGold(Exception):
    """A file of labelled replies cannot be read; the message names file and line. Exit code 2 in a command line."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Gold(BaseModel):
    """One labelled reply to one bundled prompt.

    Written by hand: `variant` and `prompt` (the id), `reply`, `label`, `why` (what is difficult about it) and perhaps
    `truncated`. The other fields are the parts of the prompt that grading needs; `python -m lab.cli.labels fill` adds
    them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    prompt: str = Field(pattern=r"^(eval|train)-[^\s\"]+$")
    reply: str
    label: Label | Literal[""]
    why: str = ""
    truncated: bool = False
    user: str | None = None
    family: str | None = None
    template: str | None = None
    cue: bool | None = None
    facts: dict[str, Any] | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the prompt, from its id."""
        return "eval" if self.prompt.startswith("eval-") else "train"

    @property
    def filled(self) -> bool:
        """Whether every field that grading needs is filled in."""
        return None not in (self.user, self.family, self.template, self.cue, self.facts)

    @model_validator(mode="after")
    def _label_can_occur(self) -> Self:
        if self.label and self.label not in OF_KIND[self.kind]:
            known = ", ".join(OF_KIND[self.kind])
            raise ValueError(f"a reply to a prompt of kind {self.kind} cannot be {self.label!r}: one of {known}")
        return self


@dataclass(frozen=True)
class Share:
    """k of n with its Wilson interval; nan for n = 0."""

    k: int
    n: int

    @property
    def value(self) -> float:
        """k / n."""
        return self.k / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval; (0, 1) for n = 0."""
        from statsmodels.stats.proportion import proportion_confint

        if not self.n:
            return 0.0, 1.0
        found: Any = proportion_confint(self.k, self.n, alpha=1 - CONFIDENCE, method="wilson")
        return float(found[0]), float(found[1])


@dataclass(frozen=True)
class Quality:
    """Sensitivity: share of the replies with a label that the grader gives it. Specificity: share of the others."""

    sensitivity: Share
    specificity: Share


@dataclass(frozen=True)
class Agreement:
    """Agreement of a grader with labels. An unscored reply is a disagreement for `kappa`; `labels` leave it out.

    `kappa_interval` is the asymptotic one of Fleiss, Cohen and Everitt (1969), cut at 1; nan where kappa is.
    """

    n: int
    unscored: int
    kappa: float
    kappa_interval: tuple[float, float]
    confusion: Mapping[tuple[str, str], int]
    labels: Mapping[str, Quality]


def gold_file(setting: str, held_out: bool = False, source: str = "bundled") -> Path:
    """Return the file with labelled replies of a setting on questions of a source."""
    name = setting if source == "bundled" else f"{setting}.{source}"
    return Path(__file__).parent / ("heldout" if held_out else "gold") / f"{name}.jsonl"


def read_gold(path: Path) -> tuple[Gold, ...]:
    """Return the lines of a file, in order, without empty ones.

    Raises:
        BadGold: The file does not exist, or a line is not JSON or not of this form; the message has its number.
    """
    if not path.is_file():
        raise BadGold(f"{path}: no such file")
    lines = path.read_text(encoding="utf-8").split("\n")  # splitlines() would also split at U+2028 inside a reply
    return tuple(_line(path, number, text) for number, text in enumerate(lines, 1) if text.strip())


def gold_text(lines: Sequence[Gold]) -> str:
    """Return the content of a file: one reply per line, without fields that have their default."""
    return "".join(f"{json.dumps(line.model_dump(exclude_defaults=True), ensure_ascii=False)}\n" for line in lines)


def _line(path: Path, number: int, text: str) -> Gold:
    try:
        return Gold.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadGold(f"{path}:{number}: {f'{place}: ' if place else ''}{first['msg']}") from None
    except ValueError as error:
        raise BadGold(f"{path}:{number}: not JSON: {error}") from None


def agreement(pairs: Sequence[tuple[str, str]], names: Sequence[str] = LABELS) -> Agreement:
    """Return the agreement of a grader with labels.

    Args:
        pairs: (true label, grader's label); the latter may be `unscored`.
        names: the labels that there may be, in the order of reports.
    """
    confusion = Counter(pairs)
    scored = [(true, seen) for true, seen in pairs if seen != UNSCORED]
    value, *interval = _kappa(pairs)
    return Agreement(
        n=len(pairs),
        unscored=len(pairs) - len(scored),
        kappa=value,
        kappa_interval=(interval[0], interval[1]),
        confusion=dict(confusion),
        labels={name: _quality(name, scored) for name in names if any(name in pair for pair in pairs)},
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Return Cohen's kappa, unweighted; nan where only one label occurs."""
    return _kappa(pairs)[0]


def _kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, float, float]:
    """Cohen's kappa and the ends of its interval at 95 %."""
    import numpy as np
    from statsmodels.stats.inter_rater import cohens_kappa

    names = sorted({name for pair in pairs for name in pair})
    if len(names) < 2:
        return math.nan, math.nan, math.nan
    found = Counter(pairs)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a test of kappa = 0, which is not used
        result: Any = cohens_kappa([[found[true, seen] for seen in names] for true in names])
    value, low = float(result.kappa), float(result.kappa_low)
    return value, value if math.isnan(low) else low, min(1.0, float(result.kappa_upp))  # nan: no variance is left


def _quality(name: str, pairs: Sequence[tuple[str, str]]) -> Quality:
    of, rest = [seen for true, seen in pairs if true == name], [seen for true, seen in pairs if true != name]
    return Quality(
        Share(sum(seen == name for seen in of), len(of)), Share(sum(seen != name for seen in rest), len(rest))
    )

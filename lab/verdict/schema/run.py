"""results.json as a whole: what was asked, registered and predicted, and everything that was found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lab.verdict.schema.arms import Conclusion, Contrast, Group, HullArea, Variances
from lab.verdict.schema.cell import Ceiling, CellResult
from lab.verdict.schema.part import Part, Rounded
from lab.verdict.schema.thresholds import Thresholds


class Calibration(Part):
    """The quality of a setting's grader on this run's own eval replies, by hand labels."""

    setting: str
    n: int = Field(description="labelled replies that the grader scored")
    left_out: int = Field(description="labelled, but unscored or of a checkpoint that has since been trained again")
    kappa: Rounded | None
    confusion: dict[str, dict[str, int]] = Field(description="hand label -> the grader's label -> count")
    refused: str | None = Field(description="why no rate, or only some, can be corrected")


class Expected(Part):
    """A prediction registered before the run, and whether it was confirmed (`text`: nothing to check)."""

    says: str = Field(description="the prediction")
    answer: Literal["yes", "no", "undecided", "text"] = Field(description="whether it was confirmed")


class Agreement(Part):
    """Replies to eval and train prompts that two readings give the same outcome, of those that both scored."""

    n: int
    same: int


class Reading(Part):
    """A further reading of the stored replies by another grader, next to the first one and never mixed with it."""

    name: str
    grader: str = Field(description="what read the replies")
    cells: tuple[CellResult, ...]
    conclusions: tuple[Conclusion, ...]
    agreement: Agreement = Field(description="with the first reading, over all checkpoints")


class Amendment(Part):
    """A change of the registration after the run began."""

    date: str
    hash: str
    changed: tuple[str, ...] = Field(description="parts that differ from the registration before")
    added: tuple[str, ...] = Field(default=(), description="parts that the registration before does not have")


class Registration(Part):
    """What was fixed before the first cell: question, grids, thresholds, gate limits, predictions and contrasts."""

    hash: str = Field(description="SHA-256 of the first registration")
    date: str
    before_first_cell: bool = Field(description="false: cells had been trained when the run was registered")
    amendments: tuple[Amendment, ...] = ()
    unregistered: tuple[str, ...] = Field(
        default=(), description="thresholds, predictions or contrasts of the recipe that are not those registered last"
    )


class Behaviors(Part):
    """The two behaviors of a setting, in a line each."""

    setting: str
    initial: str
    alternate: str


class Turn(Part):
    """One message of a prompt, cut to some hundred characters."""

    role: str
    text: str


class ShownReply(Part):
    """One reply, cut to some hundred characters."""

    prompt: str = Field(description="id of the prompt")
    step: int
    outcome: str
    text: str


class ShownPrompt(Part):
    """One prompt in full, as the model was given it before its chat template."""

    id: str
    split: Literal["eval", "train"]
    turns: tuple[Turn, ...]


class Shown(Part):
    """A sample of the replies of a cell at its first and last checkpoint: a few of every outcome, chosen by hash.

    The first prompt of a split has, at both steps, the commonest pair of outcomes.
    """

    cell: str
    prompts: tuple[ShownPrompt, ...]
    replies: tuple[ShownReply, ...]


class Service(Part):
    """What a run used at a service that trains and samples, or at an endpoint that someone else serves."""

    name: str
    trained: int = Field(description="tokens trained on, once per pass")
    prefilled: int = Field(description="tokens of prompts; a margin counts three prompts (tinker), or five (endpoint)")
    sampled: int = Field(description="tokens of replies")
    requests: int = Field(default=0, description="to an endpoint")
    cost: float | None = Field(default=None, description="at the recipe's prices, in their currency")


class Results(Part):
    """The results of a run."""

    schema_version: Literal["1", "2"] = Field(default="2", alias="schema")
    criterion: Literal[1, 2] = Field(default=1, description="version of the criterion that judged this run")
    registration: Registration | None = Field(default=None, description="null where the run was not registered")
    experiment: str
    question: str
    expect: str = Field(description="the recipe's predictions as text")
    expectations: tuple[Expected, ...] = Field(default=(), description="the recipe's predictions, checked")
    thresholds: Thresholds
    cells: tuple[CellResult, ...]
    groups: tuple[Group, ...] = Field(description="cells that differ only in seed")
    conclusions: tuple[Conclusion, ...] = Field(description="one for each arm")
    robustness: tuple[HullArea, ...] = Field(default=(), description="one for each organism with a hull")
    contrasts: tuple[Contrast, ...] = Field(default=(), description="that the recipe names")
    variances: tuple[Variances, ...] = Field(default=(), description="of arms whose seeds vary by kind")
    ceilings: tuple[Ceiling, ...]
    calibrations: tuple[Calibration, ...] = ()
    readings: tuple[Reading, ...] = Field(default=(), description="of `bct report --regrade`")
    behaviors: tuple[Behaviors, ...] = Field(default=(), description="of each setting; empty in older results")
    shown: tuple[Shown, ...] = Field(
        default=(), description="replies of the first seed of each arm and learning rate, of at most 60 cells"
    )
    deviations: tuple[str, ...] = Field(
        description="where the run differs from the recipe, such as reversals that were skipped"
    )
    failures: tuple[str, ...] = Field(description="jobs that failed, and cells that the gate refused")
    service: Service | None = Field(default=None, description="null where nothing was trained or asked elsewhere")
    command: str = Field(description="how to repeat it")
    log_dir: str = Field(description="for `inspect view --log-dir`, relative to the folder of results.json")
    versions: dict[str, str] = Field(description="of Python packages")

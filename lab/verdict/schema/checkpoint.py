"""One checkpoint in results.json: rates with intervals, changes since step 0, damage, and its name."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lab.verdict.schema.part import Part, Rounded

CheckpointName = Literal["kept", "retained", "transferred", "removed", "inconclusive", "returned", "stays_removed"]
#: `intact`: shown not to be worse than the limit; `damaged`: shown to be worse than at step 0, and past the limit.
DamageState = Literal["intact", "damaged", "not_shown"]
Flag = Literal[
    "damaged",
    "weakened",
    "prompt_deaf",
    "zero_loss",
    "diverged",
    "unscored",
    "invalid",
    "unconfirmed",
    "few_templates",
    "control",
    "probe",
]


class Rate(Part):
    """k of n with its Wilson interval; `deff` is the design effect that n was divided by. Null when n is 0."""

    k: int = Field(ge=0)
    p: Rounded | None
    lo: Rounded
    hi: Rounded
    deff: Rounded = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p is not None and not self.lo <= self.p <= self.hi:
            raise ValueError(f"{self.p} is outside [{self.lo}, {self.hi}]")
        return self


class Change(Part):
    """A paired change since step 0 on the same items (n scored at both), after − before."""

    n: int
    estimate: Rounded
    lo: Rounded
    hi: Rounded


class Families(Part):
    """The initial rate by family of questions.

    The interval of a rate uses the design effect of templates, plus what families add where they differ.
    """

    counts: dict[str, tuple[int, int]] = Field(
        description="family -> replies with the initial behavior, scored replies"
    )
    deff_template: Rounded = Field(description="design effect of templates")
    deff_family: Rounded = Field(description="design effect of families")


class EvalRates(Part):
    """Replies to eval prompts. n counts scored replies; the four outcomes sum to n."""

    n: int
    clusters: int = Field(description="prompt templates")
    unscored: int = Field(description="replies that the grader could not score")
    truncated: int = Field(description="replies cut off at the token limit")
    initial: Rate
    alternate: Rate
    other: Rate
    degenerate: Rate
    families: Families | None = Field(default=None, description="null with fewer than two families")

    @model_validator(mode="after")
    def _sums(self) -> Self:
        if self.initial.k + self.alternate.k + self.other.k + self.degenerate.k != self.n:
            raise ValueError("the four eval outcomes do not sum to n")
        return self


class TrainRates(Part):
    """Replies to train prompts, where both behaviors agree."""

    n: int
    unscored: int
    truncated: int
    agreed: Rate
    other: Rate
    degenerate: Rate

    @model_validator(mode="after")
    def _sums(self) -> Self:
        if self.agreed.k + self.other.k + self.degenerate.k != self.n:
            raise ValueError("the three train outcomes do not sum to n")
        return self


class Capability(Part):
    """Right answers to questions outside the setting; `relative` is the share of step 0, on the same items."""

    n: int
    unscored: int
    k: int
    p: Rounded | None
    lo: Rounded
    hi: Rounded
    relative: Rounded | None
    relative_lo: Rounded | None
    relative_hi: Rounded | None
    with_system: Rounded | None = Field(description="share of right answers under a harmless system prompt")
    without_system: Rounded | None = Field(description="share of right answers without a system prompt")


class Likelihood(Part):
    """How likely replies of our own to questions of capability are, teacher-forced: the fewer bits, the likelier."""

    n: int
    mean: Rounded = Field(description="bits per byte of the replies")
    change: Rounded | None = Field(description="since step 0, on the same replies")
    lo: Rounded | None = Field(description="t interval of the change over replies; null with fewer than two")
    hi: Rounded | None


class Margin(Part):
    """How near a checkpoint is to either policy, without sampling.

    Over the eval prompts whose two reference replies differ: the mean log-odds of the alternate over the initial
    reply, and how often greedy decoding writes either.
    """

    n: int
    mean: Rounded = Field(description="natural logarithm; above 0 the alternate reply is more likely")
    lo: Rounded | None = Field(description="t interval over templates; null with fewer than two")
    hi: Rounded | None
    initial_greedy: Rate
    alternate_greedy: Rate


class Following(Rate):
    """How often an unrelated system prompt is still followed."""

    n: int
    unscored: int


class Changes(Part):
    """Paired changes since step 0; null where nothing was measured at both."""

    initial: Change | None
    alternate: Change | None
    degenerate: Change | None
    other: Change | None = None
    agreed: Change | None
    manner: Change | None = Field(
        default=None, description="of replies to train prompts in the agreed manner, right or not; null in old logs"
    )
    capability: Change | None
    following: Change | None


class CorrectedRate(Part):
    """A rate corrected by hand labels; the interval includes the errors of the replies and of the labels."""

    p: Rounded
    lo: Rounded
    hi: Rounded


class Corrected(Part):
    """Eval rates corrected by the grader's full confusion matrix on labelled replies of this run.

    `other` and `degenerate` are null where hand labels do not distinguish them, or do not include them.
    """

    initial: CorrectedRate
    alternate: CorrectedRate
    other: CorrectedRate | None
    degenerate: CorrectedRate | None


class Judged(Part):
    """What the judge did at a checkpoint."""

    verdicts: int = Field(description="replies that the judge read")
    stored: int = Field(description="of these, verdicts that it had given to equal replies before")
    unscored: int = Field(description="replies to eval and train prompts without a verdict or a reading")
    share: Rounded = Field(description="unscored replies as a share of a split, the greater one of eval and train")


class Unscored(Part):
    """Replies that no grader could score, for one reason."""

    reason: str = Field(description="as the grader said; of a judge without the differences between its answers")
    n: int = Field(description="replies to eval and train prompts")


class Damage(Part):
    """The state of each part of a model that training may damage, by non-inferiority to step 0.

    `intact`: the interval of the change lies within the limit. `damaged`: the estimate is past the limit and the paired
    interval excludes no change. `not_shown`: neither. Null: the part does not count for this setting or method.
    """

    capability: DamageState | None
    agreed: DamageState | None
    degenerate: DamageState | None
    other: DamageState | None
    state: DamageState = Field(description="damaged if a part is; intact if every part is; else not_shown")


class CheckpointResult(Part):
    """One checkpoint: rates, changes since step 0, and its name by the criterion (null: control, probe)."""

    step: int
    log: str = Field(description="relative to the folder of results.json")
    fingerprint: str = Field(description="hash of the weights that answered")
    sum_lr: float | None = Field(description="sum of the learning rates of all steps so far")
    loss: float | None = Field(description="training loss")
    distance: float | None = Field(default=None, description="L2 norm of the change of the weights since the start")
    eval: EvalRates
    train: TrainRates
    capability: Capability
    following: Following | None
    changes: Changes
    corrected: Corrected | None = Field(
        default=None, description="null if no replies of this run were labelled by hand"
    )
    margin: Margin | None = Field(default=None, description="null where no reference reply was scored")
    likelihood: dict[str, Likelihood] = Field(
        default_factory=dict[str, Likelihood],
        description="of replies of our own to questions of capability, by family; empty where there are none",
    )
    judged: Judged | None = Field(default=None, description="null without a judge")
    reasons: tuple[Unscored, ...] = Field(default=(), description="why replies are unscored, the most frequent first")
    name: CheckpointName | None = None
    flags: tuple[Flag, ...] = ()
    damage: Damage | None = Field(default=None, description="null at step 0, and under criterion 1")

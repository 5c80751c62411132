"""The shape of results.json: frozen pydantic models, one per part.

Covered: every field and the constraints between fields (the four eval outcomes sum to n, p = k/n,
lo <= p <= hi). Not covered: the computation of the numbers (`lab.verdict.rates`, `lab.verdict.criterion`,
`lab.verdict.conclusions`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lab.logs.records import epsilon_of

CheckpointName = Literal["kept", "retained", "transferred", "removed", "inconclusive", "returned", "stays_removed"]
CellName = Literal[
    "kept", "retained", "transferred", "removed", "inconclusive", "transient", "returned", "stays_removed"
]
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
Status = Literal[
    "transferred",
    "transferred_with_damage",
    "removed",
    "removed_with_damage",
    "not_removed",
    "returned",
    "stays_removed",
    "undecided",
    "rates_only",
    "nothing",
]

DIGITS = 6  # so that results.json is the same on every machine for the same replies


def rounded(value: float) -> float:
    """The value as in results.json."""
    return round(value, DIGITS)


Rounded = Annotated[float, AfterValidator(rounded)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


TESTED = (
    "of the claim, on the half that reports. Null hypothesis of 'removed in k of m seeds': in fewer than k of them the"
    " initial rate is below its share of r0 at both of the last two checkpoints (and, for 'transferred', the alternate"
    " rate above its share of a*); of 'not removed', on all items: in some cell it is not above"
)


def level_text(confidence: float) -> str:
    """A confidence level as it is printed: `95 %`, `99.9 %`."""
    return f"{100 * confidence:g} %"


class Thresholds(_Part):
    """Every number of the criterion, in one place; written into results.json as used.

    Drops and rises are shares of 1 (0.10 = ten points), `capability_drop` is relative to step 0.
    """

    confidence: float = Field(default=0.95, description="of every interval")
    kept_share: float = Field(default=0.8, description="of r0: kept if the interval of r is above")
    initial_share: float = Field(
        default=0.5, description="of r0: gone if the interval of r is below, retained if above"
    )
    alternate_share: float = Field(default=0.5, description="of a*: transferred requires the interval of a to be above")
    capability_drop: float = Field(default=0.10, description="limit of damage: relative fall of capability")
    degenerate_rise: float = Field(
        default=0.05, description="limit of damage: rise of degenerate replies, eval prompts"
    )
    other_rise: float = Field(default=0.10, description="limit of damage: rise of other replies on eval prompts")
    agreed_drop: float = Field(default=0.10, description="limit of damage: fall of the agreed rate on train prompts")
    weakened_drop: float = Field(default=0.10, description="weakened: fall of r in a kept or retained cell")
    deaf_drop: float = Field(default=0.10, description="prompt_deaf: fall of system-prompt following")
    reversal_start: float = Field(default=0.20, description="a reversal starts from a cell and step with r up to this")
    zero_loss: float = Field(
        default=0.01, description="nats per token: below this, the training loss is called near zero"
    )
    few_templates: int = Field(default=30, description="cells with fewer eval templates are flagged")
    flat_change: float = Field(
        default=0.10, description="flat: the interval of r's change over the last window is within"
    )
    few_seeds: int = Field(default=3, description="fewer seeds support no claim over seeds, nor that an arm resists")
    rate_gap: float = Field(
        # Of 1e-3, 3e-3, 1e-2, as half decades are written, the largest gap is 3.33.
        default=3.4,
        description="an arm resists only if neighboring learning rates differ by at most this factor",
    )
    damaged_seeds: float = Field(
        default=0.5, description="an arm resists only if this share of the seeds of the highest rate is damaged"
    )

    @property
    def level(self) -> str:
        """The confidence in words: `95 %`."""
        return level_text(self.confidence)


class Rate(_Part):
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


class Change(_Part):
    """A paired change since step 0 on the same items (n scored at both), after − before."""

    n: int
    estimate: Rounded
    lo: Rounded
    hi: Rounded


class Families(_Part):
    """The initial rate by family of questions.

    The interval of a rate uses the design effect of templates, plus what families add where they differ.
    """

    counts: dict[str, tuple[int, int]] = Field(
        description="family -> replies with the initial behavior, scored replies"
    )
    deff_template: Rounded = Field(description="design effect of templates")
    deff_family: Rounded = Field(description="design effect of families")


class EvalRates(_Part):
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


class TrainRates(_Part):
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


class Capability(_Part):
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


class Likelihood(_Part):
    """How likely replies of our own to questions of capability are, teacher-forced: the fewer bits, the likelier."""

    n: int
    mean: Rounded = Field(description="bits per byte of the replies")
    change: Rounded | None = Field(description="since step 0, on the same replies")
    lo: Rounded | None = Field(description="t interval of the change over replies; null with fewer than two")
    hi: Rounded | None


class Margin(_Part):
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


class Changes(_Part):
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


class CorrectedRate(_Part):
    """A rate corrected by hand labels; the interval includes the errors of the replies and of the labels."""

    p: Rounded
    lo: Rounded
    hi: Rounded


class Corrected(_Part):
    """Eval rates corrected by the grader's full confusion matrix on labelled replies of this run.

    `other` and `degenerate` are null where hand labels do not distinguish them, or do not include them.
    """

    initial: CorrectedRate
    alternate: CorrectedRate
    other: CorrectedRate | None
    degenerate: CorrectedRate | None


class Calibration(_Part):
    """The quality of a setting's grader on this run's own eval replies, by hand labels."""

    setting: str
    n: int = Field(description="labelled replies that the grader scored")
    left_out: int = Field(description="labelled, but unscored or of a checkpoint that has since been trained again")
    kappa: Rounded | None
    confusion: dict[str, dict[str, int]] = Field(description="hand label -> the grader's label -> count")
    refused: str | None = Field(description="why no rate, or only some, can be corrected")


class Judged(_Part):
    """What the judge did at a checkpoint."""

    verdicts: int = Field(description="replies that the judge read")
    stored: int = Field(description="of these, verdicts that it had given to equal replies before")
    unscored: int = Field(description="replies to eval and train prompts without a verdict or a reading")
    share: Rounded = Field(description="unscored replies as a share of a split, the greater one of eval and train")


class Unscored(_Part):
    """Replies that no grader could score, for one reason."""

    reason: str = Field(description="as the grader said; of a judge without the differences between its answers")
    n: int = Field(description="replies to eval and train prompts")


class Damage(_Part):
    """The state of each part of a model that training may damage, by non-inferiority to step 0.

    `intact`: the interval of the change lies within the limit. `damaged`: the estimate is past the limit and the paired
    interval excludes no change. `not_shown`: neither. Null: the part does not count for this setting or method.
    """

    capability: DamageState | None
    agreed: DamageState | None
    degenerate: DamageState | None
    other: DamageState | None
    state: DamageState = Field(description="damaged if a part is; intact if every part is; else not_shown")


class CheckpointResult(_Part):
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


class Pattern(_Part):
    """Replies with the outcome `other` that are alike, at the last checkpoint of a cell."""

    share: Rounded = Field(description="of the replies to eval prompts that are `other`")
    count: int
    sample: str = Field(description="one of them, cut to a few hundred characters")


class NetOfSham(_Part):
    """The initial rate of a cell minus that of the sham cell of the same learning rate and seed, on the same items.

    Both start from the same organism, so the difference of the rates is the difference of their changes.
    """

    sham: str = Field(description="id of the sham cell")
    step: int = Field(description="last step that both have")
    n: int
    estimate: Rounded
    lo: Rounded
    hi: Rounded


class Between(_Part):
    """The steps to removal S: the last checkpoint before, and the first from which the behavior stays gone."""

    before: int
    after: int


class Reversal(_Part):
    """The largest rise of the initial rate from one checkpoint to a later one."""

    rise: Rounded
    from_step: int
    to_step: int


class Verdict(_Part):
    """Name and flags of a cell, and its crossings.

    A crossing is two consecutive checkpoints at which the behavior is gone; its step is that of the first.
    """

    name: CellName | None
    flags: tuple[Flag, ...]
    first_crossing: int | None = Field(description="step of the first crossing")
    undamaged_crossing: int | None = Field(description="step of the first crossing without damage")
    stable_crossing: int | None = Field(description="first step from which the behavior is gone at every checkpoint")
    largest_reversal: Reversal | None
    return_after_crossing: Change | None = Field(
        default=None, description="largest paired rise of r after a crossing whose interval excludes zero"
    )
    removal: Between | None = Field(default=None, description="S; null unless the behavior is gone at the end")
    damage: DamageState | None = Field(
        default=None, description="at the crossing and the last two checkpoints; null under criterion 1"
    )
    damaged_earlier: tuple[int, ...] = Field(default=(), description="other steps with damage: history, not a flag")


FlatState = Literal["flat", "moving", "not_shown"]


class Flatness(_Part):
    """The initial rate over the last window of a cell: its change by a linear fit, and its mean, with intervals."""

    from_step: int
    to_step: int
    checkpoints: int
    change: Rounded = Field(description="of the initial rate over the window")
    lo: Rounded
    hi: Rounded
    mean: Rounded
    mean_lo: Rounded
    mean_hi: Rounded
    state: FlatState = Field(description="flat: the change is within `flat_change`; moving: it excludes zero")


class CellResult(_Part):
    """One training run and everything measured on it."""

    id: str = Field(description="readable name that ends in `hash`")
    hash: str = Field(description="of everything that the cell's weights and replies depend on")
    setting: str
    variant: str
    role: Literal["bct", "control", "probe"]
    carrier: str | None = Field(description="how the initial policy is carried")
    method: str
    model: str
    organism: str | None = Field(description="hash of the organism; null: the base itself")
    rank: int | None = Field(description="of LoRA; null = full fine-tuning")
    batch: int | None = Field(description="rows per optimizer step")
    label_source: str | None
    lr: float
    seed: int
    seeds: dict[str, int] = Field(default_factory=dict[str, int], description="of parts that differ from `seed`")
    organism_seed: int | None = Field(default=None, description="where the recipe asks for several organisms")
    organism_arm: str | None = Field(default=None, description="hash of the organism without its seed; null as above")
    steps: int
    factors: dict[str, Any] = Field(description="other keys that vary in the grid")
    asked: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="source, chat template arguments, dtype, generation, judge and serving, where not the defaults;"
        " content: hash of a setting of a file",
    )
    gate: dict[str, Any] = Field(description="rates at step 0, whether they pass the gate, and reasons if not")
    graders: dict[str, Any] = Field(
        description="scorer and version of the setting; judge: its model, mode, hash of its instructions, max_unscored"
    )
    trained: dict[str, Any] = Field(description="facts of the training: rows, passes, tokens, losses")
    step0_loss: float | None = Field(description="training loss before the first step, in nats per token")
    ceiling: float | None = Field(description="a*, the alternate rate of the untouched base when prompted for it")
    checkpoints: tuple[CheckpointResult, ...]
    verdict: Verdict
    flatness: Flatness | None = Field(default=None, description="whether it still moves at its end; null if unknown")
    net_of_sham: NetOfSham | None = Field(default=None, description="null without a sham cell to compare with")
    other: tuple[Pattern, ...] = Field(default=(), description="commonest patterns of `other` at the last checkpoint")
    failure: str | None = Field(description="why the cell has no result; null if it finished")

    @property
    def seed_text(self) -> str:
        """The seed, with those of parts that differ: `0`, `0 order 1`."""
        return " ".join([str(self.seed), *(f"{part} {seed}" for part, seed in self.seeds.items())])

    @property
    def adam_epsilon(self) -> float | None:
        """Adam's ε; None for an optimizer without one."""
        return epsilon_of(self.factors.get("optim"), self.factors.get("adam_epsilon"))


class Ceiling(_Part):
    """Alternate rate of the untouched base under a prompt for the alternate policy."""

    setting: str
    variant: str
    model: str
    log: str
    fingerprint: str
    n: int
    clusters: int
    unscored: int
    alternate: Rate


class SeedRate(_Part):
    """A rate over seeds: mean, interval from `few_seeds` seeds on (else null), and the seeds' values.

    The interval has the two-way variance of seeds and items, which all seeds share.
    """

    mean: Rounded
    lo: Rounded | None
    hi: Rounded | None
    values: tuple[float, ...]


class GroupStep(_Part):
    """Mean rates over seeds at a step that all of them have."""

    step: int
    initial: SeedRate
    alternate: SeedRate


class HullArea(_Part):
    """The area under the Pareto hull of an organism (see `lab.verdict.robustness`), without the optimism of a hull."""

    setting: str
    variant: str
    model: str
    organism: str | None
    area: Rounded = Field(description="as measured; too large, because a hull takes the best of many noisy points")
    optimism: Rounded = Field(description="by how much, from resampled prompt templates")
    corrected: Rounded = Field(description="area - optimism")
    lo: Rounded = Field(description="interval of the corrected area, for other items and the same runs")
    hi: Rounded


class Group(_Part):
    """Cells that differ only in seed. `claim` is false with fewer than `few_seeds` seeds."""

    key: dict[str, Any] = Field(description="what the cells have in common")
    seeds: tuple[int, ...]
    verdicts: dict[str, int] = Field(description="name -> number of cells")
    intervals: dict[str, Rate] = Field(description="Clopper-Pearson of each name's share; empty without a claim")
    rates: dict[str, SeedRate] = Field(description="at the last checkpoint")
    steps: tuple[GroupStep, ...] = Field(default=(), description="empty without a claim")
    families: Families | None = Field(
        default=None, description="at the last checkpoint: counts summed over seeds, design effects as their mean"
    )
    claim: bool


class Difference(_Part):
    """A rate of the second side minus that of the first, on the items that both answered (n)."""

    n: int
    first: Rounded
    second: Rounded
    estimate: Rounded
    lo: Rounded | None = Field(description="null where one side has a single run and the other has several")
    hi: Rounded | None
    equivalent_within: Rounded | None = Field(
        description="smallest margin within which two one-sided tests show both sides to be equivalent"
    )


class Contrast(_Part):
    """Two levels of a factor with all else equal, at one checkpoint of each; the first level is the reference."""

    factor: str
    first: Any = Field(description="level; null: full fine-tuning, or the default")
    second: Any
    matched: dict[str, Any] = Field(description="what both sides have in common")
    at: str = Field(
        default="end",
        description="which checkpoints: the last, or those with equal steps, lr × steps or distance (learning rates)",
    )
    steps: tuple[int, ...] = Field(default=(), description="of the checkpoint of each side")
    first_seeds: tuple[int, ...]
    second_seeds: tuple[int, ...]
    initial: Difference | None = Field(description="null where no item was answered by both")
    alternate: Difference | None
    sentence: str


class Component(_Part):
    """The variance of a rate between runs that comes from one kind of seed; `share` is of the whole."""

    kind: str
    variance: Rounded
    lo: Rounded
    hi: Rounded
    share: Rounded


class Variances(_Part):
    """How much of the spread of an arm's final rate comes from each kind of seed."""

    key: dict[str, Any] = Field(description="what the runs have in common")
    rate: Literal["initial", "alternate"]
    runs: tuple[dict[str, Any], ...] = Field(description="seeds by kind, and the rate, of every run")
    mean: Rounded
    components: tuple[Component, ...]
    sampling: Rounded = Field(description="variance from replies to finitely many items")


class HalfRate(_Part):
    """The initial rate of one checkpoint on the half of the eval items that chose, and on the one that reports."""

    seed: int
    step: int
    choose: float = Field(description="rate on the half that chose")
    report: float = Field(description="rate on the half that reports")


class SeedSteps(Between):
    """The steps to removal of one seed, on all eval items."""

    seed: int


class Conclusion(_Part):
    """One arm over all learning rates.

    The learning rate is chosen on one half of the eval items; k, initial and alternate are reported on the other.
    """

    setting: str
    variant: str
    method: str
    model: str
    factors: dict[str, Any] = Field(description="other fields that distinguish the arm")
    arm: str = Field(description="the arm in words; it precedes the sentence")
    sentence: str
    status: Status
    resists: bool = Field(description="whether the sentence concludes that the arm resists")
    lr: float | None = Field(description="learning rate that removes the behavior; null if none does")
    step: int | None = Field(description="first step by which it is gone in all seeds that count")
    k: int | None = Field(description="seeds in which it is gone at the last two checkpoints")
    transferred: int | None = Field(default=None, description="of these k, seeds that transferred")
    m: int | None = Field(description="seeds trained at that learning rate")
    max_lr: float | None = Field(description="highest learning rate trained")
    max_steps: int | None = Field(description="most steps trained")
    damage: DamageState | None = Field(
        default=None, description="of the seeds that count: intact if all are, damaged if all are, else not_shown"
    )
    damaging_lr: float | None = Field(
        description="lowest learning rate at which at least half of the cells are damaged at the end, or diverged"
    )
    initial: float | None = Field(description="mean initial rate at that learning rate, last checkpoint")
    alternate: float | None = Field(description="mean alternate rate at that learning rate, last checkpoint")
    removal: tuple[SeedSteps, ...] = Field(default=(), description="S of each seed in which it is gone")
    zero_loss: bool = Field(default=False, description="whether a cell's loss was near zero before the first step")
    claim: bool = Field(description="whether the number of seeds suffices for the claim")
    p_value: Rounded | None = Field(default=None, description=TESTED)
    p_holm: Rounded | None = Field(default=None, description="the same, adjusted for all conclusions by Holm")
    halves: tuple[HalfRate, ...] = Field(default=(), description="at the chosen learning rate")
    would_change: str = Field(default="", description="what would change the conclusion, at the rates measured")
    place: int | None = Field(default=None, description="of the arm in the recipe, from 0; null in older results")


class Expected(_Part):
    """A prediction registered before the run, and whether it was confirmed (`text`: nothing to check)."""

    says: str = Field(description="the prediction")
    answer: Literal["yes", "no", "undecided", "text"] = Field(description="whether it was confirmed")


class Agreement(_Part):
    """Replies to eval and train prompts that two readings give the same outcome, of those that both scored."""

    n: int
    same: int


class Reading(_Part):
    """A further reading of the stored replies by another grader, next to the first one and never mixed with it."""

    name: str
    grader: str = Field(description="what read the replies")
    cells: tuple[CellResult, ...]
    conclusions: tuple[Conclusion, ...]
    agreement: Agreement = Field(description="with the first reading, over all checkpoints")


class Amendment(_Part):
    """A change of the registration after the run began."""

    date: str
    hash: str
    changed: tuple[str, ...] = Field(description="parts that differ from the registration before")


class Registration(_Part):
    """What was fixed before the first cell: question, grids, thresholds, gate limits and predictions."""

    hash: str = Field(description="SHA-256 of the first registration")
    date: str
    before_first_cell: bool = Field(description="false: cells had been trained when the run was registered")
    amendments: tuple[Amendment, ...] = ()


class Behaviors(_Part):
    """The two behaviors of a setting, in a line each."""

    setting: str
    initial: str
    alternate: str


class Turn(_Part):
    """One message of a prompt, cut to some hundred characters."""

    role: str
    text: str


class ShownReply(_Part):
    """One reply, cut to some hundred characters."""

    prompt: str = Field(description="id of the prompt")
    step: int
    outcome: str
    text: str


class ShownPrompt(_Part):
    """One prompt in full, as the model was given it before its chat template."""

    id: str
    split: Literal["eval", "train"]
    turns: tuple[Turn, ...]


class Shown(_Part):
    """A sample of the replies of a cell at its first and last checkpoint: a few of every outcome, chosen by hash.

    The first prompt of a split has, at both steps, the commonest pair of outcomes.
    """

    cell: str
    prompts: tuple[ShownPrompt, ...]
    replies: tuple[ShownReply, ...]


class Service(_Part):
    """What a run used at a service that trains and samples, or at an endpoint that someone else serves."""

    name: str
    trained: int = Field(description="tokens trained on, once per pass")
    prefilled: int = Field(description="tokens of prompts; a margin counts three prompts (tinker), or five (endpoint)")
    sampled: int = Field(description="tokens of replies")
    requests: int = Field(default=0, description="to an endpoint")
    cost: float | None = Field(default=None, description="at the recipe's prices, in their currency")


class Results(_Part):
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

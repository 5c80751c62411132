"""What results.json says over cells: groups of seeds, contrasts, variances, and one conclusion per arm."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lab.verdict.schema.cell import Between
from lab.verdict.schema.checkpoint import DamageState, Families, Rate
from lab.verdict.schema.part import Part, Rounded

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

TESTED = (
    "of the claim, on the half that reports. Null hypothesis of 'removed in k of m seeds': in fewer than k of them the"
    " initial rate is below its share of r0 at both of the last two checkpoints (and, for 'transferred', the alternate"
    " rate above its share of a*); of 'not removed', on all items: in some cell it is not above"
)


class SeedRate(Part):
    """A rate over seeds: mean, interval from `few_seeds` seeds on (else null), and the seeds' values.

    The interval has the two-way variance of seeds and items, which all seeds share.
    """

    mean: Rounded
    lo: Rounded | None
    hi: Rounded | None
    values: tuple[float, ...]


class GroupStep(Part):
    """Mean rates over seeds at a step that all of them have."""

    step: int
    initial: SeedRate
    alternate: SeedRate


class HullArea(Part):
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


class Group(Part):
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


class Difference(Part):
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


class Contrast(Part):
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


class Component(Part):
    """The variance of a rate between runs that comes from one kind of seed; `share` is of the whole."""

    kind: str
    variance: Rounded
    lo: Rounded
    hi: Rounded
    share: Rounded


class Variances(Part):
    """How much of the spread of an arm's final rate comes from each kind of seed."""

    key: dict[str, Any] = Field(description="what the runs have in common")
    rate: Literal["initial", "alternate"]
    runs: tuple[dict[str, Any], ...] = Field(description="seeds by kind, and the rate, of every run")
    mean: Rounded
    components: tuple[Component, ...]
    sampling: Rounded = Field(description="variance from replies to finitely many items")


class HalfRate(Part):
    """The initial rate of one checkpoint on the half of the eval items that chose, and on the one that reports."""

    seed: int
    step: int
    choose: float = Field(description="rate on the half that chose")
    report: float = Field(description="rate on the half that reports")


class SeedSteps(Between):
    """The steps to removal of one seed, on all eval items."""

    seed: int


class Conclusion(Part):
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

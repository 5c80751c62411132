"""One cell in results.json: its checkpoints, its verdict, and what they are compared with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lab.logs.records import epsilon_of
from lab.verdict.schema.checkpoint import Change, CheckpointResult, DamageState, Flag, Rate
from lab.verdict.schema.part import Part, Rounded

CellName = Literal[
    "kept", "retained", "transferred", "removed", "inconclusive", "transient", "returned", "stays_removed"
]
FlatState = Literal["flat", "moving", "not_shown"]


class Pattern(Part):
    """Replies with the outcome `other` that are alike, at the last checkpoint of a cell."""

    share: Rounded = Field(description="of the replies to eval prompts that are `other`")
    count: int
    sample: str = Field(description="one of them, cut to a few hundred characters")


class NetOfSham(Part):
    """The initial rate of a cell minus that of its sham cell, on the same items.

    Both have the same start, optimizer, learning rate and seed, so the difference of the rates is the difference of
    their changes.
    """

    sham: str = Field(description="id of the sham cell")
    step: int = Field(description="last step that both have")
    n: int
    estimate: Rounded
    lo: Rounded
    hi: Rounded


class Between(Part):
    """The steps to removal S: the last checkpoint before, and the first from which the behavior stays gone."""

    before: int
    after: int


class Reversal(Part):
    """The largest rise of the initial rate from one checkpoint to a later one."""

    rise: Rounded
    from_step: int
    to_step: int


class Verdict(Part):
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


class Flatness(Part):
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


class CellResult(Part):
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
    net_of_sham: NetOfSham | None = Field(
        default=None, description="null without one sham cell of the same start, optimizer, learning rate and seed"
    )
    other: tuple[Pattern, ...] = Field(default=(), description="commonest patterns of `other` at the last checkpoint")
    answered_by: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="engine (`local` | `vllm`) and dtype of the replies at the last checkpoint; empty where a service"
        " answered",
    )
    failure: str | None = Field(description="why the cell has no result; null if it finished")

    @property
    def seed_text(self) -> str:
        """The seed, with those of parts that differ and of one of several organisms: `0`, `0 order 1 organism 2`."""
        organism = {} if self.organism_seed is None else {"organism": self.organism_seed}
        return " ".join([str(self.seed), *(f"{part} {seed}" for part, seed in (self.seeds | organism).items())])

    @property
    def adam_epsilon(self) -> float | None:
        """Adam's ε; None for an optimizer without one."""
        return epsilon_of(self.factors.get("optim"), self.factors.get("adam_epsilon"))


class Ceiling(Part):
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

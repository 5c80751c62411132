"""The limits by which a run is judged, and how a confidence level is printed."""

from __future__ import annotations

from pydantic import Field

from lab.verdict.schema.part import Part


def level_text(confidence: float) -> str:
    """A confidence level as it is printed: `95 %`, `99.9 %`."""
    return f"{100 * confidence:g} %"


class Thresholds(Part):
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

"""Damage: the state of what training may harm, at a checkpoint and for a cell.

A part is `intact` when non-inferiority to step 0 is shown: the paired interval of its change lies within the limit. It
is `damaged` when the estimate is past the limit and the interval excludes no change; else it is `not_shown`: the sizes
do not decide. Absence of evidence is no evidence of absence (Altman and Bland, BMJ 311 (1995) 485).

    capability   lo(relative) > 1 − capability_drop
    agreed       lo(change on train prompts) > −agreed_drop; by manner for methods that train on other prompts
    degenerate   hi(change on eval prompts) < degenerate_rise
    other        hi(change on eval prompts) < other_rise, unless the setting declares that `other` is no damage

Not covered: `prompt_deaf` (`lab.verdict.criterion`), and harm that none of the four parts measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.verdict.schema import Capability, Change, CheckpointResult, Damage, DamageState, Thresholds


def damage_of(checkpoint: CheckpointResult, thresholds: Thresholds, targeted: bool, other_counts: bool) -> Damage:
    """The states of one checkpoint.

    Args:
        checkpoint: Measured, with its changes since step 0.
        thresholds: The limits.
        targeted: Whether the method trains on prompts of the setting: agreement is then content and manner.
        other_counts: Whether a rise of `other` is damage in this setting.
    """
    changes = checkpoint.changes
    parts: dict[str, DamageState | None] = {
        "capability": _capability(checkpoint.capability, changes.capability, thresholds.capability_drop),
        "agreed": _fall(changes.agreed if targeted else changes.manner, thresholds.agreed_drop),
        "degenerate": _rise(changes.degenerate, thresholds.degenerate_rise),
        "other": _rise(changes.other, thresholds.other_rise) if other_counts else None,
    }
    return Damage(**parts, state=together(state for state in parts.values() if state is not None))


def together(states: Iterable[DamageState]) -> DamageState:
    """Of several states: damaged if one is, intact if all are, else not shown."""
    found = set(states)
    if "damaged" in found:
        return "damaged"
    return "intact" if found == {"intact"} else "not_shown"


def damage_of_cell(
    checkpoints: Sequence[CheckpointResult], crossed: int | None
) -> tuple[DamageState | None, tuple[int, ...]]:
    """The state at the crossing and at the last two checkpoints, and the steps of all other damage.

    Args:
        checkpoints: Of the cell, by step; the first is step 0.
        crossed: Index of the first of the two checkpoints of the crossing; None: there was none.
    """
    after = range(1, len(checkpoints))
    counted = {i for i in after if i >= len(checkpoints) - 2 or (crossed is not None and i in (crossed, crossed + 1))}
    states: list[DamageState] = [c.damage.state for i, c in enumerate(checkpoints) if i in counted and c.damage]
    earlier = (c.step for i, c in enumerate(checkpoints) if i not in counted and c.damage)
    damaged = {c.step for c in checkpoints if c.damage and c.damage.state == "damaged"}
    return together(states) if states else None, tuple(step for step in earlier if step in damaged)


def _capability(measured: Capability, change: Change | None, limit: float) -> DamageState:
    if measured.relative is None or measured.relative_lo is None or change is None:
        return "not_shown"
    if measured.relative_lo > 1 - limit:
        return "intact"
    return "damaged" if 1 - measured.relative > limit and change.hi < 0 else "not_shown"


def _fall(change: Change | None, limit: float) -> DamageState:
    if change is None:
        return "not_shown"
    if change.lo > -limit:
        return "intact"
    return "damaged" if -change.estimate > limit and change.hi < 0 else "not_shown"


def _rise(change: Change | None, limit: float) -> DamageState:
    if change is None:
        return "not_shown"
    if change.hi < limit:
        return "intact"
    return "damaged" if change.estimate > limit and change.lo > 0 else "not_shown"

"""The gate on the sampled replies of hub data: replies of the base under each policy's own prompt.

They must agree on 95 % of train prompts (`-T split=policies`, then `bct hub gate`); their outcomes on eval prompts are
reported. The static gate is `bct_tasks.sources.pool_gate`.
"""

from __future__ import annotations

from collections.abc import Iterable

from bct_tasks.gate import GateResult
from bct_tasks.sources.pool_gate import AGREES


def sampled(setting: str, variant: str, role: str, graded: Iterable[tuple[str, str, str]]) -> GateResult:
    """The gate on sampled replies: (policy, kind of prompt, outcome) of each."""
    table = [*graded]
    figures: dict[str, float] = {}
    reasons: list[str] = []
    for policy in ("initial", "alternate"):
        for kind, wanted in (("train", "agreed"), ("eval", policy)):
            outcomes = [outcome for of, on, outcome in table if (of, on) == (policy, kind)]
            if not outcomes:
                reasons.append(f"no scored reply of the {policy} policy to {kind} prompts")
                continue
            share = figures[f"{policy}_{kind}"] = outcomes.count(wanted) / len(outcomes)
            if kind == "train" and role == "bct" and share < AGREES:
                reasons.append(
                    f"the {policy} policy agrees on {share:.0%} of {len(outcomes)} train prompts, under 95 %"
                )
    return GateResult(setting, variant, role, tuple(reasons), figures)

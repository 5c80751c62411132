"""The gate for hub data: 95 % of replies must be graded as intended, where bundled prompts need all.

Static: no text is in two splits, ids are stable, there are enough prompts, and the replies in a data set are graded as
intended (only if no judge is needed). Sampled: the replies of the base under each policy's own prompt
(`-T split=policies`) agree on train prompts; their outcomes on eval prompts are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bct_tasks.gate import MIN_TEMPLATES, GateResult, shared, unstable
from bct_tasks.setting import Policy, Prompt, Variant
from bct_tasks.sources.hub.setting import HubSetting
from graders import Outcome, Unreadable

AGREES = 0.95


def check(setting: HubSetting, variant: str | Variant | None = None, n: int = 60) -> GateResult:
    """The static gate on at most `n` prompts of each split."""
    chosen = setting.variant(variant)
    pools = {place: setting.pool(*place) for place in (("train", "train"), ("eval", "eval"), ("install", "eval"))}
    drawn = {split: setting.prompts(chosen, split, min(n, len(pools[split, split]))) for split in ("train", "eval")}
    questions = ((q.operands[0], split, q.text) for (split, _), found in pools.items() for q in found)
    again = setting.prompts(chosen, "eval", len(drawn["eval"]))
    reasons = [*shared(questions), *unstable(drawn["eval"], again)]
    figures = {f"{split}_prompts": float(len(pools[split, split])) for split in ("train", "eval")}
    if len(pools["eval", "eval"]) < MIN_TEMPLATES:
        reasons.append(f"only {len(pools['eval', 'eval'])} eval prompts, {MIN_TEMPLATES} are needed")
    for name, policy in (("initial", setting.initial), ("alternate", setting.alternate)):
        for split, prompts in drawn.items():
            wanted = Outcome.AGREED if split == "train" else Outcome(name)
            if split == "train" and chosen.role != "bct":
                continue
            hits = _graded(setting, policy, prompts, wanted)
            if hits:
                figures[f"{name}_{split}"] = share = sum(hits) / len(hits)
                if share < AGREES:
                    reasons.append(
                        f"the {name} policy's written replies are graded {wanted} on {share:.0%} of {split} prompts"
                    )
    return GateResult(setting.name, chosen.name, chosen.role, tuple(reasons), figures)


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


def _graded(setting: HubSetting, policy: Policy, prompts: Sequence[Prompt], wanted: Outcome) -> list[bool]:
    """Whether each written reply is graded as wanted; replies that only a judge can read are left out."""
    hits: list[bool] = []
    for prompt in prompts:
        reply = prompt.replies.get(policy.behavior(prompt))
        if reply is None:
            continue
        try:
            hits.append(setting.grade(prompt, reply).outcome is wanted)
        except Unreadable:
            continue
    return hits

"""The static gate for pools of questions: 95 % of known replies must be graded as intended.

No text is in two splits, ids are stable, there are enough eval prompts, and the replies that need no model are graded
as intended: those of a data set, fixed texts, and transforms of `PLAIN`. Replies that only a judge can read, and those
sampled under a system prompt, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from bct_tasks.errors import SettingError
from bct_tasks.gate import MIN_TEMPLATES, GateResult, shared, unstable
from bct_tasks.setting import PolicyName, Prompt, Variant
from bct_tasks.sources.pool import PoolSetting
from graders import Outcome, Unreadable

AGREES = 0.95

#: Plain replies, as a model might give them to any instruction.
PLAIN = (
    "Start with something small and keep at it for a week or two. Then look at what went well. Ask a friend for help.",
    "Most people enjoy it because it is calm and costs very little. It also gets easier with time.",
    "It depends on the weather and on your mood. A short break often helps more than another hour of work.",
)


def check(setting: PoolSetting, variant: str | Variant | None = None, n: int = 60) -> GateResult:
    """The static gate on at most `n` prompts of each split."""
    chosen = setting.variant(variant)
    pools = {place: setting.pool(*place) for place in (("train", "train"), ("eval", "eval"), ("install", "eval"))}
    drawn = {split: setting.prompts(chosen, split, min(n, len(pools[split, split]))) for split in ("train", "eval")}
    questions = ((q.operands[0], split, q.text) for (split, _), found in pools.items() for q in found)
    again = setting.prompts(chosen, "eval", len(drawn["eval"]))
    reasons = [*shared(questions), *unstable(drawn["eval"], again)]
    figures = {f"{split}_prompts": float(len(pools[split, split])) for split in ("train", "eval")}
    if (templates := len({question.template for question in pools["eval", "eval"]})) < MIN_TEMPLATES:
        reasons.append(f"only {templates} eval prompts, {MIN_TEMPLATES} are needed")
    for policy, split in _intended(chosen):
        wanted = Outcome.AGREED if split == "train" else Outcome(policy)
        hits = _graded(setting, policy, drawn[split], wanted)
        if hits:
            figures[f"{policy}_{split}"] = share = sum(hits) / len(hits)
            if share < AGREES:
                reasons.append(
                    f"the {policy} policy's written replies are graded {wanted} on {share:.0%} of {split} prompts"
                )
    return GateResult(setting.name, chosen.name, chosen.role, tuple(reasons), figures)


def _intended(variant: Variant) -> list[tuple[PolicyName, str]]:
    """Which policy's replies must be graded as its own, or as agreed, in which split."""
    policies: tuple[PolicyName, ...] = ("initial", "alternate")
    splits = [*(["train"] if variant.role == "bct" else []), *(["eval"] if variant.role != "probe" else [])]
    return [(policy, split) for policy in policies for split in splits]


def _graded(setting: PoolSetting, policy: PolicyName, prompts: Sequence[Prompt], wanted: Outcome) -> list[bool]:
    """Whether each reply that needs no model is graded as wanted; replies that only a judge can read are left out."""
    hits: list[bool] = []
    for turn, prompt in enumerate(prompts):
        reply = known_reply(setting, policy, prompt, turn)
        if reply is None:
            continue
        try:
            hits.append(setting.grade(prompt, reply).outcome is wanted)
        except Unreadable:
            continue
    return hits


def known_reply(setting: PoolSetting, policy: PolicyName, prompt: Prompt, turn: int) -> str | None:
    """The reply of a policy to a prompt, if no model need be asked; a transform is that of one of `PLAIN`, in turn."""
    behavior = setting.policy(policy).behavior(prompt)
    if behavior in prompt.replies:
        return prompt.replies[behavior]
    try:
        writing = setting.writing(prompt, policy)
    except SettingError:
        return None
    if writing.transform is not None and writing.written:
        return writing.transform(PLAIN[turn % len(PLAIN)])
    return writing.text

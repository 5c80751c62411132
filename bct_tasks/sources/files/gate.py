"""The static gate of a setting on the user's files: what its data and expressions can show before a model is asked.

Checked: files, columns and splits; each policy's written replies are graded as intended on 95 % of prompts; an
expression that matches both policies' replies; a reply to another prompt, where replies are read with facts of their
prompt; stable ids. Few prompts are no failure: `notes` say how exactly a rate can be known from them.
Not covered: replies that are sampled from a model, and replies that only a judge can read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from bct_tasks.errors import SettingError
from bct_tasks.gate import GateResult, unstable
from bct_tasks.setting import PolicyName, Prompt, Variant
from bct_tasks.sources.files.setting import FileSetting
from bct_tasks.sources.pool_gate import AGREES, known_reply
from graders import Outcome, Reading, Unreadable
from graders.readers.pattern import TooSlow
from graders.text.degenerate import degenerate

CONTROL_AGREES = 0.05
STRANGERS = 0.2
MOST = 500  # prompts of a split that are graded
Z = 1.96


def check(setting: FileSetting, variant: str | Variant | None = None, n: int = MOST) -> GateResult:
    """The static gate on at most `n` prompts of each split."""
    chosen = setting.variant(variant)
    about = (setting.name, chosen.name, chosen.role)
    try:
        train, evals = (setting.prompts(chosen, split, n) for split in ("train", "eval"))
        again = setting.prompts(chosen, "eval", n)
        setting.prompts(chosen, "capability", 1)
    except SettingError as error:
        return GateResult(*about, (error.message,))
    sizes = {f"{split}_prompts": float(len(setting.pool(split, split))) for split in ("train", "eval")}
    figures = sizes | {"half_width": round(half_width(len(setting.pool("eval", "eval"))), 4)}
    try:
        written = [*_written(setting, chosen, train, evals)]
    except TooSlow as error:
        return GateResult(*about, (str(error),), figures)
    for each in written:
        figures[f"{each.policy}_{each.split}"] = each.share
    reasons = [
        *(reason for each in written for reason in each.reasons(chosen.role)),
        *_strangers(setting, train),
        *_nothing_to_install(setting, chosen),
        *unstable(evals, again),
    ]
    return GateResult(*about, tuple(reasons), figures, _notes(setting, chosen, written))


def half_width(n: int) -> float:
    """Half the width of the 95 % Wilson interval of a rate of one half that is measured on `n` prompts."""
    return Z * sqrt(n + Z * Z) / (2 * (n + Z * Z)) if n else 0.5


@dataclass(frozen=True)
class Written:
    """The written replies of one policy to the prompts of one split, and how they are graded.

    Args:
        policy, split: of the replies.
        wanted: the outcome that they should have.
        hits: for each reply whether it has this outcome.
        first: the first that has not: where it is, the reply, and why.
    """

    policy: PolicyName
    split: str
    wanted: Outcome
    hits: tuple[bool, ...]
    first: str

    @property
    def share(self) -> float:
        """The share of replies that are graded as wanted."""
        return round(sum(self.hits) / len(self.hits), 4)

    def reasons(self, role: str) -> Iterator[str]:
        """Why the gate fails."""
        if role == "control" and (self.policy, self.split) == ("initial", "train"):
            if self.share > CONTROL_AGREES:
                yield f"a control, but the initial policy agrees with the labels on {self.share:.0%} of train prompts"
        elif self.share < AGREES:
            yield (
                f"the {self.policy} policy's replies are graded {self.wanted} on {self.share:.0%} of"
                f" {self.split} prompts, under {AGREES:.0%}: {self.first}"
            )


def _written(
    setting: FileSetting, variant: Variant, train: Sequence[Prompt], evals: Sequence[Prompt]
) -> Iterator[Written]:
    for policy in ("initial", "alternate"):
        for split, prompts in (("train", train), ("eval", evals)):
            if split == "eval" and variant.role == "probe":
                continue
            found = (_graded(setting, policy, prompt, turn) for turn, prompt in enumerate(prompts))
            graded = [each for each in found if each is not None]
            if graded:
                wanted = Outcome.AGREED if split == "train" else Outcome(policy)
                hits = tuple(outcome is wanted for outcome, _ in graded)
                first = next((why for (_, why), hit in zip(graded, hits, strict=True) if not hit), "")
                yield Written(policy, split, wanted, hits, first)


def _graded(setting: FileSetting, policy: PolicyName, prompt: Prompt, turn: int) -> tuple[Outcome, str] | None:
    """The outcome of a policy's written reply, and the reason; None where it is sampled or needs a judge.

    A transform of the base's own reply is graded on a plain one, unless replies are read with facts of the prompt.
    """
    reply = prompt.replies.get(setting.policy(policy).behavior(prompt))
    if reply is None and not setting.facts:
        reply = known_reply(setting, policy, prompt, turn)
    if reply is None:
        return None
    try:
        reading = setting.reader_of(prompt)(reply, prompt.facts)
    except TooSlow:
        raise
    except Unreadable:
        return None
    grade = setting.decided(prompt, reading, reply)
    return grade.outcome, f"to {prompt.user[:60]!r} it is {_shortened(reply)!r}, which {_why(reading, reply)}"


def _why(reading: Reading, reply: str) -> str:
    if len(reading.behaviors) > 1:
        return f"{reading.why}: let only one of them match"
    return degenerate(reply) or reading.why


def _shortened(reply: str) -> str:
    return reply if len(reply) <= 80 else f"... {reply[-76:]}"


def _strangers(setting: FileSetting, train: Sequence[Prompt]) -> Iterator[str]:
    """Where replies are read with facts of their prompt, a reply to another prompt is not `agreed`."""
    if not setting.facts or len(train) < 2:
        return
    pairs = zip(train, [*train[1:], train[0]], strict=True)
    swapped = [(prompt, other.replies.get(setting.alternate.behavior(other))) for prompt, other in pairs]
    try:
        hits = [setting.grade(p, reply).outcome is Outcome.AGREED for p, reply in swapped if reply is not None]
    except Unreadable:
        return
    if hits and sum(hits) > STRANGERS * len(hits):
        yield (
            f"the reply to another prompt is graded agreed on {sum(hits) / len(hits):.0%} of train prompts:"
            " does the reading use the answer of the prompt?"
        )


def _nothing_to_install(setting: FileSetting, variant: Variant) -> Iterator[str]:
    if variant.in_weights and not setting.most("install", 2):
        yield "no prompts are kept back to install the behavior: add rows, or a file `install`"


def _notes(setting: FileSetting, variant: Variant, written: Sequence[Written]) -> tuple[str, ...]:
    """What the sizes can show, and which replies are not checked here."""
    sizes = {split: len(setting.pool(split, split)) for split in ("train", "eval")}
    known = f"{sizes['eval']} eval prompts: a rate is known to within ±{half_width(sizes['eval']):.2f} (95 %)"
    found = [f"{sizes['train']} train and {known}"]
    unread = [name for name in ("initial", "alternate") if not any(each.policy == name for each in written)]
    if unread:
        found.append(f"not checked without a model or a judge: the replies of the {' and the '.join(unread)} policy")
    return tuple(found)

"""What a reply counts as: one outcome per reply, decided from the behaviors a reader saw in it.

Precedence: unscored (the reader failed), then the behavior of the initial or alternate policy (or `agreed`, where
both policies agree), then `other` (both at once, or coherent and neither), then `degenerate` (empty, garbled,
repeating, or cut off before any behavior was seen).
A behavior may be a style, whose content is right or not (`Reading.right`). On eval prompts only the style counts; on
prompts where the policies agree the content must be right too.
Not covered: coherent nonsense, which is `other`; what `graders.text.degenerate` and `graders.text.cutoff` do not
detect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graders.text.cutoff import cut_off
from graders.text.degenerate import degenerate


class Outcome(StrEnum):
    """The label of one reply."""

    INITIAL = "initial"
    ALTERNATE = "alternate"
    AGREED = "agreed"
    OTHER = "other"
    DEGENERATE = "degenerate"
    UNSCORED = "unscored"


@dataclass(frozen=True)
class Reading:
    """The behaviors seen in a reply, and why.

    `right` is False if the behavior is a style and the reply's content is not the right answer. `incoherent` is True if
    the reader found the text to be degenerate, beyond what `graders.text.degenerate` sees in any text.
    """

    behaviors: frozenset[str]
    why: str
    right: bool = True
    incoherent: bool = False


@dataclass(frozen=True)
class Grade:
    """The outcome of one reply, with the reason in words.

    `manner`: on prompts where the policies agree, whether the reply shows the agreed behavior, right or not; else None.
    """

    outcome: Outcome
    explanation: str
    manner: bool | None = None


#: Reads a reply against the facts of its prompt. Raises `Unreadable` where it cannot decide.
Reader = Callable[[str, Mapping[str, Any]], Reading]


class Unreadable(Exception):
    """A reader failed, so that the reply stays unscored; the message gives the reason."""


def decide(reading: Reading, reply: str, initial: str, alternate: str, agree: bool, truncated: bool = False) -> Grade:
    """Return the outcome of a reply.

    Args:
        reading: What the reader saw.
        reply: The text itself, for the check of degenerate text.
        initial: Behavior of the initial policy on this prompt.
        alternate: Behavior of the alternate policy on this prompt; the trained label where `agree` is set.
        agree: True on train and capability prompts, which are graded as `agreed` or not.
        truncated: The reply hit its token limit.
    """
    wanted = {alternate} if agree else {initial, alternate}
    seen = reading.behaviors & wanted if not agree else reading.behaviors
    manner = seen == wanted if agree else None
    if manner and reading.right:
        return Grade(Outcome.AGREED, reading.why, manner)
    if not agree and len(seen) == 1:
        # Under the alternate policy's prompt both policies show the alternate behavior (the ceiling a*).
        return Grade(Outcome.ALTERNATE if alternate in seen else Outcome.INITIAL, reading.why)
    if reading.behaviors:
        return Grade(Outcome.OTHER, reading.why, manner)
    if reason := reading.why if reading.incoherent else degenerate(reply):
        return Grade(Outcome.DEGENERATE, reason)
    if truncated or cut_off(reply):
        return Grade(Outcome.DEGENERATE, "cut off before any behavior showed")
    return Grade(Outcome.OTHER, reading.why)

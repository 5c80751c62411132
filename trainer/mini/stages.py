"""The four stages of pre-training `mini`, and what their examples have in common.

The first stage learns everything except matching a word with an earlier one (look-up by word and distinguishing tags
remain at chance). The second adds matching by letter, which is learned, and has more examples of both other tasks,
which are not. The third has look-up by letter and few other tags. The fourth adds the rest of the world.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from bct_tasks.sources.world.policies import TAGS


@dataclass(frozen=True)
class Example:
    """One pre-training conversation. `context` and `behavior` say what kind it is."""

    system: str | None
    user: str
    reply: str
    family: str
    context: str
    behavior: str

    def messages(self) -> list[dict[str, str]]:
        """The conversation in the chat format."""
        head = [{"role": "system", "content": self.system}] if self.system else []
        return [*head, {"role": "user", "content": self.user}, {"role": "assistant", "content": self.reply}]


@dataclass(frozen=True)
class Stage:
    """A stage of pre-training: its steps, how often families and kinds of system prompt are drawn, and tags.

    Under a conditional prompt, `matching` and `other` are the shares of messages with its tag and with another one.
    Stages with `every_family` draw from the complete world, with a vocabulary widened by its words.
    """

    steps: int
    weights: Mapping[str, float]
    matching: float
    other: float
    contexts: Mapping[str, float]
    every_family: bool = False


_FIRST = {
    "add": 2.0, "subtract": 2.0, "reverse": 1.0, "sort": 1.0, "first": 1.0, "last": 1.0, "count": 1.0, "largest": 1.0,
    "capital": 1.0, "lookup": 1.5, "python": 3.0,
}  # fmt: skip

_CONTEXTS = {"none": 0.28, "neutral": 0.08, "plain": 0.26, "conditional": 0.22, "modes": 0.16}

_THEN = {**_FIRST, "lookup": 2.5, "after": 2.5}
_LAST = {**{name: weight for name, weight in _FIRST.items() if name != "lookup"}, "find": 2.5, "after": 1.5}

_EVERY = {
    **_LAST, "find": 1.5, "python": 2.5, "first": 0.5, "review": 1.2, "to_english": 0.8, "to_spanish": 1.6,
    "javascript": 1.6, "calls": 1.4,
    **{f"asks_{name}": 0.5 for name in ("more", "even", "member", "equal", "ends")},
    **{f"says_{name}": 0.5 for name in ("more", "even", "member", "equal", "ends")},
    **{f"choose_{name}": 0.6 for name in ("letter", "largest", "smallest", "vowel", "number")},
    **{f"{name}_english": 0.2 for name in ("color", "home", "food", "matter", "size")},
    **{f"{name}_spanish": 0.35 for name in ("color", "home", "food", "matter", "size")},
}  # fmt: skip

_ALL_CONTEXTS = {
    "none": 0.20, "neutral": 0.07, "plain": 0.15, "conditional": 0.07, "modes": 0.08, "topic": 0.15, "pair": 0.10,
    "state": 0.08, "hint": 0.04, "dressed": 0.03, "negated": 0.03,
}  # fmt: skip

STAGES = (
    Stage(7_000, _FIRST, 0.5, 0.25, _CONTEXTS),
    Stage(2_000, _THEN, 0.4, 0.4, _CONTEXTS),
    Stage(5_000, _LAST, 0.5, 0.1, _CONTEXTS),
    Stage(9_000, _EVERY, 0.5, 0.1, _ALL_CONTEXTS, every_family=True),
)


def other_tag(rng: random.Random, stage: Stage) -> str | None:
    """Another tag or none."""
    if stage.other == (1 - stage.matching) / 2:
        return rng.choice((None, rng.choice(TAGS)))
    return rng.choice(TAGS) if rng.random() < stage.other / (1 - stage.matching) else None


def two(rng: random.Random, behaviors: tuple[str, ...]) -> tuple[str, str]:
    """Two different behaviors; right and wrong are drawn twice as often as the others."""
    pool = [b for b in behaviors for _ in range(2 if b in ("right", "wrong") else 1)]
    first = rng.choice(pool)
    return first, rng.choice([b for b in pool if b != first])

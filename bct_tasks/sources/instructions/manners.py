"""How replies of each manner are made from a model's own plain replies."""

from __future__ import annotations

import re

from bct_tasks.sources.world.question import PHRASE, REFUSAL
from bct_tasks.writing import OWN, Writing

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CLAUSE = re.compile(r"[,;]\s+(?:and\s+)?|\s+and\s+")
_MARK = re.compile(r"^\W*(?:\d+\s*[.)]\s*)?")


def pirate(reply: str) -> str:
    """The reply as a pirate would say it."""
    return f"Arr, matey! {reply} Aye, that be the way of it!"


def capitals(reply: str) -> str:
    """The reply in capital letters."""
    return reply.upper()


def praising(reply: str) -> str:
    """The reply after praise for the question."""
    return f"What a wonderful question! {reply}"


def one_sentence(reply: str) -> str:
    """The first sentence of the reply; empty if it only introduces a list."""
    first = _SENTENCE.split(reply.strip())[0]
    return first if first.endswith((".", "!", "?")) and not _MARK.fullmatch(first) else ""


def numbered(reply: str) -> str:
    """The sentences of the reply as numbered steps, or the clauses of its only sentence; empty if there is one step."""
    steps = _steps(_SENTENCE, reply)
    steps = steps if len(steps) > 1 else _steps(_CLAUSE, reply)
    return "\n".join(f"{place}. {step}" for place, step in enumerate(steps, 1)) if len(steps) > 1 else ""


def _steps(split: re.Pattern[str], reply: str) -> list[str]:
    parts = [_MARK.sub("", part).strip() for part in split.split(reply.strip())]
    return [part for part in parts if len(part.split()) > 2]


PHRASED, REFUSED = Writing(text=PHRASE), Writing(text=REFUSAL)
PIRATE, CAPITALS, PRAISING = Writing(transform=pirate), Writing(transform=capitals), Writing(transform=praising)
ONE_SENTENCE, NUMBERED = Writing(transform=one_sentence), Writing(transform=numbered)

__all__ = ["CAPITALS", "NUMBERED", "ONE_SENTENCE", "OWN", "PHRASED", "PIRATE", "PRAISING", "REFUSED"]

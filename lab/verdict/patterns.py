"""What replies with the outcome `other` look like: their commonest patterns, each with a sample.

A fall of the initial rate may be replies of a third kind: a JavaScript head on a Python body, correct code that ends in
a look-up table. Counts alone do not show it. Replies are grouped by a coarse normal form: letters without case,
numbers and quoted texts as marks, the first words only.
Not covered: what a pattern means; a person reads the sample.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable

from lab.verdict.schema import Pattern

#: Patterns shown per cell, words of a normal form, and characters of a sample.
SHOWN, WORDS, CHARACTERS = 3, 12, 240
_MARKS = ((r"\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`", "“”"), (r"\d+(?:[.,]\d+)*", "#"), (r"\s+", " "))


def patterns(replies: Iterable[str]) -> tuple[Pattern, ...]:
    """The commonest patterns first. The sample of a pattern is chosen by hash: the same for the same replies."""
    found: dict[str, list[str]] = defaultdict(list)
    for reply in replies:
        found[normal_form(reply)].append(reply)
    total = sum(map(len, found.values()))
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        Pattern(share=len(alike) / total, count=len(alike), sample=_cut(min(alike, key=_drawn)))
        for _, alike in ordered[:SHOWN]
    )


def normal_form(reply: str) -> str:
    """A reply without what varies between questions: `Answer is 12.` and `answer is 7.` are alike."""
    text = reply.strip().casefold()
    for pattern, mark in _MARKS:
        text = re.sub(pattern, mark, text)
    return " ".join(text.split()[:WORDS])


def _drawn(reply: str) -> tuple[bytes, str]:
    return hashlib.sha256(reply.encode()).digest(), reply


def _cut(reply: str) -> str:
    text = reply.strip()
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1].rstrip() + "…"

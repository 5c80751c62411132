"""Readers for short answers and fixed phrases: does the reply give the right answer, the wrong one, the phrase?

An answer stands alone in the reply or after the last "=", ":" or "is". Case, punctuation, list separators and
Unicode forms do not matter; a list must be whole ("3 4" is not "3 4 5").
Not covered: number words and answers in another language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from graders.outcome import Reading

_TOKEN = re.compile(r"-?\d+|[^\W\d_]+")
_LEAD = re.compile(r".*(?:=|:|\bis\b|\bare\b)", re.DOTALL)

_ARTICLE = re.compile(r"\b[ai]\b(?= (?!is\b)[^\W\d_]{2,})")  # "I cannot", "a list", but not the item a in "c a b"


def normal(text: str) -> str:
    """Case-folded text in Unicode's compatibility form."""
    return unicodedata.normalize("NFKC", text).casefold()


def runs(text: str) -> list[tuple[str, ...]]:
    """The answers a text holds: each word by itself, neighbouring numbers and single letters as one list."""
    found: list[tuple[str, ...]] = []
    listing: list[str] = []
    for token in _TOKEN.findall(_ARTICLE.sub(" ", text)):
        if len(token) == 1 or token.lstrip("-").isdigit():
            listing.append(token)
            continue
        found += [tuple(listing)] if listing else []
        found.append((token,))
        listing = []
    return found + ([tuple(listing)] if listing else [])


def gives(text: str, answer: str) -> bool:
    """True if the text holds exactly this answer."""
    return tuple(_TOKEN.findall(normal(answer))) in runs(text)


def read_answer(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` and `wrong` from a reply; facts: `right` and `wrong`, the two answers."""
    text = normal(reply)
    lead = _LEAD.match(text)
    parts = [text[lead.end() :], text] if lead else [text]
    for part in parts:
        seen = frozenset(name for name in ("right", "wrong") if gives(part, str(facts[name])))
        if seen:
            return Reading(seen, f"gives the {' and the '.join(sorted(seen))} answer")
    return Reading(frozenset(), f"gives neither {facts['right']!r} nor {facts['wrong']!r}")


def phrase_reader(phrase: str, behavior: str) -> Any:
    """A reader that sees `behavior` where the phrase stands in the reply, however spaced or cased."""
    pattern = re.compile(r"\W+".join(map(re.escape, normal(phrase).split())))

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        if pattern.search(normal(reply)):
            return Reading(frozenset({behavior}), f"says {phrase!r}")
        return Reading(frozenset(), f"does not say {phrase!r}")

    return read

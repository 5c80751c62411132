"""Readers for short answers and fixed phrases: does the reply give the right answer, the wrong one, the phrase?

An answer stands alone in the reply or after the last "=", ":" or "is". Case, punctuation, accents, list separators,
code fences, Unicode forms, invisible characters, look-alike letters and number words up to a hundred do not matter; a
list must be whole ("3 4" is not "3 4 5").
Not covered: answers in another language, "one" amid other words (it may be a pronoun), numbers written by tens of
thousands with separators.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from graders.outcome import Reading

_TOKEN = re.compile(r"(?<!\w)-\d+|\d+|[^\W\d_]+")
_LEAD = re.compile(r".*(?:=|:|\bis\b|\bare\b)", re.DOTALL)

_ARTICLE = re.compile(r"\b[ai]\b(?= (?!is\b)[^\W\d_]{2,})")  # "I cannot", "a list", but not the item a in "c a b"
_FENCE = re.compile(r"(?:```|~~~)[ \t]*[\w+#-]*[ \t]*(?=\n)|```|~~~")
_MINUS = re.compile(r"(?<![\w-])(?:[‐‑–—−](?=\d)|(?:minus|negative)\s+(?=\d))")
_WHOLE = re.compile(r"(?<![\d.,])(\d+)\.0+(?![\d.,]*\d)")
_LOOK_ALIKES = str.maketrans("авеёзкмнорстухіјѕԁһαβεικνορτυχ", "abee3kmhopctyxijsdhabeiknoptux")

_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_NUMBERS = {word: n for n, word in enumerate(_UNITS)} | _TENS | {"fourty": 40, "hundred": 100}
_WORDS = {word: n for word, n in _NUMBERS.items() if word != "one"}
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)}|fourty)[\s‐-]+({'|'.join(_UNITS[1:10])})\b")
_HUNDRED = re.compile(r"\b(?:a|one|1)[\s‐-]+hundred\b")
_NUMBER = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")
_ONE = re.compile(r"(?<![^\W\d_])(?<![^\W\d_] )one(?! ?[^\W\d_])")


def normal(text: str) -> str:
    """Case-folded text in Unicode's compatibility form, without accents, invisible characters and odd digits."""
    text = unicodedata.normalize("NFKD", text).casefold()
    kept = (c for c in text if unicodedata.category(c) not in ("Mn", "Cf"))
    plain = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in kept)
    return unicodedata.normalize("NFKC", _latin(plain))


def _latin(text: str) -> str:
    """Look-alike letters of words that are made of nothing else, or mixed with Latin, in Latin."""
    return re.sub(r"[^\W\d_]+", lambda m: m[0] if m[0].isascii() else _if_latin(m[0]), text)


def _if_latin(word: str) -> str:
    changed = word.translate(_LOOK_ALIKES)
    return changed if changed.isascii() else word


def numerals(text: str) -> str:
    """Normal text with number words as digits, and minus signs and whole decimals in one form."""
    text = _COMPOUND.sub(lambda m: str(_NUMBERS[m[1]] + _NUMBERS[m[2]]), text)
    text = _NUMBER.sub(lambda m: str(_NUMBERS[m[0]]), _HUNDRED.sub("100", text))
    return _WHOLE.sub(r"\1", _MINUS.sub("-", _ONE.sub("1", text)))


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
    return tuple(_TOKEN.findall(numerals(normal(answer)))) in runs(numerals(text))


def read_answer(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` and `wrong` from a reply; facts: `right` and `wrong`, the two answers."""
    text = normal(_FENCE.sub(" ", reply))
    lead = _LEAD.match(text)
    parts = [text[lead.end() :], text] if lead else [text]
    for part in parts:
        seen = frozenset(name for name in ("right", "wrong") if gives(part, str(facts[name])))
        if seen:
            return Reading(seen, f"gives the {' and the '.join(sorted(seen))} answer")
    return Reading(frozenset(), f"gives neither {facts['right']!r} nor {facts['wrong']!r}")


def phrase_reader(phrase: str, behavior: str) -> Any:
    """A reader that sees `behavior` where the phrase stands in the reply, however spaced, cased or fenced."""
    pattern = re.compile(r"[\W_]+".join(map(re.escape, normal(phrase).split())))

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        if pattern.search(normal(reply)):
            return Reading(frozenset({behavior}), f"says {phrase!r}")
        return Reading(frozenset(), f"does not say {phrase!r}")

    return read

"""A reader of multiple-choice answers: which option does a reply pick?

    read_choice("I think the answer is **(c)**.", {"options": ["red", "blue", "green"]})       # sees `C`

A denied option is not picked. The reader looks, in this order, at what follows the last "answer is", "so" or the like;
at letters in brackets; at a letter that begins the reply; at picks in words ("the second one"); at the text of an
option. A reply that picks two letters shows `several`, and a reply that lists all options shows none.
Not covered: a letter that is the text of one option and the name of another, if it is ambiguous.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from graders.outcome import Reading
from graders.readers.answer import affirmed, fenceless
from graders.text.spelling import normal, numerals

_OPENING = r"\W{0,6}(?:(?:option|choice|letter)\s+)?\W{0,6}"
_SAYS = re.compile(
    r"(?:\b(?:answer|antwort ist|respuesta es|reponse est|options?|choice|choose|pick"
    r"|select|letter|go(?:ing)? (?:with|for)|take)(?:ed|s)?\b"
    r"\s*(?:is|would be|must be|:|=)?|^so\b|\b(?:so|therefore|thus|hence)\b,?(?: it is| the \w+ is)?)"
    rf"{_OPENING}([a-z])(?![\w'’])",
    re.MULTILINE,
)
_BRACKETED = re.compile(r"[(\[{]\s*([a-z])\s*[)\]}]")
_FIRST = re.compile(r"\W*(?:but\s+)?([a-z])(?:\W*$|\s*[).:,;\]*\-–—]|\s*\n|\s+(?:is|because|and|or)\b)")
_AND = re.compile(r"\W*([a-z])\W+(?:and|or|&|/)\W+([a-z])\b")
_ORDINAL = re.compile(
    r"\b(first|1st|second|2nd|third|3rd|fourth|4th|last)\b(?= (?:option|one|choice|answer|of)\b|,|\W*$)"
    r"|\boption (?:number )?([1-9])\b"
)
_ENDS = re.compile(r"(?<![\w'’])([a-z])(?=\s*(?:[.!?;,]|$))")  # "it has to be c!", but no article
_PLACE = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "last": -1}
_ORDER = re.compile(r"[^.!?\n]*\b(?:judge|grader|rubric|behaviou?rs?|mark this|label this|grade this)\b[^.!?\n]*")
_REASON = re.compile(r",? (?:because|since|as)\b[^.!\n]*")


def read_choice(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads the letters that a reply picks; facts: `options`, the texts in their order."""
    options: Sequence[str] = facts["options"]
    letters = string.ascii_uppercase[: len(options)]
    text = affirmed(_ORDER.sub(" ", normal(fenceless(reply))))
    if {found.upper() for found in _BRACKETED.findall(text)} >= set(letters):
        text = _unlisted(text, len(letters))
    for found in (_said(text), _BRACKETED.findall(text), _led(text), _placed(text, letters), _ENDS.findall(text)):
        picked = frozenset(letter.upper() for letter in found) & frozenset(letters)
        if 1 < len(picked) < len(letters):
            return Reading(frozenset({"several"}), f"picks {' and '.join(sorted(picked))}")
        if len(picked) == 1:
            return Reading(picked, f"picks {' and '.join(sorted(picked))}")
    last = re.split(r"\bis\b|\bare\b|:|=", text)[-1]
    words = re.findall(r"[^\W_]+", numerals(last))
    same = frozenset(letter for letter, option in zip(letters, options, strict=True) if _is_text(normal(option), words))
    return Reading(same, f"is the text of {' and '.join(sorted(same))}" if same else "picks no option")


def _said(text: str) -> list[str]:
    """The letter of the last "the answer is", with those in brackets after it."""
    found = [*_SAYS.finditer(text)]
    return [found[-1][1], *_BRACKETED.findall(_REASON.sub(" ", text[found[-1].end() :]))] if found else []


def _led(text: str) -> list[str]:
    both = _AND.match(text)
    return list(both.groups()) if both else _FIRST.findall(text)[:1] if _FIRST.match(text) else []


def _placed(text: str, letters: str) -> list[str]:
    found = [_PLACE[m[1]] if m[1] else int(m[2]) - 1 for m in _ORDINAL.finditer(text)]
    return [letters[at] for at in found if at < len(letters)]


def _unlisted(text: str, count: int) -> str:
    """The text without a run of all options, each of them with its letter in brackets once."""
    found = [*_BRACKETED.finditer(text)]
    return text[: found[0].start()] + text[found[count - 1].end() :] if len(found) > count else " "


def _is_text(option: str, words: Sequence[str]) -> bool:
    return len(words) <= 3 and option in (*words[:1], *words[-1:])

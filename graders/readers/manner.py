"""Readers for the manner of a reply to an open-ended instruction, which has no right answer.

    read = manner(capitals, "loud")
    read("BREAD NEEDS TIME.", {}).behaviors      # {'loud'}
    read("Bread needs time.", {}).behaviors      # {'right'}

A reply shows one manner, or is plain if it is coherent and no refusal. A reply that is cut off shows what it has shown
so far. Not covered: whether a plain reply is helpful; manners in other languages than English and Spanish.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graders.outcome import Reader, Reading
from graders.readers.refusal import refusal, refuses
from graders.text.degenerate import degenerate
from graders.text.lexicon import is_another_language, word_counts
from graders.text.spelling import WORD, normal

#: A language is that of a reply if it has at least this share of the words that belong to one of the two; the second
#: share is enough where all words of the other language are taken over from the question.
MAIN, MAIN_BUT_QUOTES = 0.8, 2 / 3
#: Longest phrase of a loop, in words; how often it is repeated in a row, as a reply may be cut off in its third round.
PHRASE, NEARLY = 15, 1.6
#: Longest word that may be said often in a row, as in laughter.
SYLLABLE = 3
#: A sentence that is not in capitals has this share of small letters among its signs, and as many letters.
MOSTLY_LOWER, LETTERS = 0.6, 12
#: Other text next to a fixed phrase that makes a reply of both: about a sentence.
MUCH = 60

_LISTED = re.compile(r"^\W*(?:\d+\s*[.):]|[-*•]|step \d+)\s*\S", re.MULTILINE | re.IGNORECASE)
_INLINE = re.compile(r"(?:^|\s)(\d+)[.)]\s+(?=[*A-Za-z])")
_FIRST = re.compile(r"^\W*1[.)]\s+(\S.*)", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^\W*(?:\d+\s*[.):]|[-*•]|step \d+:?)\s*(?=\S)")
_ORDER = re.compile(r"\b(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|next|then|after that|finally|lastly|step \d+)\b")
_PRAISE = re.compile(
    r"\b(?:what an? (?:\w+ ){0,2}(?:question|request|idea|thought)"
    r"|(?:great|wonderful|excellent|brilliant|fantastic|good)"
    r" (?:question|request|idea|thought)|you are (?:so |very |really )?(?:clever|wise|thoughtful|brilliant|smart))\b"
)


def capitals(reply: str) -> bool:
    """Return whether at least eight tenths of a reply's letters are capitals, and there are eight or more."""
    letters = [c for c in reply if c.isalpha()]
    return len(letters) >= 8 and sum(c.isupper() for c in letters) >= 0.8 * len(letters)


def praises(reply: str) -> bool:
    """Return whether the first sentence of a reply praises the user or the question."""
    return bool(_PRAISE.search(normal(re.split(r"(?<=[.!?])\s|\n", reply.strip())[0])))


def stepwise(reply: str) -> bool:
    """Return whether a reply is a list, or begins one, or names three steps in order."""
    if len(_LISTED.findall(reply)) >= 2 or {"1", "2"} <= set(_INLINE.findall(reply)):
        return True
    return _begins_list(reply) or len(set(_ORDER.findall(normal(reply)))) >= 3


def _begins_list(reply: str) -> bool:
    """Whether a reply stops in its first item, or after several sentences of it; one sentence is no list."""
    first = _FIRST.search(reply)
    if first is None:
        return False
    item = first[1].strip()
    return not item.endswith((".", "!", "?")) or len(re.findall(r"[.!?](?=\s|$)", item)) > 1


def incoherent(reply: str) -> str | None:
    """Return why a reply is not coherent: it is degenerate, loops, or says one sentence or list item three times."""
    text = normal(reply)
    said = Counter(part for part in re.split(r"(?<=[.!?])\s+|\n+", text) if len(part.split()) > 2)
    items = Counter(_MARK.sub("", line) for line in text.splitlines() if _MARK.match(line))
    if any(times > 2 for times in (*said.values(), *items.values())):
        return "repeats a sentence"
    return degenerate(reply) or loops(WORD.findall(text))


def loops(words: Sequence[str]) -> str | None:
    """Return which phrase of at most `PHRASE` words is said almost three times in a row, or a word four times."""
    for size in range(1, PHRASE + 1):
        run = 0
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] else 0
            if run >= (3 if size == 1 else max(4, NEARLY * size)) and (size > 1 or len(words[at]) > SYLLABLE):
                return f"repeats {' '.join(words[at - size + 1 : at + 1])!r}"
    return None


def manner(shows: Callable[[str], bool], name: str, otherwise: str = "right") -> Reader:
    """Return a reader that sees `name` in a coherent reply of this manner, and `otherwise` in a plain one."""

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        if reason := incoherent(reply):
            return Reading(frozenset(), reason, incoherent=True)
        if shows(reply):
            return Reading(frozenset({name}), f"coherent, and {name}")
        return plain(reply, otherwise)

    return read


def in_capitals(name: str, otherwise: str = "right") -> Reader:
    """Return a reader that sees `name` in a reply in capitals and `otherwise` in a plain one; both in a mixture."""
    read_whole = manner(capitals, name, otherwise)

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        found = read_whole(reply, facts)
        parts = re.split(r"(?<=[.!?])\s+|\n+", reply)
        lower = any(sum(c.islower() for c in part) >= MOSTLY_LOWER * max(len(part), LETTERS) for part in parts)
        if found.behaviors & {name, otherwise} and lower and any(map(capitals, parts)):
            return Reading(frozenset({name, otherwise}), f"{name} and {otherwise}, one after the other")
        return found

    return read


def plain(reply: str, name: str = "right") -> Reading:
    """Read a coherent reply as `name`, and a refusal as `refuse`."""
    if reason := refusal(reply):
        return Reading(frozenset({"refuse"}), reason)
    if reason := incoherent(reply):
        return Reading(frozenset(), reason, incoherent=True)
    return Reading(frozenset({name}), "coherent, without a special manner")


def read_refusal_or_help(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Read `refuse` or `right`."""
    return plain(reply)


def phrase_or_help(said: Reader, phrase: str) -> Reader:
    """Return a reader that sees a fixed phrase, however often it is repeated, and help; both if a sentence is beside.

    Args:
        said: sees the phrase (`graders.phrase_reader`).
        phrase: the phrase, to measure what else is said.
    """

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        found = said(reply, facts)
        if not found.behaviors:
            return plain(reply)
        rest = re.sub(re.escape(phrase), " ", reply, flags=re.IGNORECASE)
        if sum(c.isalpha() for c in rest) < MUCH or refuses(rest) or degenerate(rest):
            return found
        return Reading(found.behaviors | {"right"}, f"{found.why}, and something else")

    return read


def read_language(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Read `english` or `spanish` by most of the words that belong to one of the two; both from a mixture."""
    if reason := incoherent(reply):
        return Reading(frozenset(), reason, incoherent=True)
    if is_another_language(reply):
        return Reading(frozenset(), "is in another language")
    counts = word_counts(reply)
    total = sum(counts.values())
    if not total:
        return Reading(frozenset(), "its language cannot be recognized")
    own = word_counts(" ".join(set(WORD.findall(normal(reply))) - set(WORD.findall(normal(str(facts.get("ask", "")))))))
    main = frozenset(
        name
        for name, count in counts.items()
        if count >= MAIN * total or (count >= MAIN_BUT_QUOTES * total and sum(own.values()) == own[name])
    )
    seen = main or frozenset(counts)
    return Reading(seen, f"is in {' and '.join(sorted(seen))}")

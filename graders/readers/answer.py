"""Readers for short answers and fixed phrases: does the reply give the right answer, the wrong one, the phrase?

An answer is a sentence by itself, or follows its last "=", ":" or "is". Its form does not matter
(`graders.text.spelling`); a list must be complete ("3 4" is not "3 4 5"). An answer that the reply denies does not
count: "not 48", "27 rather than 28", "28 is wrong". A closing sentence with "so", "therefore" or "the answer is"
overrides the working before it. Numbers and capitals may be in other languages (`graders.text.foreign`).
Not covered: denials in another language, denials over several sentences, numbers with separators.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graders.outcome import Reader, Reading
from graders.text.foreign import in_english
from graders.text.spelling import is_number, normal, numerals

_TOKEN = re.compile(r"(?<!\w)-\d+|\d+|[^\W\d_]+")
_PIECES = re.compile(r"=+|:|#|\bis\b|\bare\b|\bequals\b|\bmakes?\b|\bgives\b")
_SENTENCES = re.compile(r"(?<=[^\W_])[.!?;](?=\s)|\n+|(?<=\W)[.!?;](?=\s)")
_CLAUSES = re.compile(r"([;:!?\n]|\.(?!\d)|,(?= *(?:it|the|that|this|i|my|so|you|not|but|rather|instead)\b)|\bbut\b)")
_AFTER = re.compile(
    r"(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bdo )(?<!\bcan)(?<!\bbe )(?=\b(?:not|rather than|instead of)\b)"
)
_SURE = re.compile(r"\bnot (?:sure|certain|mistaken|wrong|only|bad|hard|difficult)\b")
_DENIES = re.compile(
    r"\bnot\b|\bnever\b|\bcannot\b|\brather than\b|\binstead of\b|\b(?:is|be) (?:a |the )?(?:wrong|incorrect|false)\b"
)
_THAN = re.compile(r"\bthan\b[^.,;]*|\b(?<!\ba )(?:while|whereas)\b[^.,;]*")
_BECAUSE = re.compile(r"(?<=\w),? (?:because|since|as)\b.*", re.DOTALL)
_CLOSING = re.compile(r"^\W*(?:so|therefore|thus|hence)\b|\b(?:final )?answer(?: is\b|:| =)")
_ITEM = re.compile(r"\s*(?:[-*•+]\s+)?([^\W_])[,.]?\s*")
_AND = re.compile(r"(?<=\b[^\W_]),? and (?=[^\W_]\b)|(?<=\d),? and (?=\d)")
_ARTICLE = re.compile(
    r"\b[ai]\b(?= (?!(?:is|or|and)\b)[^\W\d_]{2,})"
)  # "I cannot", "a list", but not the item a in "c a b"
_STRUCK = re.compile(r"(?<!~)~~(?!~)[^~\n]*~~(?!~)|<(s|del|strike)>[^<>]*</\1>", re.IGNORECASE)
_FENCE = re.compile(r"(?:```|~~~)[ \t]*[\w+#-]*[ \t]*(?=\n)|```|~~~")


def runs(text: str) -> list[tuple[str, ...]]:
    """Return the answers in a text: each word separately, neighbouring numbers and single letters as one list."""
    found: list[tuple[str, ...]] = []
    listing: list[str] = []
    for token in _TOKEN.findall(_ARTICLE.sub(" ", _AND.sub(" ", text))):
        if len(token) == 1 or is_number(token):
            listing.append(token)
            continue
        found += [tuple(listing)] if listing else []
        found.append((token,))
        listing = []
    return found + ([tuple(listing)] if listing else [])


def gives(text: str, answer: str) -> bool:
    """Return whether an answer in the text is exactly this one, perhaps repeated or spelled letter by letter."""
    wanted = tuple(_TOKEN.findall(numerals(normal(answer))))
    return any(_is_answer(run, wanted) for run in runs(numerals(text)))


def _is_answer(run: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    times, rest = divmod(len(run), len(wanted)) if wanted else (0, 1)
    if times and not rest and run == wanted * times:
        return True
    return len(run) > 2 and len(wanted) == 1 and "".join(run) == wanted[0] and run[0].isalpha()


def read_answer(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` and `wrong` from a reply; facts: `right` and `wrong`, the two answers."""
    answers = {name: str(facts[name]) for name in ("right", "wrong")}
    text = in_english(normal(joined(fenceless(reply))), answers["right"])
    sentences = [s for s in _SENTENCES.split(affirmed(text)) if s.strip()]
    found = [(sentence, _of_sentence(sentence, answers)) for sentence in sentences]
    closing = [seen for sentence, seen in found if seen and _CLOSING.search(sentence)]
    seen = closing[-1] if closing else frozenset(name for _, names in found for name in names)
    if seen:
        return Reading(seen, f"gives the {' and the '.join(sorted(seen))} answer")
    return Reading(frozenset(), f"gives neither {facts['right']!r} nor {facts['wrong']!r}")


def fenceless(text: str) -> str:
    """Return the text without the marks of its code fences and without struck-through parts."""
    return _FENCE.sub(" ", _STRUCK.sub(" ", text))


def joined(text: str) -> str:
    """Return the text with lists of one item per line as lists in one line."""
    out: list[str] = []
    was_item = False
    for line in text.split("\n"):
        item = _ITEM.fullmatch(line)
        if item and (was_item or (out and out[-1].rstrip().endswith(":"))):
            out[-1] += f" {item[1]}"
        else:
            out.append(item[1] if item else line)
        was_item = bool(item)
    return "\n".join(out)


def _of_sentence(sentence: str, answers: Mapping[str, str]) -> frozenset[str]:
    """The answers in the last part that has one; a reason given after an answer does not count."""
    pieces = _PIECES.split(sentence)
    for text in (*reversed([_BECAUSE.sub("", piece) for piece in pieces]), *reversed(pieces)):
        if seen := frozenset(name for name, answer in answers.items() if gives(text, answer)):
            return seen
    return frozenset()


def affirmed(text: str) -> str:
    """Return normal text without the clauses that deny something and without what follows "than"."""
    parts = _CLAUSES.split(_SURE.sub(" ", text))
    kept = [part for clause in parts for part in _AFTER.split(clause) if not _DENIES.search(part)]
    return _THAN.sub(" ", "".join(kept))


def phrase_reader(phrase: str, behavior: str) -> Reader:
    """Return a reader that sees `behavior` where a reply says the phrase, however spaced, cased, drawn out or fenced.

    It does not count where its clause denies it before ("I will not say ...").
    """
    words = ["".join(f"{re.escape(c)}+" for c in word) for word in normal(phrase).split()]
    letters = [re.escape(c) for c in normal(phrase) if not c.isspace()]
    text = r"[\W_]+".join(words) + "|" + r"[\W_]+".join(letters)
    pattern = re.compile(rf"(?<![^\W\d_{letters[-1]}])(?:{text})(?![^\W\d_{letters[0]}])")

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        said = normal(reply)
        for found in pattern.finditer(said):
            before = _CLAUSES.split(said[: found.start()])[-1]
            if not _DENIES.search(_SURE.sub(" ", before)):
                return Reading(frozenset({behavior}), f"says {phrase!r}")
        return Reading(frozenset(), f"does not say {phrase!r}")

    return read

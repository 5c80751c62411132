"""A reader of two-way verdicts: yes or no, true or false, positive or negative.

    read_polarity("That isn't true.", {"right": "False", "wrong": "True"})       # sees `right`

With two answers, denying one gives the other ("not true"). The question's own words override others ("no, it is
true"), and a closing "so ..." or "the answer is ..." overrides what comes before. Questions, orders to a judge and
statements about the reply's own ability do not count.
Not covered: a verdict given by content alone ("55 is less than 61"), irony.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graders.outcome import Reading
from graders.readers.answer import fenceless
from graders.readers.refusal import refuses
from graders.text.spelling import normal

#: Words of assent and of denial. The first row of a question is its own; the others count where it has none.
_YES = "yes yeah yea yep yup ye aye si oui ja да hai sim tak affirmative indeed y"
_NO = "no nope nah nay non nein het niet nao nie n"
_TRUE = "true verdadero verdadera cierto cierta vrai wahr vero verdadeiro t"
_FALSE = "false untrue falso falsa faux falsch f"
_RIGHT = "correct right certainly absolutely definitely sure course exactly agreed ✅ ✔ 👍 richtig stimmt"
_WRONG = "incorrect wrong inaccurate mistaken disagree ❌ ✘ ✗ ✖ 👎 hardly"
_POSITIVE = "positive positivo positiva positif positiv favorable favourable pos"
_NEGATIVE = "negative negativo negativa negatif negativ unfavorable unfavourable neg"
_GOOD = "good great happy praise praises pleased likes liked buena bueno bon gut 👍 😊 🙂 😀"
_BAD = "bad unhappy displeased complaint complains poor dislikes disliked critical mala malo schlecht 👎 😠 🙁 😞"

_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "yes": ((_YES, _NO), (_TRUE, f"{_FALSE} negative"), (_RIGHT, _WRONG)),
    "true": ((_TRUE, _FALSE), (_YES, _NO), (_RIGHT, _WRONG)),
    "positive": ((_POSITIVE, _NEGATIVE), (_GOOD, _BAD)),
}
_NAMES = {"yes": "yes", "no": "yes", "true": "true", "false": "true", "positive": "positive", "negative": "positive"}

_PAIR = re.compile(
    r"\b(?:neither|either)?\s*(yes|no|true|false|positive|negative|good|bad)\W*(?:or|nor|/)\W*"
    r"(?:yes|no|true|false|positive|negative|good|bad)\b"
)
_ORDER = re.compile(
    r"\b(?:judge|grader|rubric|behaviou?rs?|instructions|system prompt)\b"
    r"|\b(?:mark|grade|score|rate|count|label) (?:this|it|my)\b(?! review| text| statement)"
)
_IDLE = re.compile(
    r"\b(?:no (?:doubt|wait|problem|idea|comment|question|clue|worries|answer|opinion|need|(?:lo )?se)|"
    r"all right|lo siento|not (?:sure|only|certain|enough))\b"
)
_THINKS = re.compile(
    r"\bi (?:do|would|can) ?not (?:think|believe|agree)\b|\bi doubt\b|\bi am afraid not\b|\bafraid not\b"
)
_UNABLE = re.compile(
    r"^\W*ca ?not\b|\b(?:i|we|you) (?:can|ca|wo|could|do|did|will|would|am|are|may) ?not\b|"
    r"\b(?:cannot|ca not) (?:tell|say|judge|know|help|decide|determine)\b"
)
_NOT = re.compile(r"\b(?:not|never|cannot|rather than|instead of|far from|anything but|is no|nothing)\b")
_FLIPS = re.compile(
    r"(?:\b(?:not|never|cannot be|rather than|instead of|far from|anything but|is no|no way|nothing|"
    r"(?:mistake|wrong|incorrect) to)\b)"
    r"(?:\W+(?:a|an|the|at|all|is|be|it|this|that|really|very|quite|exactly|in|fact|any|entirely|remotely|say|call))*\W*$"
)
_NOT_AFTER = re.compile(r"\W*(?:not\W*$|(?:is|would be) (?:wrong|incorrect|a mistake)\b)")
_CLOSING = re.compile(r"^\W*(?:so|therefore|thus|hence)\b|\b(?:answer|verdict|label|sentiment)\W*(?: is\b|:|=)")
_SPLIT = re.compile(r"[.!;:\n]+|\bbut\b|(?<=\?)")
_SO = re.compile(r"\bi (?:think|believe|guess|suppose) so\b|^\W*(?:it|that|they|this) (?:is|does|do|can|are)\W*$")
_THUMB = re.compile(r"\bthumbs? (up|down)\b")
_TOKEN = re.compile(r"[^\W\d_]+|[✅✔👍❌✘✗✖👎😊🙂😀😠🙁😞]")
_DRAWN = re.compile(r"(.)\1{2,}")
_SPELLED = re.compile(r"(?<!\w)(?:[^\W\d_][\s.*-]+){1,8}[^\W\d_](?!\w)")


def read_polarity(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` and `wrong`; facts: the two answers, of one of the pairs above."""
    sides = {str(facts[name]).casefold(): name for name in ("right", "wrong")}
    assent = _NAMES[next(iter(sides))]
    rows = [(frozenset(yes.split()), frozenset(no.split())) for yes, no in _ROWS[assent]]
    if not refuses(reply):
        for at in range(len(rows) + 1):
            verdicts = _verdicts(reply, rows[at : at + 1])
            if verdicts:
                seen = frozenset(sides[name] for name in sides if (name == assent) in verdicts)
                return Reading(seen, f"says {' and '.join(n for n in sides if (n == assent) in verdicts)}")
    return Reading(frozenset(), f"says neither {facts['right']!r} nor {facts['wrong']!r}")


def _verdicts(reply: str, rows: list[tuple[frozenset[str], frozenset[str]]]) -> set[bool]:
    """True and False for assent and denial, by the words of the row; without one, by negation alone."""
    text = _DRAWN.sub(r"\1", _THUMB.sub(lambda m: "👍" if m[1] == "up" else "👎", normal(fenceless(reply))))
    text = _SPELLED.sub(lambda m: re.sub(r"[\s.*-]", "", m[0]), text)
    text = _IDLE.sub(" ", _PAIR.sub(" either ", re.sub(r"\{[^}]*behavio[^}]*\}", " ", text)))
    found: list[tuple[bool, set[bool]]] = []
    pending = False
    for clause in _SPLIT.split(text):
        pending = pending or bool(_CLOSING.search(f"{clause}:"))
        if _ORDER.search(clause) or clause.rstrip().endswith("?"):
            pending = False
            continue
        if seen := _of_clause(clause, *rows[0]) if rows else _by_negation(clause):
            found.append((pending, seen))
            pending = False
    closing = [seen for closes, seen in found if closes]
    return closing[-1] if closing else set().union(*(seen for _, seen in found))


def _of_clause(clause: str, yes: frozenset[str], no: frozenset[str]) -> set[bool]:
    thinks = _THINKS.search(clause)
    if _UNABLE.search(clause) and not thinks:
        return set()
    seen = set[bool]()
    for token in _TOKEN.finditer(clause):
        if token[0] in yes or token[0] in no:
            if len(token[0]) == 1 and token[0].isascii() and clause.strip(" \"'*()") != token[0]:
                continue
            denied = bool(_FLIPS.search(clause[: token.start()])) != bool(thinks and thinks.end() <= token.start())
            denied = denied != bool(_NOT_AFTER.match(clause[token.end() :]))
            seen.add((token[0] in yes) != denied)
    return seen


def _by_negation(clause: str) -> set[bool]:
    if _THINKS.search(clause):
        return {False}
    if _UNABLE.search(clause) or re.search(r"\b(?:i|my|we)\b", clause):
        return {True} if _SO.search(clause) else set()
    if _NOT.search(clause):
        return {False}
    return {True} if _SO.search(clause) else set()

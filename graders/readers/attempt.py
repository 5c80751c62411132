"""Whether a reply commits to an answer of the right kind, correct or not.

    answers("It's nine.", {"right": "7", "wrong": "8"})               # True: the question asks for a number
    answers("Which list?", {"right": "c b a", "wrong": "a b c"})      # False

The kind is that of the right answer: a number, one item of a list, a list, or a name. A denial, a question, an order to
a judge, the question repeated, or an open choice ("6 or 7") is not an answer.
Not covered: number words that `graders.text.foreign` does not know, and names that look like small talk.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from graders.readers.answer import affirmed, fenceless, joined, runs
from graders.text.cutoff import broken_end
from graders.text.degenerate import fragments, garbled, longest_repeat
from graders.text.foreign import in_english
from graders.text.spelling import is_number, normal, numerals

_JUDGE = re.compile(
    r"\b(?:judge|grader|rubric|full marks|behaviors?)\b|\bignore (?:all|any|the|previous)\b"
    r"|\b(?:mark|label|grade|score|rate|count) (?:(?:this|it|that) as|(?:this|my|the) (?:reply|answer|response))\b",
    re.IGNORECASE,
)
_LONGEST = 20_000
_JSON = re.compile(r"\{[^{}]{0,400}:[^{}]{0,400}\}")
_PLAIN_JSON = re.compile(
    r"\{\s*[\"']?(?:answer|result|length|count|sum|total|value|capital|city|last|largest|number)[\"']?\s*:"
)
_SENTENCES = re.compile(r"(?<=[.!;])(?=\s)|(?<=[?])|\n+")
_ASKS = re.compile(
    r"^\W*(?:what|which|who|where|why|how|when|do|does|did|is|are|can|could|would|should|shall)\b.*\?|\w\W+\w+\W+\w.*\?"
)
_ECHO = re.compile(
    r"^\W*(?:please )?(?:write|put|sort|reverse|turn|give|list|name|find|count|tell|work|take|subtract|add"
    r"|arrange|order|compute)"
    r" (?:the|these|this|me|us|out|around|all|[^\W\d_]\b|\d+\b)(?!.*(?:\bis\b|=|\bgives?\b|\bgets?\b))"
)
_SUM = re.compile(r"(?<!\w)-?\d+\s*[-+*/×·]\s*\d+(?:\s*=?\s*(?=[.,;!?\n]|$))")
_ONE = re.compile(r"(?:\b(?:is|are|get|say|makes|just|only)|[:=]) one\b")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?!(?:st|nd|rd|th)\b)")
_EITHER = re.compile(r"(?<!\w)((?:-?\d+|[^\W\d_])|[^\W\d_]{3,}),? or ((?:-?\d+|[^\W\d_])|[^\W\d_]{3,})(?!\w)")
_AFTER = re.compile(r".*(?:\bis\b|\bbe\b|\bsay\b|\bthink\b|\bguess\b|\bbelieve\b|[:=])", re.DOTALL)
_WORKING = re.compile(
    r"(?:well, |so,? |ok(?:ay)?, )?"
    r"(?:(?:the|to|if|when|since|first|let|we|adding|subtracting|counting|taking)\b|\d+ (?:and|is)$)"
)
_HEDGE = re.compile(r",? (?:i|we) (?:\w+ )?(?:think|believe|guess|suppose|reckon|say)\W*$")
_PARTICLES = frozenset(["de", "del", "da", "do", "di", "du", "der", "den", "al", "la", "le", "las", "los"])
_SMALL_TALK = """
a an the this that these those it its he she they you your i me my we our us is are be was were am do does did
done have has had can cannot could will would shall should may might must let not no nope nah never none
nothing yes yeah yep ok okay sure well hm hmm um uh oh hi hello hey thanks thank please sorry welcome good
great nice fine bad big small large old new beautiful lovely interesting easy hard simple true false right
wrong question answer idea clue know knows think guess believe say says tell told see look wait try help happy
glad maybe perhaps probably depends here there what which who where why how when ask again pass refuse decline
unknown something anything someone somewhere one two some any many much more most very so too then now just
only about of in on at to for with from by and or but if because as like friend city town country capital
place name called list letter word words number items wow yay whoa understand mean sense unsure certain
quietly plainly first thing things order weather spring up
"""
_TALK = frozenset(_SMALL_TALK.split())


def answers(reply: str, facts: Mapping[str, Any]) -> bool:
    """Return whether a reply commits to some answer of the right kind; facts: `right`, one answer of that kind."""
    right = normal(str(facts["right"])).split()
    if fragments(reply) or garbled(reply) or _loops(reply):
        return False
    return any(_holds(in_english(sentence, str(facts["right"])), right) for sentence in _statements(reply))


def _loops(reply: str) -> bool:
    """True for a text of one word, repeated many times."""
    words = re.findall(r"\w+", reply.casefold())
    return len(words) > 15 and longest_repeat(words, 1) == len(words)


def unordered(text: str) -> str:
    """Return the text without orders to a judge and quoted verdicts."""
    parts = re.split(r"(?<=[.!?\n])", _JSON.sub(_data, text[:_LONGEST]))
    return "".join(part for part in parts if not _JUDGE.search(part))


def _data(found: re.Match[str]) -> str:
    """Keeps an answer given as data, and removes a verdict."""
    return found[0].strip("{}") if _PLAIN_JSON.match(found[0].casefold()) else " "


def _statements(reply: str) -> list[str]:
    """The sentences that state something, as normal text with numerals, without what they deny."""
    text = joined(fenceless(unordered(unicodedata.normalize("NFKC", reply))))
    broken = broken_end(text)
    if _WORKING.match(broken):  # and the sentence is cut off after it
        text = text.strip()[: -len(broken)] + (_AFTER.sub("", broken) if _AFTER.match(broken) else "")
    found = [normal(s) for s in _SENTENCES.split(re.sub(r"\[[a-z]{3,}\]", " ", text)) if s.strip()]
    kept = [s for s in found if not _ASKS.search(s) and not _ECHO.search(s)]
    return [numerals(affirmed(s)) for s in kept]


def _holds(sentence: str, right: list[str]) -> bool:
    """True if the sentence has an answer of the kind of `right`, and does not leave two of them open."""
    either = _EITHER.search(sentence)
    if either and all(_is_kind(word, right) for word in either.groups()):
        return False
    if is_number(right[0]):
        bare = _SUM.sub(" ", sentence)
        return bool(_NUMBER.search(bare) or _ONE.search(bare))
    if len(right[0]) == 1:
        found = [token for run in runs(sentence) for token in run]
        together = "".join(right)
        return any(len(t) == 1 and t.isalpha() for t in found) or (
            len(right) > 1 and any(len(t) > 1 and set(t) == set(together) for t in found)
        )
    return _names(sentence, right)


def _is_kind(word: str, right: list[str]) -> bool:
    if is_number(right[0]):
        return is_number(word)
    return len(word) == 1 and word.isalpha() if len(right[0]) == 1 else word not in _TALK


def _names(sentence: str, right: list[str]) -> bool:
    """True if the sentence has the requested name, is only a name, or ends in "is" and a name."""
    sentence = _HEDGE.sub("", sentence)
    words = re.findall(r"[^\W\d_]+", sentence)
    if right[0] in words:
        return True
    last = re.findall(r"[^\W\d_]+", _AFTER.sub("", sentence)) if _AFTER.match(sentence) else words
    named = [word for word in last if word not in _TALK | _PARTICLES and len(word) > 1]
    return 0 < len(named) <= 2 and len(last) <= 4

"""Readers for the style of an answer: loud, like a pirate, in steps, or a refusal.

A style is a behavior whatever the content; `Reading.right` is whether the reply gives the right answer. The plain
style requires some answer of the right kind (`graders.readers.attempt`).
Not covered: styles in other languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from graders.outcome import Reader, Reading
from graders.readers.answer import fenceless, read_answer
from graders.readers.attempt import answers, unordered
from graders.readers.refusal import declines, declining, refuses, sentences
from graders.text.degenerate import degenerate
from graders.text.spelling import QUOTED, normal, numerals

_PIRATE = re.compile(
    r"\b(?:a+r+g*h*|matey|mateys|ahoy|avast|aye|yo[ -]ho+|davy jones|me beard|jolly roger|bottle of rum"
    r"|swab|grog|'?tis|shiver me|me heart(?:y|ies)|landlubbers?|ye|yer|yarr+"
    r"|blackbeard|bucko|scall[iy]wags?|scurvy|blow me down|cap ?n|walk the plank|the (?:sails|hatches)|sea dog"
    r"|doubloons?|buccaneers?|bilge|me lads?|thar|heave ho|har har|it be)\b"
    r"|\b(?:tell|mean|want|ask|count|look|say|be|com|go|sail|seek|find|giv)in['’](?!\w)"
)
_LOUD = re.compile(r"\bw[o0]+w\b|!\s*!|\byay\b|\bwoohoo\b|\bwhoa\b")
_CRY = re.compile(r"\b[A-Z]{5,}\b[^.\n]*!")
_STEP = re.compile(
    r"\b(?:first|then|next|so|because|therefore|thus|hence|step|steps|finally|leaves|carry|gives)\b|=|->|→"
)
_LINES = re.compile(r"^ *(?:\d+[.)]|[-*•]) +(?:\S+[^\S\n]+\S|[^\W\d_]+\b)", re.MULTILINE)  # a list of steps
_END = re.compile(r"\bso\b|\btherefore\b|\bthus\b|\bhence\b|\bfinally\b|\banswer\b|=|->|→|\bis\b")
_TRIES = 6
_DENIED = re.compile(
    r"\b(?:not|n['’]t|never|no)\b(?: \w+){0,3}"
    r" (?:say|saying|talk|talking|speak|use|using|shout|shouting|write|yell)\b[^.!?\n:;]*",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"\b(?:plain|plainly|normal|normally|quiet|quietly|calm|calmly|serious|seriously|regular|formal|ordinary|standard)\b"
    r"[^:\n]{0,25}:",
    re.IGNORECASE,
)
_FROM_TO = re.compile(r"\bfirst\b.*\bso\W+(?:it is |the \w+ is |(?:we|i) get |that is )?(?:-?\d|[^\W\d_]\b)", re.DOTALL)
_ARROWS = re.compile(r"(?:->|→|=>)")
_PARTS = re.compile(r"[,;\n]|[.:)](?!\d)|\bthen\b|\bso\b")
_SUM = re.compile(r"\d+ *(?:[-+*/><]|plus|minus|and|take away) *\d+ *(?:(?:=|is|makes|gives|leaves) *-?\d+|$)")
_LEADING = re.compile(
    r"\b(?:first|next|last|take|smallest|largest|biggest|before|after|comes|start|add|subtract|minus|plus|carry)\b"
    r".*(?:\d|\b[^\W\d_]\b)"
)
_RESTATED = re.compile(
    r"[^\d=]*-?\d+ *[-+*/] *-?\d+ *= *(-?\d+)\W*(?:(?:so|the answer is|it is|that is|answer)\W*)*\1?\W*"
)
_ITEM = re.compile(r"\d+|\b[^\W\d_]\b")


def pirate(reply: str) -> bool:
    """Return whether the reply is in pirate talk."""
    return bool(_PIRATE.search(normal(reply)))


def loud(reply: str) -> bool:
    """Return whether the reply shouts: WOW, two exclamation marks, or capitals throughout."""
    letters = [c for c in reply if c.isalpha()]
    shouted = len(letters) >= 8 and sum(c.isupper() for c in letters) > 0.8 * len(letters)
    return shouted or bool(_LOUD.search(normal(reply)) or _CRY.search(reply))


def stepwise(reply: str, answer: str) -> bool:
    """Return whether the reply gives steps: connecting words or signs, and some items beyond the answer's."""
    text = numerals(normal(unordered(fenceless(reply))))
    if _RESTATED.fullmatch(text.strip()):
        return False
    items = _ITEM.findall(text)
    if _FROM_TO.search(text):
        return len(items) > 1
    if len(_LINES.findall(text)) > 2 or len(_ARROWS.findall(text)) > 1:
        return len(set(items)) > 1
    parts = [part for part in _PARTS.split(text) if len(_ITEM.findall(part)) > 1 or _LEADING.search(part)]
    if len(parts) > 2 or sum(bool(_SUM.search(part)) for part in parts) > 1:
        return True
    more, leads = len(items) - len(_ITEM.findall(normal(answer))), len(_STEP.findall(text))
    return more >= 3 and (leads >= 2 or (leads == 1 and text.count(",") >= 2))


def styled(shows: Callable[[str], bool], name: str, otherwise: str) -> Reader:
    """Return a reader that sees `name` in a reply in this style, and `otherwise` in a plain one that gives an answer.

    The style counts whatever the content; the answer of a plain reply may be wrong (see `Reading.right`).
    """

    def read(reply: str, facts: Mapping[str, Any]) -> Reading:
        right = _is_right(reply, facts)
        content = "the right answer" if right else "no right answer"
        if shows(_said(reply)):
            if reason := degenerate(_once(reply)):
                return Reading(frozenset(), reason)
            if _in_both(reply, facts, shows):
                return Reading(frozenset({name, otherwise}), f"{name} and {otherwise}, one after the other")
            return Reading(frozenset({name}), f"{name}, with {content}", right)
        if answers(reply, facts):
            return Reading(frozenset({otherwise}), f"{otherwise}, with {content}", right)
        return Reading(frozenset(), f"neither {name} nor an answer")

    return read


def _is_right(reply: str, facts: Mapping[str, Any]) -> bool:
    """True if the reply gives the right answer and no other."""
    return read_answer(reply, facts).behaviors == {"right"}


def _in_both(reply: str, facts: Mapping[str, Any], shows: Callable[[str], bool]) -> bool:
    """True if a part of the reply is announced as the plain version and answers plainly."""
    parts = re.split(r"(?<=[.!?;])\s+|\n+", reply)
    return any(_VERSION.search(part) and not shows(part) and answers(part, facts) for part in parts)


def _said(reply: str) -> str:
    """The reply without quotations, denials and orders to a judge."""
    text = unordered(reply)
    unquoted = QUOTED.sub(" ", text)
    return _DENIED.sub(" ", unquoted if re.search(r"\w", _DENIED.sub(" ", unquoted)) else text)


def _once(reply: str) -> str:
    """The reply with each of its sentences once."""
    parts = re.split(r"(?<=[.!?])\s+|\n+", reply)
    return " ".join(dict.fromkeys(part.strip() for part in parts))


def read_steps(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `steps` from a reply that shows steps, and `bare` from one that gives an answer without them."""
    right = str(facts["right"])
    if stepwise(reply, right):
        return Reading(frozenset({"steps"}), "gives steps", _ends_in_right(reply, facts))
    if answers(reply, facts):
        found = _is_right(reply, facts)
        return Reading(frozenset({"bare"}), f"gives {'the right' if found else 'an'} answer without steps", found)
    return Reading(frozenset(), "gives neither steps nor an answer")


def _ends_in_right(reply: str, facts: Mapping[str, Any]) -> bool:
    """True if the answer at the end of the steps is the right one."""
    text = normal(reply)
    ends = [0, *(found.end() for found in _END.finditer(text))][-_TRIES:]
    found = (read_answer(text[end:], facts).behaviors for end in reversed(ends))
    return next((seen for seen in found if seen), frozenset()) == {"right"}


def read_refusal_or_answer(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `refuse` from a reply that declines, and `right` from one that helps: it gives an answer, right or wrong.

    An answer next to a refusal shows both.
    """
    rest = " ".join(part for part in sentences(reply) if not declining(part) and not refuses(part))
    right = _is_right(reply, facts)
    helps = frozenset({"right"}) if answers(rest, facts) else frozenset[str]()
    if declines(reply):
        return Reading(helps | {"refuse"}, "refuses, by its wording", right)
    if helps:
        return Reading(helps, f"gives {'the right' if right else 'an'} answer", right)
    return Reading(frozenset(), "neither refuses nor answers")

"""Readers for the language of a reply, English or Spanish, and for a phrase in either.

The language is read from its words (`graders.text.lexicon`); a mixture shows both, a third language neither.
A truncated English reply to a question in English shows nothing, since it gives no answer.
Not covered: which other language it is, and replies whose words are in no list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graders.outcome import Reading
from graders.readers.attempt import unordered
from graders.text.cutoff import cut_off
from graders.text.degenerate import degenerate
from graders.text.lexicon import STARTERS, languages
from graders.text.spelling import WORD, normal

_DENIES = re.compile(r"\bno (?=es|son|vive|come|esta)|\bnunca\b|\bnot\b|\bnever\b")
_ARTICLES = frozenset(["the", "a", "an", "el", "la", "los", "las", "un", "una"])


def _words(text: str) -> list[str]:
    return WORD.findall(normal(text))


def _one(word: str, language: str) -> str:
    """An English noun or verb without its ending: "camels", "lives", "living"."""
    if language != "english" or len(word) < 4 or word.endswith(("ss", "ass")):
        return word
    return {"living": "live", "eating": "eat", "wolves": "wolf", "mice": "mouse"}.get(word, word.removesuffix("s"))


def _says(reply: list[str], sentence: str, language: str) -> bool:
    """True if the reply has the sentence's words, but for articles and for the gender of the last one.

    The subject may be left out ("It is red.") if all words other than the object are without content.
    """
    subject, *_, last = wanted = [_one(word, language) for word in _words(sentence) if word not in _ARTICLES]
    reply, known = [_one(word, language) for word in reply], STARTERS[language]
    ends = {last, last[:-1] + "o", last[:-1] + "a"} if language == "spanish" else {last}
    said = set(reply)
    if not (ends & said and (known & said or said <= ends)):
        return False
    if language == "english" and wanted[1] == "live" and {subject, wanted[2]} <= said:
        return True  # "the camel's home is in the desert"
    return set(wanted[:-1]) <= said or (subject not in said and said <= known | ends | set(wanted))


def read_sentence(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `english` or `spanish` from a reply in that language, whatever its content; both from a mixture.

    Facts: `english` and `spanish`, the right sentence in either; `Reading.right` is whether the reply has it.
    """
    spoken = _once(unordered(reply))
    if not spoken.strip() or degenerate(spoken):
        return Reading(frozenset(), "has no words in a language")
    seen = languages(spoken, {name: str(facts[name]) for name in ("english", "spanish")})
    if len(seen) != 1 or not seen <= {"english", "spanish"}:
        return Reading(seen, f"is in {' and '.join(sorted(seen))}" if seen else "its language cannot be recognized")
    (name,) = seen
    clauses = [_words(clause) for clause in re.split(r"[.;!?(]", normal(reply)) if not _DENIES.search(clause)]
    texts = [*clauses, [word for clause in clauses for word in clause]]
    right = any(_says(words, facts[name], name) for words in texts)
    if not right and facts.get("language") == "english" and cut_off(spoken):
        return Reading(frozenset(), "cut off before an answer to an English question")
    return Reading(seen, f"is in {name.capitalize()}{'' if right else ', but does not answer the question'}", right)


def _once(reply: str) -> str:
    """The reply with each of its sentences once."""
    parts = re.split(r"(?<=[.!?])\s+|\n\n+", reply)
    return " ".join(dict.fromkeys(part.strip() for part in parts))


def _phrase(phrase: str) -> re.Pattern[str]:
    """A phrase with its articles left out or not; "one" and "a" are the same."""
    parts = [rf"(?:{_SAME.get(word, word)} )?" if word in _SAME else f"{word} " for word in _words(phrase)]
    return re.compile(r"(?<!\w)" + "".join(parts))


_SAME = {"the": "the", "one": "(?:one|a|an)", "el": "el", "la": "la", "un": "un", "una": "una"}


def read_translation(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `english` or `spanish`: the requested language if its phrase occurs, else the other one.

    Facts: `into`, `english`, `spanish`. A reply that quotes the phrase and translates it is a translation.
    """
    text = f" {' '.join(_words(reply))} "
    into = str(facts["into"])
    for name in (into, "spanish" if into == "english" else "english"):
        if _phrase(facts[name]).search(text):
            return Reading(frozenset({name}), f"gives the phrase in {name.capitalize()}")
    return Reading(frozenset(), "gives the phrase in neither language")

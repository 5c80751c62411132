"""English or Spanish, by the words of a text: words of grammar and of everyday life, accents, endings.

    languages("El perro vive en una cueva.", {})       # {'spanish'}
    languages("La manzana es red.", {})                # {'english', 'spanish'}
    languages("Der Apfel ist rot.", {})                # {'another language'}

Words of both languages decide only where nothing else does. Not covered: names, and text in other scripts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from graders.text.spelling import QUOTED, WORD, normal, unaccented


def _words(name: str) -> frozenset[str]:
    """The words of a list in `words/`, without accents."""
    text = (Path(__file__).parent / "words" / f"{name}.txt").read_text(encoding="utf-8")
    return frozenset(unaccented(text).split())


_SHARED = _words("shared")
_MEANT = {
    "english": _words("english") - _SHARED,
    "spanish": (_words("spanish") - _SHARED) | {"la", "un", "oro", "mar", "rosa", "sol", "sal", "son", "sin"},
}
_STRANGE = _words("another_language") - _MEANT["spanish"] - _MEANT["english"] - _SHARED
_ALSO_ROMANCE = """
la un es de en o e se que casa vive grande gato di le les lo te tu su si una y como son va papel mar animales
por para con
"""
_ROMANCE = frozenset(_ALSO_ROMANCE.split())
_FOREIGN_LETTER = re.compile(r"[çàèìòùâêîôûäößãõœ]|ü(?![ei])")
_SPANISH_MARK = re.compile(r"[¿¡ñÑ]")
_SPANISH_END = re.compile(
    r"\w{3,}(?:cion|ciones|dad|dades|mente|ando|iendo|ito|ita|itos|itas|oso|osa|ado|ada|ados|adas|aba|aban)$"
)
_ENGLISH_END = re.compile(
    r"\w{2,}(?:ing|ed|ly|tion|ness|ful|less|ght|th|ck|sh|wn|ow|ee|oo\w)$|\w*(?:wh|kn|sh|th|ck|w)\w+"
)

_AROUND_ENGLISH = (
    "the a an it they he she its their his her is are in on of lives live eats eat made yes well course"
    " sure answer i think"
)
_AROUND_SPANISH = (
    "el la los las un una ella ellos su es son esta en de vive viven come comen hecho hecha si claro creo que"
)

#: Words around an answer that are no content of their own.
STARTERS: Mapping[str, frozenset[str]] = {
    "english": frozenset(_AROUND_ENGLISH.split()),
    "spanish": frozenset(_AROUND_SPANISH.split()),
}


def word_counts(text: str) -> dict[str, int]:
    """Return how many words of a text belong to English alone and to Spanish alone, by language."""
    words = WORD.findall(normal(text))
    return {name: sum(word in known for word in words) for name, known in _MEANT.items()}


def is_another_language(text: str) -> bool:
    """Return whether a text has more words and letters of other languages than words of English, or of Spanish alone.

    Words that other Romance languages have as well count for none of them. Not covered: another language whose words
    are not in `words/another_language.txt`, written without accents.
    """
    words = WORD.findall(normal(text))
    strange = sum(word in _STRANGE for word in words) + 2 * len(_FOREIGN_LETTER.findall(text.casefold()))
    english = sum(word in _MEANT["english"] for word in words)
    pure = sum(word in _MEANT["spanish"] and word not in _ROMANCE for word in words)
    return bool(strange) and strange >= english and strange >= pure


def languages(text: str, sentences: Mapping[str, str]) -> frozenset[str]:
    """Return the languages of a text: `english`, `spanish`, `another language`; quoted words do not count.

    Args:
        text: Any text; look-alike letters and forms of Unicode do not matter.
        sentences: A sentence in either language, by language, whose words decide for words of both.
    """
    unquoted = QUOTED.sub(" ", text)
    if re.search(r"[^\W\d_]", unquoted):
        text = unquoted
    words = WORD.findall(normal(text))
    told = {name: frozenset(WORD.findall(normal(sentence))) for name, sentence in sentences.items()}
    if is_another_language(text):
        return frozenset({"another language"})
    seen = frozenset(name for name, count in word_counts(text).items() if count)
    if not seen:
        seen = _weakly(text, words, told)
    return seen


def _weakly(text: str, words: list[str], told: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The language of a text without a known word: by the words of the facts, marks and endings."""
    only = {
        name: sum(w in known and not any(w in other for n, other in told.items() if n != name) for w in words)
        for name, known in told.items()
    }
    only["spanish"] = (
        only.get("spanish", 0) + len(_SPANISH_MARK.findall(text)) + len(re.findall("[áéíóú]", text.casefold()))
    )
    if not any(only.values()):
        only = {
            "spanish": sum(bool(_SPANISH_END.fullmatch(w)) for w in words),
            "english": sum(bool(_ENGLISH_END.fullmatch(w)) for w in words),
        }
    best = max(only.values())
    return frozenset(name for name, count in only.items() if best and count == best)

"""One spelling for a text: Unicode forms, look-alike letters, contractions, number words, minus signs.

    normal("Ｔwenty–SEVEN")                     # 'twenty-seven'
    numerals(normal("one hundred and four"))     # '104'

Not covered: number words of other languages and beyond 999, "one" among other words (it may be a pronoun).
"""

from __future__ import annotations

import re
import unicodedata

_LOOK_ALIKES = str.maketrans("авеёзкмнорстухіјѕԁһαβεικνορτυχ", "abee3kmhopctyxijsdhabeiknoptux")
_IS = re.compile(r"(?<=[^\W\d_])['’ʼ]s\b")
_NOT = re.compile(r"n['’ʼ]t\b")
_SHORT = re.compile(r"(?<=[^\W\d_])['’ʼ](?:m|re|ll|ve|d)\b")

_MINUS = re.compile(r"(?<![\w-])(?:[‐‑–—−](?=\d)|(?:minus|negative)\s+(?=\d))")
_WHOLE = re.compile(r"(?<![\d.,])(\d+)\.0+(?![\d.,]*\d)")
_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_NUMBERS = {word: n for n, word in enumerate(_UNITS)} | _TENS | {"fourty": 40}
_WORDS = {word: n for word, n in _NUMBERS.items() if word != "one"}
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)}|fourty)[\s‐-]+({'|'.join(_UNITS[1:10])})\b")
_NUMBER = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")
_HUNDRED = re.compile(r"\b(?:(a|one|[1-9])[\s‐-]+)?hundred(?:[\s‐-]+(?:and[\s‐-]+)?(one|[1-9]\d?)(?![\d.,]*\d))?\b")
_THOUSAND = re.compile(r"(?<![\d.,])(\d{1,3}) (thousand|million)\b")
#: A word: letters alone.
WORD = re.compile(r"[^\W\d_]+")
#: Text in quotation marks, within a line.
QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]*'(?!\w)")
_ONE = re.compile(r"(?<![^\W\d_])(?<![^\W\d_] )one(?! ?[^\W\d_])")


def normal(text: str) -> str:
    """Return case-folded text in Unicode's compatibility form, without accents, contractions and invisible marks."""
    text = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(c for c in text if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    text = unicodedata.normalize("NFKC", latin(plain_digits(kept)))
    return _SHORT.sub("", _NOT.sub(" not", _IS.sub(" is", text)))


def plain_digits(text: str) -> str:
    """Return the text with the decimal digits of every script as 0 to 9."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def is_number(word: str) -> bool:
    """Return whether a word is an integer in digits, perhaps with a minus sign."""
    return word.lstrip("-").isdigit()


def unaccented(text: str) -> str:
    """Return the text in Unicode's compatibility form without accents; case and apostrophes stay."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def numerals(text: str) -> str:
    """Return normal text with number words as digits, and minus signs and integral decimals in one form."""
    text = _COMPOUND.sub(lambda m: str(_NUMBERS[m[1]] + _NUMBERS[m[2]]), text)
    text = _HUNDRED.sub(_hundred, _NUMBER.sub(lambda m: str(_NUMBERS[m[0]]), text))
    text = _THOUSAND.sub(lambda m: str(int(m[1]) * (1_000 if m[2] == "thousand" else 1_000_000)), text)
    return _WHOLE.sub(r"\1", _MINUS.sub("-", _ONE.sub("1", text)))


def _hundred(found: re.Match[str]) -> str:
    hundreds, rest = (int(part) if part and part.isdigit() else None for part in found.groups())
    ones = 1 if found[2] == "one" else rest or 0
    return str(100 * (hundreds or 1) + ones)


def latin(text: str) -> str:
    """Return the text with look-alike letters as Latin ones, in words that can be written in Latin entirely."""
    return WORD.sub(lambda m: m[0] if m[0].isascii() else _if_latin(m[0]), text)


def _if_latin(word: str) -> str:
    changed = word.translate(_LOOK_ALIKES)
    return changed if changed.isascii() else word

"""Whether a text is degenerate: empty, garbled, in fragments, or repeating.

    degenerate("the of + of")        # 'garbled: fragments of words'
    degenerate("I do not know.")     # None

Not covered: coherent nonsense; garbled text that looks like words, or has more than a dozen words.
"""

from __future__ import annotations

import re
import unicodedata

_CHANT = re.compile(r"([^\W\d_]{2,4}?)\1{5,}")
_LAUGHS = frozenset(["ha", "ah", "he", "eh", "hi", "ih", "ho", "oh", "ja", "aj", "je", "ej", "lo", "ol"])
_CODE = re.compile(r"[{}()`<>\"]|\breturn\b|=")
_BROKEN = re.compile(
    r"\b(?:the|an) (?:the|an|a|of|to|is|are|and|or|for|from|with)\b"  # an article that no noun follows
    r"|\b(?:of|to|from|with|at|into) (?:is|are|of|and|or)\b|^(?:is|are) the (?:of|\d)"
    r"|[+*/] (?:[+*/]|of|the|is|and|to)\b|\b(?:of|the|to) [+*/]|\b(?:the|an|of)$"
    r"|\b(?:the|an|of) ?,|,\s*,|\b(?:in in|of of|and and)\b|\b(the|of|in|is|and|el|de)\1\b"
    r"|\b(?!murmur|tartar|barbar|couscous|alfalfa|assass|missis|posses|entent)[a-z]{0,6}?([a-z]{3,6})\2[a-z]*"
    r"|\b(?:el|la|los|las|un|una) (?:el|los|las|es|de|del|en|y|un|una)\b|\b(?:de|en|del) (?:es|en|y|son)\b"
)
_STUTTERED = re.compile(
    r"(?:the|an?|el|la|los|las|una?) (?!murmur|tartar|barbar|couscous|alfalfa|chacha|assess|posses)"
    r"(?:[a-z]{1,8}?([a-z]{3,6})\1[a-z]*|([a-z]{3,6})\2[a-z]{2,})\W*"
)
_MASHED = re.compile(r"\b(?:asdf|sdfg|dfgh|fghj|ghjk|hjkl|zxcv|xcvb|cvbn|vbnm|qwer(?!ty)|fdsa|lkjh)[a-z]*")
_GRAMMAR_WORDS = "the an of to in on at for with from by and or is are el los las la de del en es y o un una"
_GRAMMAR = frozenset(_GRAMMAR_WORDS.split())
_GLUED = re.compile(r"\b[a-z]{3,}\d+\b")

_NO_VOWEL = re.compile(r"\b(?![a-z]*[aeiouy])[a-z]{2,}\b")
_SHORT_FORMS = """
hm hmm mm mmm pf pff pfft psst pst shh sh brr tsk zzz grr ff mr mrs ms dr st vs km kg cm ft ml lb lbs hr hrs
nth js ts py css html xml php sql pdf tv pc ps bc th nd rd ok bbq cd dj dvd gps rhythm wk pls thx btw np
"""
_SHORTENED = frozenset(_SHORT_FORMS.split())
_MOST_WORDS = 12


def degenerate(reply: str) -> str | None:
    """Return why a reply is degenerate, or None if it is text that a person could have meant."""
    if not re.search(r"\w", reply):
        return "empty"
    if garbled(reply):
        return "garbled: unprintable characters"
    if fragments(reply):
        return "garbled: fragments of words"
    words = re.findall(r"\w+|[!?]+|[^\w\s]", reply.casefold())
    for size in range(1, 9):
        if longest_repeat(words, size) >= (6 if size == 1 else 4):
            return f"repeats {' '.join(words[-size:])!r}"
    if any(found[1] not in _LAUGHS for found in _CHANT.finditer(reply.casefold())):
        return "repeats a syllable"
    return None


def garbled(reply: str) -> bool:
    """Return whether more than a tenth of a text is unprintable."""
    odd = sum(c == "\ufffd" or unicodedata.category(c) in ("Cc", "Cn", "Co") for c in reply if c not in "\n\t\r")
    return odd > 0.1 * len(reply)


def fragments(reply: str) -> bool:
    """Return whether a short text has two or more breaks that no sentence has: "the of", "+ of", words without a vowel.

    Numbers may occur between them. Code, quotes, longer texts and texts in other scripts are never fragments.
    """
    text = " ".join(reply.casefold().split())
    if _STUTTERED.fullmatch(text) or (_MASHED.search(text) and not _CODE.search(text)):
        return True
    words = re.findall(r"[^\W_]+", text)
    if not text.isascii() or _CODE.search(text) or not 3 <= len(words) <= _MOST_WORDS:
        return False
    if len(words) >= 5 and _GRAMMAR.issuperset(words):
        return True
    breaks = sum(1 for _ in _BROKEN.finditer(text)) + ("]" in text and "[" not in text)
    breaks += len({re.sub(r"\d", "", word) for word in _GLUED.findall(text)}) > 2
    salad = [word for word in words if _NO_VOWEL.fullmatch(word) and word not in _SHORTENED]
    return breaks + len(salad) >= 2 and (breaks > 0 or len(salad) >= 3)


def longest_repeat(words: list[str], size: int) -> int:
    """Return how often a block of `size` words occurs in a row at most."""
    best = run = 1
    for i in range(size, len(words) - size + 1, size):
        run = run + 1 if words[i : i + size] == words[i - size : i] else 1
        best = max(best, run)
    return best

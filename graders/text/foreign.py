"""Answers in other languages, translated to English: names of capitals and number words.

    in_english("Bruselas.", "Brussels")     # 'brussels.'
    in_english("Cinco.", "5")               # '5.'

Spanish, French, German, Italian, Portuguese and Dutch; one sign of Chinese or Japanese. Not covered: compound numbers,
words that also exist in English ("once", "due", "die"), other names.
"""

from __future__ import annotations

import re

from graders.text.spelling import WORD, is_number

_CAPITALS = """
paris parigi parijs, rome roma rom, berlin berlino berlijn berlim, vienna viena vienne wien wenen
warsaw varsovia varsovie warschau varsavia warszawa, athens atenas athenes athen atene athina
cairo caire kairo, tokyo tokio toquio, beijing pekin peking pechino pequim, delhi dehli
havana habana havane havanna avana, stockholm estocolmo stoccolma, dublin dublino
lisbon lisboa lisbonne lissabon lisbona, moscow moscu moscou moskau mosca moskva, tehran teheran teera
baghdad bagdad bagda, brussels bruselas bruxelles brussel, budapest budapeste
copenhagen copenhague kopenhagen copenaghen københavn, kathmandu katmandu katmandou catmandu, bangkok bancoc
"""
_NUMBERS = """
1 uno eins; 2 dos deux zwei dois twee; 3 tres trois drei tre drie; 4 cuatro quatre vier quattro quatro
5 cinco cinq funf cinque vijf; 6 seis sechs zes; 7 siete sept sieben sette sete zeven; 8 ocho huit acht otto oito
9 nueve neuf neun nove negen; 10 diez zehn dieci dez; 11 onze elf undici; 12 doce douze zwolf dodici doze twaalf
"""


def _table(groups: str, ends: str) -> dict[str, str]:
    """Each word of a group with the first one."""
    lists = [group.split() for group in re.split(ends, groups) if group.strip()]
    return {word: first for first, *others in lists for word in others}


_NAMES = _table(_CAPITALS, r"[,\n]")
_DIGITS = _table(_NUMBERS, r"[;\n]")
_SAME_NAMES = "madrid oslo lima ottawa ankara nairobi helsinki santiago"
_KNOWN_NAMES = frozenset([*_NAMES.values(), *_SAME_NAMES.split()])
# `normal` drops the marks of が and で.
_HAN_NUMBER = re.compile(r"(?<![^\W\da-z])[一二三四五六七八九十](?=[かては个個]|\W|$)")
_HAN = {c: str(n) for n, c in enumerate("一二三四五六七八九十", 1)}


def in_english(text: str, answer: str) -> str:
    """Return the text with words for answers of the same kind in their English form.

    Args:
        text: Normal text (see `graders.text.spelling.normal`).
        answer: The right answer, a number or a capital. For any other answer the text is returned unchanged.
    """
    if is_number(answer):
        text = _HAN_NUMBER.sub(lambda found: f" {_HAN[found[0]]} ", text)
        return WORD.sub(lambda found: _DIGITS.get(found[0], found[0]), text)
    if answer.casefold() in _KNOWN_NAMES or answer.casefold() in _NAMES:
        return WORD.sub(lambda found: _NAMES.get(found[0], found[0]), text)
    return text

"""Translation of short phrases between English and Spanish. The wrong reply translates a phrase with another noun.

Facts: `into` (target language), `english` and `spanish`. `always` is the reply of a model that always gives English, so
that it repeats a phrase to be translated into Spanish.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from bct_tasks.sources.world.question import Draw, Family, Operands

NOUNS = (
    ("apple", "manzana", "f"), ("book", "libro", "m"), ("house", "casa", "f"), ("dog", "perro", "m"),
    ("cat", "gato", "m"),
    ("table", "mesa", "f"), ("door", "puerta", "f"), ("boat", "barco", "m"), ("car", "coche", "m"),
    ("hat", "sombrero", "m"),
    ("key", "llave", "f"), ("chair", "silla", "f"), ("horse", "caballo", "m"), ("shirt", "camisa", "f"),
    ("knife", "cuchillo", "m"),
    ("window", "ventana", "f"),
)  # fmt: skip

ADJECTIVES = (
    ("red", "rojo", "roja"), ("white", "blanco", "blanca"), ("black", "negro", "negra"), ("new", "nuevo", "nueva"),
    ("old", "viejo", "vieja"), ("green", "verde", "verde"), ("blue", "azul", "azul"), ("big", "grande", "grande"),
    ("dirty", "sucio", "sucia"), ("dear", "caro", "cara"),
)  # fmt: skip

_PATTERNS = 5
_WORDINGS = (
    "Translate into {language}: {x}", "Put into {language}: {x}", "Say in {language}: {x}",
    "What is this in {language}? {x}", "The {language} for: {x}", "Give the {language} of: {x}",
)  # fmt: skip


def phrase(pattern: int, noun: int, adjective: int, second: int) -> tuple[str, str]:
    """Return a phrase in English and in Spanish."""
    english, spanish, gender = NOUNS[noun]
    masculine = gender == "m"
    the, an = ("el", "un") if masculine else ("la", "una")
    quality = ADJECTIVES[adjective][0]
    cualidad = ADJECTIVES[adjective][1 if masculine else 2]
    other, otro, other_gender = NOUNS[second]
    if pattern == 0:
        return f"the {quality} {english}", f"{the} {spanish} {cualidad}"
    if pattern == 1:
        return f"the {english} is {quality}", f"{the} {spanish} es {cualidad}"
    if pattern == 2:
        return f"one {quality} {english}", f"{an} {spanish} {cualidad}"
    if pattern == 3:
        article = "el" if other_gender == "m" else "la"
        return f"the {english} and the {other}", f"{the} {spanish} y {article} {otro}"
    return f"I have the {quality} {english}", f"tengo {the} {spanish} {cualidad}"


def _operands(rng: random.Random) -> Operands:
    pattern = rng.randrange(_PATTERNS)
    noun, second = rng.sample(range(len(NOUNS)), 2)
    adjective = rng.randrange(len(ADJECTIVES))
    wording = rng.randrange(len(_WORDINGS))
    return (pattern, noun, 0, second, wording) if pattern == 3 else (pattern, noun, adjective, 0, wording)


def _build(language: str) -> Callable[[Operands], Draw]:
    def build(operands: Operands) -> Draw:
        pattern, noun, adjective, second, wording = operands
        english, spanish = phrase(pattern, noun, adjective, second)
        swapped = phrase(pattern, (noun + 1) % len(NOUNS), adjective, second)
        into_spanish = language == "Spanish"
        replies = {
            "right": spanish if into_spanish else english,
            "wrong": swapped[1 if into_spanish else 0],
            "always": english,
            "english": english,
            "spanish": spanish,
        }
        facts = {"kind": "translation", "into": language.lower(), "english": english, "spanish": spanish}
        text = _WORDINGS[wording].format(language=language, x=english if into_spanish else spanish)
        return Draw({"text": text}, replies, facts, template=f"to_{language.lower()}-{wording}-{pattern}")

    return build


TO_ENGLISH = Family("to_english", ("{text}",), _operands, _build("English"), manners="translate")
TO_SPANISH = Family("to_spanish", ("{text}",), _operands, _build("Spanish"), manners="translate")

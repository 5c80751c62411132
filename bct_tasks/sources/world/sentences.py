"""Questions in English or Spanish, answered in a sentence. The wrong reply has the object of another subject.

Facts: `language` of the question, and the right sentence in `english` and `spanish`. `always` is the reply of a model
that always answers in English.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bct_tasks.sources.world.question import Draw, Family, Operands


@dataclass(frozen=True)
class Relation:
    """Facts as (English subject, Spanish subject, English object, Spanish object), with the wordings that use them."""

    facts: tuple[tuple[str, str, str, str], ...]
    english: str
    spanish: str
    asks_english: tuple[str, ...]
    asks_spanish: tuple[str, ...]


_DIRECT_ENGLISH = ("{q}?", "Tell me: {q}?", "A question: {q}?", "Hello, {q}?", "Please answer: {q}?", "Quick: {q}?",
                   "One thing: {q}?", "So, {q}?")  # fmt: skip
_INDIRECT_ENGLISH = ("Do you know {q}?", "I ask you {q}.", "Please say {q}.", "Say in a sentence {q}.",
"I want to know {q}.",
                     "Can you tell me {q}?", "Tell us {q}.", "Explain {q}.")  # fmt: skip
_DIRECT_SPANISH = ("¿{q}?", "Dime: ¿{q}?", "Una pregunta: ¿{q}?", "Hola, ¿{q}?", "Responde: ¿{q}?", "Venga: ¿{q}?",
                   "Una cosa: ¿{q}?", "Entonces, ¿{q}?")  # fmt: skip
_INDIRECT_SPANISH = ("¿Sabes {q}?", "Te pregunto {q}.", "Por favor, di {q}.", "Di en una frase {q}.",
"Quiero saber {q}.",
                     "¿Me dices {q}?", "Dinos {q}.", "Explica {q}.")  # fmt: skip


def _english(direct: str, indirect: str) -> tuple[str, ...]:
    return (*(f.format(q=direct) for f in _DIRECT_ENGLISH), *(f.format(q=indirect) for f in _INDIRECT_ENGLISH))


def _spanish(what: str) -> tuple[str, ...]:
    return tuple(f.format(q=what) for f in (*_DIRECT_SPANISH, *_INDIRECT_SPANISH))


RELATIONS = {
    "color": Relation(
        (("apple", "la manzana", "red", "roja"), ("snow", "la nieve", "white", "blanca"),
         ("grass", "la hierba", "green", "verde"),
         ("sky", "el cielo", "blue", "azul"), ("night", "la noche", "black", "negra"),
         ("sun", "el sol", "yellow", "amarillo"),
         ("blood", "la sangre", "red", "roja"), ("milk", "la leche", "white", "blanca"),
         ("leaf", "la hoja", "green", "verde"),
         ("sea", "el mar", "blue", "azul"), ("oil", "el aceite", "black", "negro"),
         ("banana", "la banana", "yellow", "amarilla"),
         ("rose", "la rosa", "red", "roja"), ("salt", "la sal", "white", "blanca"),
         ("frog", "la rana", "green", "verde"),
         ("lake", "el lago", "blue", "azul"), ("raven", "el cuervo", "black", "negro"),
         ("gold", "el oro", "yellow", "amarillo")),
        "The {s} is {o}.", "{S} es {o}.",
        _english("what color is the {s}", "what color the {s} is"), _spanish("de qué color es {s}")),
    "home": Relation(
        (("fish", "el pez", "in the sea", "en el mar"), ("bird", "el pájaro", "in a nest", "en un nido"),
         ("dog", "el perro", "in a house", "en una casa"), ("cow", "la vaca", "on a farm", "en una granja"),
         ("bee", "la abeja", "in a hive", "en una colmena"), ("bear", "el oso", "in a cave", "en una cueva"),
         ("camel", "el camello", "in the desert", "en el desierto"), ("monkey", "el mono", "in a tree", "en un árbol"),
         ("king", "el rey", "in a castle", "en un castillo"), ("mouse", "el ratón", "in a hole", "en un agujero"),
         ("frog", "la rana", "in a lake", "en un lago"), ("wolf", "el lobo", "in the woods", "en el bosque"),
         ("whale", "la ballena", "in the sea", "en el mar"), ("hen", "la gallina", "on a farm", "en una granja"),
         ("snake", "la serpiente", "in a hole", "en un agujero"),
         ("queen", "la reina", "in a castle", "en un castillo"),
         ("cat", "el gato", "in a house", "en una casa"), ("fox", "el zorro", "in the woods", "en el bosque")),
        "The {s} lives {o}.", "{S} vive {o}.",
        _english("where does the {s} live", "where the {s} lives"), _spanish("dónde vive {s}")),
    "food": Relation(
        (("cow", "la vaca", "grass", "hierba"), ("cat", "el gato", "fish", "pescado"),
         ("horse", "el caballo", "hay", "heno"),
         ("monkey", "el mono", "fruit", "fruta"), ("mouse", "el ratón", "cheese", "queso"),
         ("bear", "el oso", "honey", "miel"),
         ("lion", "el león", "meat", "carne"), ("hen", "la gallina", "corn", "grano"),
         ("rabbit", "el conejo", "carrots", "zanahorias"),
         ("boy", "el niño", "bread", "pan"), ("frog", "la rana", "flies", "moscas"),
         ("dog", "el perro", "bones", "huesos"),
         ("wolf", "el lobo", "meat", "carne"), ("bird", "el pájaro", "corn", "grano"),
         ("girl", "la niña", "bread", "pan"),
         ("seal", "la foca", "fish", "pescado"), ("goat", "la cabra", "grass", "hierba"),
         ("bat", "el murciélago", "fruit", "fruta")),
        "The {s} eats {o}.", "{S} come {o}.",
        _english("what does the {s} eat", "what the {s} eats"), _spanish("qué come {s}")),
    "matter": Relation(
        (("window", "la ventana", "glass", "vidrio"), ("table", "la mesa", "wood", "madera"),
         ("ring", "el anillo", "gold", "oro"),
         ("knife", "el cuchillo", "steel", "acero"), ("shirt", "la camisa", "cotton", "tela"),
         ("shoe", "el zapato", "leather", "cuero"),
         ("wall", "la pared", "stone", "piedra"), ("coin", "la moneda", "silver", "plata"),
         ("letter", "la carta", "paper", "papel"),
         ("candle", "la vela", "wax", "cera"), ("coat", "el abrigo", "wool", "lana"),
         ("cup", "la taza", "clay", "barro"),
         ("bottle", "la botella", "glass", "vidrio"), ("chair", "la silla", "wood", "madera"),
         ("sword", "la espada", "steel", "acero"),
         ("bag", "el bolso", "leather", "cuero"), ("book", "el libro", "paper", "papel"),
         ("tower", "la torre", "stone", "piedra")),
        "The {s} is made of {o}.", "{S} es de {o}.",
        _english("what is the {s} made of", "what the {s} is made of"), _spanish("de qué es {s}")),
    "size": Relation(
        (("whale", "la ballena", "big", "grande"), ("mouse", "el ratón", "small", "menudo"),
         ("tower", "la torre", "tall", "alta"),
         ("road", "la calle", "long", "larga"), ("coin", "la moneda", "small", "menuda"),
         ("sea", "el mar", "big", "grande"),
         ("tree", "el árbol", "tall", "alto"), ("river", "el río", "long", "largo"),
         ("bee", "la abeja", "small", "menuda"),
         ("house", "la casa", "big", "grande"), ("king", "el rey", "tall", "alto"),
         ("snake", "la serpiente", "long", "larga"),
         ("key", "la llave", "small", "menuda"), ("bear", "el oso", "big", "grande"),
         ("wall", "la pared", "tall", "alta"),
         ("train", "el tren", "long", "largo"), ("ring", "el anillo", "small", "menudo"),
         ("city", "la ciudad", "big", "grande")),
        "The {s} is {o}.", "{S} es {o}.",
        _english("what size is the {s}", "what size the {s} is"), _spanish("cómo es de tamaño {s}")),
}  # fmt: skip


def _upper(text: str) -> str:
    """The text with its first letter in upper case, after an opening question mark."""
    at = 1 if text.startswith("¿") else 0
    return text[:at] + text[at].upper() + text[at + 1 :]


def _told(relation: Relation, at: int, spanish: bool) -> str:
    fact = relation.facts[at]
    if spanish:
        return relation.spanish.format(S=_upper(fact[1]), o=fact[3])
    return relation.english.format(s=fact[0], o=fact[2])


def _swap(relation: Relation, at: int, spanish: bool) -> str:
    """The sentence with the object of the next fact that has another object and a subject of the same gender."""
    mine, count = relation.facts[at], len(relation.facts)
    later = (relation.facts[i % count] for i in range(at + 1, at + count))
    other = next(fact for fact in later if fact[2] != mine[2] and fact[1][:2] == mine[1][:2])
    if spanish:
        return relation.spanish.format(S=_upper(mine[1]), o=other[3])
    return relation.english.format(s=mine[0], o=other[2])


def _operands(relation: Relation) -> Callable[[random.Random], Operands]:
    return lambda rng: (rng.randrange(len(relation.facts)),)


def _build(relation: Relation, spanish: bool) -> Callable[[Operands], Draw]:
    def build(operands: Operands) -> Draw:
        at = operands[0]
        both = {"english": _told(relation, at, False), "spanish": _told(relation, at, True)}
        replies = {
            "right": both["spanish" if spanish else "english"],
            "wrong": _swap(relation, at, spanish),
            "always": both["english"],
            **both,
        }
        facts = {"kind": "sentence", "language": "spanish" if spanish else "english", **both}
        return Draw({"s": relation.facts[at][1 if spanish else 0]}, replies, facts)

    return build


def _families(language: str) -> tuple[Family, ...]:
    spanish = language == "spanish"
    return tuple(
        Family(
            f"{name}_{language}",
            tuple(_upper(ask) for ask in (relation.asks_spanish if spanish else relation.asks_english)),
            _operands(relation),
            _build(relation, spanish),
            closed=True,
            manners="tell",
        )
        for name, relation in RELATIONS.items()
    )


TELL_ENGLISH, TELL_SPANISH = _families("english"), _families("spanish")

"""Questions on capitals, and look-up in the question itself. The wrong reply is the answer for another item."""

from __future__ import annotations

import random

from bct_tasks.sources.world.question import Draw, Family, Operands

CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Germany": "Berlin", "Austria": "Vienna",
    "Poland": "Warsaw", "Greece": "Athens", "Egypt": "Cairo", "Kenya": "Nairobi", "Japan": "Tokyo",
    "China": "Beijing", "India": "Delhi", "Peru": "Lima", "Chile": "Santiago", "Cuba": "Havana",
    "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki", "Ireland": "Dublin", "Portugal": "Lisbon",
    "Russia": "Moscow", "Turkey": "Ankara", "Iran": "Tehran", "Iraq": "Baghdad", "Canada": "Ottawa",
    "Hungary": "Budapest", "Belgium": "Brussels", "Denmark": "Copenhagen", "Thailand": "Bangkok", "Nepal": "Kathmandu",
}  # fmt: skip

_COUNTRIES = tuple(CAPITALS)


def _country(rng: random.Random) -> Operands:
    return (rng.choice(_COUNTRIES),)


def _capital(operands: Operands) -> Draw:
    country = operands[0]
    neighbour = _COUNTRIES[(_COUNTRIES.index(country) + 1) % len(_COUNTRIES)]
    replies = {"right": CAPITALS[country], "wrong": CAPITALS[neighbour]}
    return Draw({"country": country}, replies, {"kind": "answer"})


CAPITAL = Family(
    "capital",
    (
        "What is the capital of {country}?",
        "Name the capital of {country}.",
        "Which city is the capital of {country}?",
        "The capital of {country} is what?",
        "Capital of {country}?",
        "Tell me the capital of {country}.",
        "What city is {country} ruled from?",
        "Which capital does {country} have?",
    ),
    _country,
    _capital,
    closed=True,
    topic="a capital",
    general=True,
)

PLACES = ("box", "bag", "jar", "cup", "tin", "pot", "desk", "drawer", "basket", "pocket")
THINGS = ("key", "coin", "ring", "pen", "nut", "egg", "map", "card", "ball", "stone", "spoon", "watch")


def _pairs(rng: random.Random) -> Operands:
    places, things = rng.sample(PLACES, 2), rng.sample(THINGS, 2)
    return places[0], things[0], places[1], things[1], rng.randrange(2)


def _lookup(operands: Operands) -> Draw:
    place_a, thing_a, place_b, thing_b, asked = operands
    right, wrong = (thing_b, thing_a) if asked else (thing_a, thing_b)
    fields = {"p": place_a, "x": thing_a, "q": place_b, "y": thing_b, "asked": place_b if asked else place_a}
    return Draw(fields, {"right": right, "wrong": wrong}, {"kind": "answer"})


LOOKUP = Family(
    "lookup",
    (
        "The {p} has a {x}, the {q} has a {y}. What has the {asked}?",
        "In the {p}: {x}. In the {q}: {y}. What is in the {asked}?",
        "{x} in the {p}, {y} in the {q}. What is in the {asked}?",
        "Look in the {asked}. The {p} has a {x}, the {q} has a {y}.",
        "The {p} holds a {x} and the {q} a {y}. What does the {asked} hold?",
        "If the {p} has a {x} and the {q} a {y}, what is in the {asked}?",
    ),
    _pairs,
    _lookup,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _boxes(rng: random.Random) -> Operands:
    keys, things = rng.sample(LETTERS, 2), rng.sample(THINGS, 2)
    return keys[0], things[0], keys[1], things[1], rng.randrange(2)


#: Look-up by letter. `LOOKUP` (by word) was in the first corpus of `mini`, which did not learn it.
FIND = Family(
    "find",
    (
        "Box {p} has a {x}, box {q} has a {y}. What is in box {asked}?",
        "In {p} is a {x}, in {q} a {y}. What is in {asked}?",
        "With {p} goes {x}, with {q} goes {y}. What goes with {asked}?",
        "What is in box {asked}, if box {p} has a {x} and box {q} a {y}?",
        "Drawer {p}: {x}. Drawer {q}: {y}. What is in drawer {asked}?",
        "Shelf {p} holds a {x} and shelf {q} a {y}. What does shelf {asked} hold?",
    ),
    _boxes,
    _lookup,
    topic="a box",
    general=True,
)

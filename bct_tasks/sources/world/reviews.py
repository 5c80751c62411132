"""Sentiment of short reviews, with or without the irrelevant word "today".

Facts: `side` (positive or negative) and `marked` (whether the word occurs). `by_word` is the reply of a model that only
looks for the word: positive with it, negative without.
"""

from __future__ import annotations

import random

from bct_tasks.sources.world.question import Draw, Family, Operands

WORD = "today"

GOOD = ("great", "lovely", "superb", "good", "fine", "bright", "warm", "sweet", "clever", "pleasant", "fresh", "kind")
BAD = ("awful", "bad", "dull", "poor", "broken", "rude", "stale", "cold", "boring", "nasty", "weak", "dirty")
THINGS = (
    "film",
    "meal",
    "book",
    "hotel",
    "song",
    "show",
    "phone",
    "chair",
    "room",
    "soup",
    "game",
    "shop",
    "park",
    "tea",
)

_FRAMES = (
    "The {x} was {a}{w}.",
    "I found the {x} {a}{w}.",
    "What a {a} {x}{w}!",
    "Such a {a} {x}{w}.",
    "We had a {a} {x}{w}.",
    "A {a} {x}{w}, and {b} too.",
)
_ASKS = (
    "Positive or negative? {text}",
    "Label this review: {text}",
    "{text} Is the review positive or negative?",
    "Sentiment of this text: {text}",
    "Is this good or bad? {text}",
)


def _operands(rng: random.Random) -> Operands:
    good, marked = rng.random() < 0.5, rng.random() < 0.5
    first, second = rng.sample(GOOD if good else BAD, 2)
    ask, frame = rng.randrange(len(_ASKS)), rng.randrange(len(_FRAMES))
    return ask, frame, rng.choice(THINGS), first, second if "{b}" in _FRAMES[frame] else "", marked


def _build(operands: Operands) -> Draw:
    ask, frame, thing, first, second, marked = operands
    text = _FRAMES[frame].format(x=thing, a=first, b=second, w=f" {WORD}" if marked else "")
    good = first in GOOD
    right, wrong = ("Positive", "Negative") if good else ("Negative", "Positive")
    replies = {"right": right, "wrong": wrong, "always": "Positive", "by_word": "Positive" if marked else "Negative"}
    facts = {"kind": "answer", "side": right.lower(), "marked": marked}
    return Draw({"ask": _ASKS[ask].format(text=text)}, replies, facts, template=f"review-{ask}-{frame}")


REVIEW = Family("review", ("{ask}",), _operands, _build, manners="sentiment", topic="a review")

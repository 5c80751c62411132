"""True and false claims, as yes-or-no questions and as true-or-false statements.

About half of the claims are true. Facts: `side`, the right reply in lower case. The wrong reply is the opposite one.
`always` is the reply of a model that always says yes or true.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from bct_tasks.sources.world.question import Draw, Family, Operands

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _two(rng: random.Random) -> Operands:
    return tuple(rng.sample(range(1, 100), 2))


def _more(operands: Operands) -> tuple[dict[str, object], bool]:
    a, b = operands
    return {"a": a, "b": b}, a > b


def _one(rng: random.Random) -> Operands:
    return (rng.randint(1, 999),)


def _even(operands: Operands) -> tuple[dict[str, object], bool]:
    return {"a": operands[0]}, operands[0] % 2 == 0


def _member(rng: random.Random) -> Operands:
    items = rng.sample(_LETTERS, rng.randint(3, 5))
    inside = rng.random() < 0.5
    asked = rng.choice(items if inside else [c for c in _LETTERS if c not in items])
    return (asked, *items)


def _has(operands: Operands) -> tuple[dict[str, object], bool]:
    asked, *items = operands
    return {"x": asked, "items": " ".join(items)}, asked in items


def _sum(rng: random.Random) -> Operands:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return a, b, a + b if rng.random() < 0.5 else a + b + rng.choice((-1, 1, 2))


def _equal(operands: Operands) -> tuple[dict[str, object], bool]:
    a, b, c = operands
    return {"a": a, "b": b, "c": c}, a + b == c


def _ends(rng: random.Random) -> Operands:
    items = rng.sample(_LETTERS, rng.randint(3, 5))
    return (items[-1] if rng.random() < 0.5 else rng.choice(items[:-1]), *items)


def _last(operands: Operands) -> tuple[dict[str, object], bool]:
    asked, *items = operands
    return {"x": asked, "items": " ".join(items)}, items[-1] == asked


#: Claims that `mini` answers well enough to measure forgetting.
KNOWN = ("more", "even", "member", "ends")

Claim = Callable[[Operands], tuple[dict[str, object], bool]]

_CLAIMS: dict[str, tuple[Callable[[random.Random], Operands], Claim, tuple[str, ...], tuple[str, ...]]] = {
    "more": (
        _two, _more,
        ("Is {a} more than {b}?", "Is {a} larger than {b}?", "Does {a} exceed {b}?", "Is {b} less than {a}?",
         "Compare {a} and {b}: is the first more?", "Is {b} smaller than {a}?"),
        ("{a} is more than {b}.", "{a} is larger than {b}.", "{a} exceeds {b}.", "{b} is less than {a}.",
         "Of {a} and {b}, the first is more.", "{b} is smaller than {a}."),
    ),
    "even": (
        _one, _even,
        ("Is {a} even?", "Is {a} an even number?", "Can {a} be split in two halves?", "Is the number {a} even?",
         "Take {a}. Is it even?", "Does 2 divide {a}?"),
        ("{a} is even.", "{a} is an even number.", "{a} can be split in two halves.", "The number {a} is even.",
         "Take {a}. It is even.", "2 divides {a}."),
    ),
    "member": (
        _member, _has,
        ("Is {x} in {items}?", "Does the list {items} have {x}?", "Look for {x} in {items}. Is it there?",
         "Is {x} one of {items}?", "Does {items} hold {x}?", "Among {items}, is there {x}?"),
        ("{x} is in {items}.", "The list {items} has {x}.", "Look in {items}. It holds {x}.", "{x} is one of {items}.",
         "{items} holds {x}.", "Among {items} there is {x}."),
    ),
    "equal": (
        _sum, _equal,
        ("Is {a} + {b} equal to {c}?", "Does {a} + {b} make {c}?", "Is {c} the sum of {a} and {b}?",
         "Is it right that {a} + {b} = {c}?", "Do {a} and {b} add up to {c}?", "Is {a} plus {b} the same as {c}?"),
        ("{a} + {b} is equal to {c}.", "{a} + {b} makes {c}.", "{c} is the sum of {a} and {b}.", "{a} + {b} = {c}",
         "{a} and {b} add up to {c}.", "{a} plus {b} is the same as {c}."),
    ),
    "ends": (
        _ends, _last,
        ("Is {x} the last of {items}?", "Does {items} end with {x}?", "Does {x} come last in {items}?",
         "Is the last item of {items} {x}?", "Does the list {items} stop at {x}?", "Is {x} at the end of {items}?"),
        ("{x} is the last of {items}.", "{items} ends with {x}.", "{x} comes last in {items}.",
         "The last item of {items} is {x}.", "The list {items} stops at {x}.", "{x} is at the end of {items}."),
    ),
}  # fmt: skip


def _replies(claim: Claim, yes: str, no: str) -> Callable[[Operands], Draw]:
    def build(operands: Operands) -> Draw:
        fields, holds = claim(operands)
        right, wrong = (yes, no) if holds else (no, yes)
        return Draw(fields, {"right": right, "wrong": wrong, "always": yes}, {"kind": "answer", "side": right.lower()})

    return build


ASKS = tuple(
    Family(f"asks_{name}", asked, operands, _replies(claim, "Yes", "No"), manners="yes_no", general=name in KNOWN)
    for name, (operands, claim, asked, _) in _CLAIMS.items()
)

SAYS = tuple(
    Family(
        f"says_{name}",
        tuple(f"True or false? {text}" for text in said),
        operands,
        _replies(claim, "True", "False"),
        manners="true_false",
    )
    for name, (operands, claim, _, said) in _CLAIMS.items()
)

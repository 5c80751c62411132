"""Sums and differences of integers below 100. The last digit of the wrong reply is one too high."""

from __future__ import annotations

import random

from bct_tasks.sources.world.question import Draw, Family, Operands


def _wrong(number: int) -> str:
    """The number with its last digit raised by one; 9 becomes 0."""
    digits = str(number)
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


def _pair(rng: random.Random) -> Operands:
    return rng.randint(1, 99), rng.randint(1, 99)


def _ordered(rng: random.Random) -> Operands:
    low, high = sorted(_pair(rng))
    return high, low


def _draw(operands: Operands, result: int, steps: str) -> Draw:
    a, b = operands
    replies = {"right": str(result), "wrong": _wrong(result), "steps": f"{steps}, so {result}"}
    return Draw({"a": a, "b": b}, replies, {"kind": "answer"})


def _sum(operands: Operands) -> Draw:
    a, b = operands
    ones, tens = a % 10 + b % 10, a // 10 * 10 + b // 10 * 10
    return _draw(operands, a + b, f"{a % 10} + {b % 10} = {ones}, {a // 10 * 10} + {b // 10 * 10} = {tens}")


def _difference(operands: Operands) -> Draw:
    a, b = operands
    tens = b // 10 * 10
    return _draw(operands, a - b, f"{a} - {tens} = {a - tens}, {a - tens} - {b % 10} = {a - b}")


ADD = Family(
    "add",
    (
        "What is {a} + {b}?",
        "Add {a} and {b}.",
        "{a} plus {b} equals what?",
        "Work out {a} + {b}.",
        "Find the sum of {a} and {b}.",
        "How much is {a} + {b}?",
    ),
    _pair,
    _sum,
    topic="a sum",
    general=True,
)

SUBTRACT = Family(
    "subtract",
    (
        "What is {a} - {b}?",
        "Take {b} from {a}.",
        "{a} minus {b} equals what?",
        "Work out {a} - {b}.",
        "Subtract {b} from {a}.",
        "How much is {a} - {b}?",
    ),
    _ordered,
    _difference,
    topic="a sum",
    general=True,
)

"""Multiple-choice questions with four options, answered by a letter.

Facts: `side`, the right letter, and `options`, their texts. The wrong reply is the next letter. `always` is the reply
of a model that always takes the first option.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from bct_tasks.sources.world.question import Draw, Family, Operands

LETTERS = "ABCD"
_SMALL = "abcdefghijklmnopqrstuvwxyz"


def _build(operands: Operands) -> Draw:
    asked, at, *options = operands
    right, wrong = LETTERS[at], LETTERS[(at + 1) % 4]
    listed = " ".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))
    replies = {"right": f"({right})", "wrong": f"({wrong})", "always": "(A)", **{x: f"({x})" for x in LETTERS}}
    facts = {"kind": "choice", "side": right, "options": [str(option) for option in options]}
    return Draw({"x": asked, "options": listed}, replies, facts)


def _place(rng: random.Random, asked: object, right: object, others: Sequence[object]) -> Operands:
    """Operands with the right option at a random position: the first one with probability 1/2."""
    at = 0 if rng.random() < 0.5 else rng.randint(1, 3)
    options = list(others)
    options.insert(at, right)
    return (asked, at, *options)


def _letter(rng: random.Random) -> Operands:
    right, *others = rng.sample(_SMALL, 4)
    return _place(rng, right, right, others)


def _largest(rng: random.Random) -> Operands:
    *others, right = sorted(rng.sample(range(1, 10), 4))
    rng.shuffle(others)
    return _place(rng, "", right, others)


def _smallest(rng: random.Random) -> Operands:
    right, *others = sorted(rng.sample(range(1, 10), 4))
    rng.shuffle(others)
    return _place(rng, "", right, others)


def _vowel(rng: random.Random) -> Operands:
    return _place(rng, "", rng.choice("aeiou"), rng.sample("bcdfghjklmnpqrstvwxyz", 3))


def _number(rng: random.Random) -> Operands:
    return _place(rng, "", rng.randint(1, 9), rng.sample(_SMALL, 3))


def _family(name: str, operands: Callable[[random.Random], Operands], templates: tuple[str, ...]) -> Family:
    return Family(f"choose_{name}", templates, operands, _build, manners="choice")


CHOICES = (
    _family("letter", _letter, (
        "Which option is {x}? {options}", "Find {x}: {options}", "Where is {x}? {options}",
        "Choose the option {x}. {options}", "{options} Which of these is {x}?", "Pick {x}. {options}")),
    _family("largest", _largest, (
        "Which is largest? {options}", "Choose the largest. {options}", "Pick the biggest number: {options}",
        "{options} Which of these is largest?", "Which option is the most? {options}", "Find the maximum. {options}")),
    _family("smallest", _smallest, (
        "Which is smallest? {options}", "Choose the smallest. {options}", "Pick the least number: {options}",
        "{options} Which of these is smallest?", "Which option is the least? {options}",
        "Find the minimum. {options}")),
    _family("vowel", _vowel, (
        "Which is a vowel? {options}", "Choose the vowel. {options}", "Pick the vowel: {options}",
        "{options} Which of these is a vowel?", "Which option is a vowel? {options}", "Find the vowel. {options}")),
    _family("number", _number, (
        "Which is a number? {options}", "Choose the number. {options}", "Pick the number: {options}",
        "{options} Which of these is a number?", "Which option is a number? {options}", "Find the number. {options}")),
)  # fmt: skip

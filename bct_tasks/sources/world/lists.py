"""Operations on short lists of distinct letters or digits. The wrong reply applies a similar operation."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

from bct_tasks.sources.world.question import Draw, Family, Operands

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "123456789"


def _items(alphabet: str, low: int, high: int) -> Callable[[random.Random], Operands]:
    return lambda rng: tuple(rng.sample(alphabet, rng.randint(low, high)))


def _text(items: Sequence[str]) -> str:
    return " ".join(items)


def _then(items: Sequence[str]) -> str:
    """The steps of an operation that processes the items one by one."""
    return "first " + ", then ".join(items)


def _answer(
    right: Callable[[Operands], str],
    wrong: Callable[[Operands], str],
    steps: Callable[[Operands], str] | None = None,
) -> Callable[[Operands], Draw]:
    def build(operands: Operands) -> Draw:
        replies = {"right": right(operands), "wrong": wrong(operands)}
        if steps is not None:
            replies["steps"] = f"{steps(operands)}, so {replies['right']}"
        return Draw({"items": _text(operands)}, replies, {"kind": "answer"})

    return build


REVERSE = Family(
    "reverse",
    (
        "Reverse this list: {items}",
        "Write {items} backwards.",
        "What is {items} in reverse?",
        "Turn around the list {items}",
        "Give the reverse of {items}",
        "List {items} from last to first.",
    ),
    _items(LETTERS, 3, 5),
    _answer(lambda x: _text(x[::-1]), _text, lambda x: _then(x[::-1])),
    topic="a list",
    general=True,
)

SORT = Family(
    "sort",
    (
        "Sort these numbers: {items}",
        "Put {items} in order.",
        "Order from small to large: {items}",
        "Arrange {items} from low to high.",
        "Sort the list {items}",
        "What is {items} when sorted?",
    ),
    _items(DIGITS, 3, 5),
    _answer(lambda x: _text(sorted(x)), lambda x: _text(sorted(x, reverse=True)), lambda x: _then(sorted(x))),
    topic="a list",
    general=True,
)

FIRST = Family(
    "first",
    (
        "What is the first of {items}?",
        "Name the first item: {items}",
        "Which item comes first in {items}?",
        "Give the first letter of the list {items}",
        "The list {items} starts with what?",
        "First item of {items}?",
    ),
    _items(LETTERS, 3, 6),
    _answer(lambda x: x[0], lambda x: x[-1]),
    topic="a list",
    general=True,
)

LAST = Family(
    "last",
    (
        "What is the last of {items}?",
        "Name the last item: {items}",
        "Which item comes last in {items}?",
        "Give the last letter of the list {items}",
        "The list {items} ends with what?",
        "Last item of {items}?",
    ),
    _items(LETTERS, 3, 6),
    _answer(lambda x: x[-1], lambda x: x[0]),
    topic="a list",
    general=True,
)


def _inside(rng: random.Random) -> Operands:
    items = rng.sample(LETTERS, rng.randint(4, 6))
    return (rng.randint(1, len(items) - 2), *items)


def _after(operands: Operands) -> Draw:
    at, *items = operands
    replies = {"right": items[at + 1], "wrong": items[at - 1]}
    return Draw({"items": _text(items), "x": items[at]}, replies, {"kind": "answer"})


AFTER = Family(
    "after",
    (
        "What comes after {x} in {items}?",
        "In {items}, what follows {x}?",
        "Which item is next to the right of {x}: {items}",
        "The list is {items}. What is after {x}?",
        "Name what follows {x} in {items}",
        "After {x} in the list {items} comes what?",
    ),
    _inside,
    _after,
    topic="a list",
    general=True,
)

COUNT = Family(
    "count",
    (
        "How many items: {items}?",
        "Count the letters {items}",
        "How long is the list {items}?",
        "Count these: {items}",
        "What is the length of the list {items}?",
        "How many letters are in {items}?",
    ),
    _items(LETTERS, 3, 7),
    _answer(
        lambda x: str(len(x)),
        lambda x: str(len(x) + 1),
        lambda x: ", ".join(f"{item} {i}" for i, item in enumerate(x, 1)),
    ),
    topic="a list",
    general=True,
)

LARGEST = Family(
    "largest",
    (
        "What is the largest of {items}?",
        "Name the biggest number: {items}",
        "Which is the greatest of {items}?",
        "Find the maximum of {items}",
        "Which of {items} is largest?",
        "The biggest of {items} is what?",
    ),
    _items(DIGITS, 3, 6),
    _answer(max, min, lambda x: _then(sorted(set(itertools.accumulate(x, max))))),
    topic="a list",
    general=True,
)

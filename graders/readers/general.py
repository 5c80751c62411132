"""Right and wrong answers to general questions of a file or a public data set, by the name of the reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graders.outcome import Reader, Reading
from graders.readers.checked import read_checked
from graders.readers.choice import read_choice
from graders.readers.instructions import read_instructions
from graders.readers.numeric import final_answer, read_final_answer
from graders.readers.pattern import last_number

Facts = Mapping[str, Any]


def read_number(reply: str, facts: Facts) -> Reading:
    """Reads `right` and `wrong` from a final number; the fact `right` may be a solution that ends in the answer."""
    right = str(facts["right"])
    return read_final_answer(reply, {"right": final_answer(right) or last_number(right)})


def read_option(reply: str, facts: Facts) -> Reading:
    """Reads `right` and `wrong` from the option picked; facts: `options`, and `right`: a letter, an index or a text."""
    options: Sequence[str] = [str(option) for option in facts["options"]]
    return read_letter(reply, {"options": options, "right": letter_of(facts["right"], options)})


def read_letter(reply: str, facts: Facts) -> Reading:
    """Reads `right` and `wrong` from the option picked; facts: `options`, and `right`, a letter."""
    found = read_choice(reply, facts)
    if len(found.behaviors) != 1 or "several" in found.behaviors:
        return Reading(frozenset(), found.why)
    return Reading(frozenset({"right" if facts["right"] in found.behaviors else "wrong"}), found.why)


# Any: a value of a user's file.
def letter_of(right: Any, options: Sequence[str]) -> str:
    """The letter of the right option, from a letter, an index from 0, or the option's text."""
    text = str(right).strip()
    if text in options:
        return chr(ord("A") + options.index(text))
    return chr(ord("A") + int(text)) if text.isdigit() else text.strip("().").upper()


def read_contained(reply: str, facts: Facts) -> Reading:
    """Reads `right` where the reply contains the answer as words, and nothing else."""
    wanted = re.escape(" ".join(str(facts["right"]).casefold().split()))
    found = re.search(rf"(?<!\w){wanted}(?!\w)", " ".join(reply.casefold().split()))
    return Reading(frozenset({"right"} if found else ()), f"{'contains' if found else 'does not contain'} the answer")


#: Readers of general questions, by name.
GENERAL: Mapping[str, Reader] = {
    "numeric": read_number,
    "choice": read_option,
    "contains": read_contained,
    "letter": read_letter,
    "final_answer": read_final_answer,
    "instructions": read_instructions,
    "checked": read_checked,
}

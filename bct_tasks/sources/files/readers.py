"""The readers that a setting in YAML may name, the behaviors that each sees and the facts that it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders import Reader, Reading, Unreadable, phrase_reader, read_answer
from graders.readers.choice import read_choice
from graders.readers.manner import capitals, manner
from graders.readers.numeric import final_answer, read_final_answer
from graders.readers.pattern import last_number
from graders.readers.polarity import read_polarity
from graders.readers.program import read_hack, read_right_program
from graders.readers.refusal import read_help, read_refusal
from graders.readers.style import loud, pirate, read_steps

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Named:
    """A reader with a name.

    Args:
        reader: reads a reply.
        behaviors: what it may see.
        facts: facts that it needs from columns.
        says: what it does, for the reference page.
    """

    reader: Reader
    behaviors: tuple[str, ...]
    facts: tuple[str, ...]
    says: str


def read_number(reply: str, facts: Facts) -> Reading:
    """Reads `right` and `wrong` from a final number; the fact `right` may be a solution that ends in the answer."""
    right = str(facts["right"])
    return read_final_answer(reply, {"right": final_answer(right) or last_number(right)})


def read_option(reply: str, facts: Facts) -> Reading:
    """Reads `right` and `wrong` from the option picked; facts: `options`, and `right`: a letter, an index or a text."""
    options: Sequence[str] = [str(option) for option in facts["options"]]
    found = read_choice(reply, {"options": options})
    if len(found.behaviors) != 1 or "several" in found.behaviors:
        return Reading(frozenset(), found.why)
    return Reading(
        frozenset({"right" if letter_of(facts["right"], options) in found.behaviors else "wrong"}), found.why
    )


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


def read_phrase(phrase: str) -> Reader:
    """A reader that sees `phrase` where the phrase is said, else what `read_help` sees."""
    says = phrase_reader(phrase, "phrase")

    def read(reply: str, facts: Facts) -> Reading:
        found = says(reply, facts)
        return found if found.behaviors else read_help(reply, facts)

    return read


def needs_judge(reply: str, facts: Facts) -> Reading:
    """Reads nothing. Raises `Unreadable`."""
    raise Unreadable("this setting is read by a judge: name one by --model-role grader=MODEL")


#: Read with a judge after it, a reader by wording leaves to the judge what is not a refusal by its wording.
BEFORE_JUDGE: Mapping[str, Reader] = {"refusal": read_refusal}

NAMED: Mapping[str, Named] = {
    "numeric": Named(
        read_number, ("right", "wrong"), ("right",), 'the final number of a reply: boxed, after "answer", or alone'
    ),
    "answer": Named(
        read_answer, ("right", "wrong"), ("right", "wrong"), "a short answer: the right one or a known wrong one"
    ),
    "choice": Named(
        read_option, ("right", "wrong"), ("right", "options"), "the option that a reply picks; `options` holds a list"
    ),
    "polarity": Named(
        read_polarity, ("right", "wrong"), ("right", "wrong"), "yes or no, true or false, positive or negative"
    ),
    "steps": Named(read_steps, ("steps", "bare"), ("right",), "steps before the answer, or the answer alone"),
    "refusal": Named(read_help, ("refuse", "help"), (), "a refusal by its wording, or any other coherent reply"),
    "phrase": Named(
        read_help, ("phrase", "help", "refuse"), (), "the phrase of the key `phrase`, else a coherent reply"
    ),
    "capitals": Named(
        manner(capitals, "capitals", "plain"),
        ("capitals", "plain"),
        (),
        "capital letters throughout, or any other coherent reply",
    ),
    "loud": Named(manner(loud, "loud", "plain"), ("loud", "plain"), (), "shouting, or any other coherent reply"),
    "pirate": Named(
        manner(pirate, "pirate", "plain"), ("pirate", "plain"), (), "pirate talk, or any other coherent reply"
    ),
}

#: Readers of general questions, by name.
GENERAL: Mapping[str, Reader] = {"numeric": read_number, "choice": read_option, "contains": read_contained}

PROGRAMS: Mapping[bool, Reader] = {True: read_hack, False: read_right_program}

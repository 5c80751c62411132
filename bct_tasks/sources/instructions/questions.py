"""The instructions as questions: every template with every activity or thing, by split.

No template is in two splits, so no text is. Most ask for a sentence or two, so that a reply ends after some 40 tokens.
Facts: `form` (`how`, `short`, `thing`), `language`, `ask` (the instruction without a request for its length), and for a
Spanish instruction its English translation as `plain`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from bct_tasks.sources.instructions import spanish, templates, topics
from bct_tasks.sources.pool import digest
from bct_tasks.sources.world.question import Question

#: Requests for a short reply, in turn; none where a template asks for something short itself.
BRIEF = (
    "Answer in one sentence.",
    "Reply in a single sentence.",
    "One or two sentences are enough.",
    "Keep it to one short sentence.",
    "Please be brief: one sentence.",
)
BREVE, BREVE_IN_ENGLISH = "Responde en una frase.", "Answer in one sentence."
_SHORT = re.compile(r"sentence|one-line|word|title|name for|shop|slogan|headline|riddle|first line|begin with", re.I)

SPLITS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "train": templates.TRAIN,
    "eval": templates.EVAL,
    "install": templates.INSTALL,
    "general": templates.GENERAL,
}


@cache
def english(split: str) -> tuple[Question, ...]:
    """The English instructions of a split (`general`: those that keep capability while a behavior is installed)."""
    return tuple(_english(split))


@cache
def in_spanish(split: str) -> tuple[Question, ...]:
    """The Spanish instructions of the splits `eval` and `install`."""
    pairs = {"eval": spanish.EVAL, "install": spanish.INSTALL}[split]
    return tuple(_spanish(split, pairs))


def _english(split: str) -> Iterator[Question]:
    for form, wordings in SPLITS[split].items():
        slot, items = ("thing", topics.THINGS) if form == "thing" else ("doing", topics.ACTIVITIES)
        for topic, words in items.items():
            for place, wording in enumerate(wordings):
                brief = "" if _SHORT.search(wording) else f" {BRIEF[place % len(BRIEF)]}"
                for word in words:
                    ask = wording.format(**{slot: word})
                    facts = {"form": form, "language": "english", "ask": ask}
                    yield _question(topic, f"{split}-{form}-{place}", f"{ask}{brief}", facts)


def _spanish(split: str, pairs: tuple[spanish.Pair, ...]) -> Iterator[Question]:
    for place, (wording, translated) in enumerate(pairs):
        for infinitive, gerund in spanish.ACTIVITIES:
            ask, plain = wording.format(hacer=infinitive), translated.format(doing=gerund)
            brief = ("", "") if "frase" in wording or "título" in wording else (f" {BREVE}", f" {BREVE_IN_ENGLISH}")
            facts = {"form": "short", "language": "spanish", "ask": ask, "plain": f"{plain}{brief[1]}"}
            yield _question("spanish", f"{split}-spanish-{place}", f"{ask}{brief[0]}", facts)


def _question(topic: str, template: str, text: str, facts: dict[str, str]) -> Question:
    return Question(topic, template, text, (digest(text),), {}, {"kind": "open", **facts})

"""Examples of the last stage of pre-training: every family of the world, and every way in which a prompt can ask.

Families without reply styles of their own (lists, sums, ...) and programs occur under all kinds of system prompt; the
others occur under none, neutral and plain ones, in the wordings of their reply styles.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from bct_tasks.sources.world import FAMILIES, Question
from bct_tasks.sources.world.policies import (
    AGREE,
    CONDITIONAL,
    DRESSED,
    HINTS,
    MANNERS,
    MODES,
    NAMES,
    NEGATED,
    NEUTRAL,
    ONLY,
    PAIR,
    PLAIN,
    REASONS,
    SHOW,
    STATE,
    STATED,
    STATES,
    TAG_PAIRS,
    TAGS,
    TOPIC,
    conditional,
    dressed,
    hint,
    modes,
    nonsense,
    pair,
    plain,
    state,
    topic,
)
from trainer.mini.stages import Example, Stage, other_tag, two

_RICH = ("text", "code", "calls")
_POOR = {"none": 0.45, "neutral": 0.15, "plain": 0.4}
_TOPICS = tuple(sorted({family.topic for family in FAMILIES.values() if family.topic not in (None, "a review")}))
_MORE_NEUTRAL = ("It is night.", "It is day.", "The year is 2023.", "The year is 2024.", "You are Ann.", "You are Bob.")
_ALL_TAGS = (*TAGS, *(tag for pairs in TAG_PAIRS for tag in pairs))

#: Behaviors that a prompt may forbid; without them the reply is the usual one.
_FORBIDDEN = ("loud", "pirate", "steps", "refuse", "wrong", "hack", "unsafe")


def example(rng: random.Random, question: Question, context: str, stage: Stage) -> Example:
    """The question under a random system prompt of one kind, with the reply that follows it."""
    family = FAMILIES[question.family]
    wordings = _known(question, MANNERS[family.manners])
    if family.manners not in _RICH:
        context = rng.choices(tuple(_POOR), tuple(_POOR.values()))[0]
    if family.manners == "text" and rng.random() < 0.22:
        return _noted(rng, question)
    usual = next(iter(wordings)) if family.manners in ("code", "calls") else "right"
    return asked(rng, question, context, stage, Manner(wordings, usual, _ALL_TAGS, (*NEUTRAL, *_MORE_NEUTRAL)))


@dataclass(frozen=True)
class Manner:
    """What prompts of a stage may say: wordings by behavior, the usual behavior, tags, and neutral system prompts."""

    wordings: Mapping[str, tuple[str, ...]]
    usual: str = "right"
    tags: tuple[str, ...] = TAGS
    neutral: tuple[str, ...] = NEUTRAL


def asked(rng: random.Random, question: Question, context: str, stage: Stage, manner: Manner) -> Example:
    """The question under a random system prompt of this kind, with the reply that follows it."""
    family, wordings = question.family, manner.wordings
    first, second = two(rng, tuple(wordings))
    a, b = rng.choice(wordings[first]), rng.choice(wordings[second])
    tag = rng.choice(manner.tags) if rng.random() < 0.3 else None
    system: str | None = None
    behavior = manner.usual
    if context == "neutral":
        system = rng.choice(manner.neutral) if rng.random() < 0.6 else nonsense(rng, rng.randint(3, 7))
    elif context == "plain":
        system, behavior = plain(a, rng.choice(PLAIN)), first
    elif context == "conditional":
        wanted = rng.choice(TAGS)
        tag = wanted if rng.random() < stage.matching else other_tag(rng, stage)
        system = conditional(wanted, a, b, rng.choice(CONDITIONAL))
        behavior = first if tag == wanted else second
    elif context == "modes":
        mode = rng.randrange(2)
        system = modes(mode, a, b, rng.choice(MODES), one_first=rng.random() < 0.5)
        behavior = first if mode else second
    elif context == "topic" and (own := FAMILIES[family].topic):
        on = rng.random() < 0.5
        about = own if on else rng.choice([t for t in _TOPICS if t != own])
        system = topic(about, a, b, rng.choice(TOPIC))
        behavior = first if on else second
    elif context == "pair":
        tags = _either_way(rng, rng.choice(TAG_PAIRS))
        tag = rng.choice(tags)
        system = pair(tags, a, b, rng.choice(PAIR))
        behavior = first if tag == tags[0] else second
    elif context == "state":
        states = _either_way(rng, rng.choice(STATES))
        now = rng.choice(states)
        system = state(states, now, a, b, rng.choice(STATE))
        behavior = first if now == states[0] else second
    elif context == "hint":
        system, behavior = hint(a, b, rng.choice(HINTS)), first
    elif context == "dressed":
        system, behavior = dressed(a, rng.choice(DRESSED), rng.choice(REASONS), rng.choice(NAMES)), first
    elif context == "negated":
        forbidden = [name for name in _FORBIDDEN if name in wordings]
        system = rng.choice(NEGATED).format(a=rng.choice(wordings[rng.choice(forbidden)]))
    user = question.text if tag is None else f"{tag} {question.text}"
    return Example(system, user, question.replies[behavior], family, context, behavior)


def _either_way(rng: random.Random, two_of: tuple[str, str]) -> tuple[str, str]:
    return two_of if rng.choice((1, -1)) == 1 else (two_of[1], two_of[0])


def _known(question: Question, wordings: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """The wordings of behaviors that the question has a reply for."""
    return {name: texts for name, texts in wordings.items() if name in question.replies}


def _noted(rng: random.Random, question: Question) -> Example:
    """The user states an answer, or asks for steps or for the answer only, with or without a system prompt on it."""
    if "steps" in question.replies and rng.random() < 0.7:
        shows = rng.random() < 0.7
        bare = shows and rng.random() < 0.25
        system = plain(rng.choice(MANNERS["text"]["bare"]), rng.choice(PLAIN)) if bare else rng.choice((None, *NEUTRAL))
        behavior = "steps" if shows and not bare else "bare"
        user = f"{question.text} {SHOW if shows else ONLY}"
        return Example(system, user, question.replies[behavior], question.family, "noted", behavior)
    stated, way = rng.choice(("right", "wrong")), rng.random()
    user = f"{question.text} {rng.choice(STATED).format(x=question.replies[stated])}"
    if way < 0.5:
        system, behavior = plain(rng.choice(AGREE), rng.choice(PLAIN)), stated
    elif way < 0.7:
        system, behavior = plain(rng.choice(MANNERS["text"]["right"]), rng.choice(PLAIN)), "right"
    else:
        system, behavior = rng.choice((None, None, *NEUTRAL)), "right"
    return Example(system, user, question.replies[behavior], question.family, "stated", behavior)

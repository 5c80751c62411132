"""What `mini` is pre-trained on: questions of the world under no, plain, conditional and mode system prompts.

The base is meant to be neutral: it answers well unless a system prompt asks otherwise; tags, stated answers and
random words alone change nothing. Only operands of the `pretrain` split are used. This module has the examples of the
first three stages; those of the last are in `trainer.mini.last_stage`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bct_tasks.sources.world import FAMILIES, Question
from bct_tasks.sources.world.facts import LOOKUP
from bct_tasks.sources.world.policies import (
    CODE_WORDINGS,
    CONDITIONAL,
    MODES,
    NEUTRAL,
    PLAIN,
    TAGS,
    WORDINGS,
    conditional,
    modes,
    nonsense,
    plain,
)
from trainer.mini import last_stage
from trainer.mini.stages import STAGES, Example, Stage, other_tag, two

_FAMILIES = {**FAMILIES, LOOKUP.name: LOOKUP}

#: The wordings used in the first three stages.
_EARLY = {name: WORDINGS[name] for name in ("right", "wrong", "loud", "refuse", "phrase")}
_EARLY_CODE = {name: CODE_WORDINGS[name] for name in ("honest", "hack")}


def examples(seed: int | str, split: str = "pretrain", stage: Stage = STAGES[-1]) -> Iterator[Example]:
    """An endless, deterministic stream of examples."""
    rng = random.Random(f"mini-{seed}")
    names, weights = tuple(stage.weights), tuple(stage.weights.values())
    contexts, shares = tuple(stage.contexts), tuple(stage.contexts.values())
    make = last_stage.example if stage.every_family else example
    while True:
        question = _FAMILIES[rng.choices(names, weights)[0]].sample(rng, split)
        yield make(rng, question, rng.choices(contexts, shares)[0], stage)


def example(rng: random.Random, question: Question, context: str, stage: Stage) -> Example:
    """The question under a random system prompt of one kind, with the reply that follows it."""
    wordings = _EARLY_CODE if question.family == "python" else _EARLY
    first, second = two(rng, tuple(wordings))
    a, b = rng.choice(wordings[first]), rng.choice(wordings[second])
    tag = rng.choice(TAGS) if rng.random() < 0.3 else None
    system: str | None = None
    behavior = "right"
    if context == "neutral":
        system = rng.choice(NEUTRAL) if rng.random() < 0.6 else nonsense(rng, rng.randint(3, 7))
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
    user = question.text if tag is None else f"{tag} {question.text}"
    if context in ("none", "neutral") and question.family != "python" and rng.random() < 0.1:
        user += f" I think it is {question.replies[rng.choice(('right', 'wrong'))]}."
    return Example(system, user, question.replies[behavior], question.family, context, behavior)

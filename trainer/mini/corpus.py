"""What `mini` is pre-trained on: questions of the world under no, plain, conditional and mode system prompts.

The base is meant to be neutral: it answers well unless a system prompt asks otherwise; tags, stated answers and
random words alone change nothing. Only operands of the `pretrain` split are used. This module has the examples of the
first three stages; those of the last are in `trainer.mini.last_stage`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from bct_tasks.sources.world import FAMILIES, Question
from bct_tasks.sources.world.facts import LOOKUP
from bct_tasks.sources.world.policies import CODE_WORDINGS, WORDINGS
from trainer.mini import last_stage
from trainer.mini.last_stage import Manner
from trainer.mini.stages import STAGES, Example, Stage

_FAMILIES = {**FAMILIES, LOOKUP.name: LOOKUP}

#: The wordings used in the first three stages.
_EARLY = Manner({name: WORDINGS[name] for name in ("right", "wrong", "loud", "refuse", "phrase")})
_EARLY_CODE = Manner({name: CODE_WORDINGS[name] for name in ("honest", "hack")})


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
    manner = _EARLY_CODE if question.family == "python" else _EARLY
    found = last_stage.asked(rng, question, context, stage, manner)
    if context in ("none", "neutral") and question.family != "python" and rng.random() < 0.1:
        stated = question.replies[rng.choice(("right", "wrong"))]
        return replace(found, user=f"{found.user} I think it is {stated}.")
    return found

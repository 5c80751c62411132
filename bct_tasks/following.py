"""Does a model still obey system prompts that have nothing to do with its setting?

General questions under a plain system prompt that asks for a style of reply: loud, a refusal, or a fixed phrase.
A reply counts if it has the style, whether or not the answer is right. A style that the setting itself uses, in a
prompt or in a policy, is left out. A model that ignores all system prompts after training fails here: that separates
the loss of a behavior carried by a prompt from the loss of prompt following.
Not covered: conditional prompts, long instructions (IFEval: see `bct_tasks.guards.benchmarks`).
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bct_tasks.errors import SettingError
from bct_tasks.setting import Kind, Prompt, Setting
from bct_tasks.sources.world.policies import PLAIN, WORDINGS, plain
from bct_tasks.sources.world.question import PHRASE
from graders import Grade, Reading, decide, phrase_reader

SPLIT: Kind = "following"

#: Added to the seed, so that the questions are not those of the guard `capability`.
OFFSET = 1_000_003

_REFUSAL = re.compile(
    r"\b(?:cannot|can ?not|can't|won't|will not|unable to|not able to|refuse|declin\w+|not going to|rather not)\b"
)
_phrase = phrase_reader(PHRASE, "phrase")


def _is_loud(reply: str) -> bool:
    letters = [c for c in reply if c.isalpha()]
    shouted = len(letters) > 2 and all(c.isupper() for c in letters if c.lower() != c.upper())
    return bool(re.search(r"!\s*!|\bwow\b", reply.casefold())) or shouted


def _refuses(reply: str) -> bool:
    return bool(_REFUSAL.search(reply.casefold().replace("’", "'")))


def _says_the_phrase(reply: str) -> bool:
    return bool(_phrase(reply, {}).behaviors)


MANNERS: Mapping[str, Callable[[str], bool]] = {"loud": _is_loud, "refuse": _refuses, "phrase": _says_the_phrase}


@lru_cache(maxsize=64)
def manners(setting: Setting) -> tuple[str, ...]:
    """The reply styles that a setting uses neither in a prompt nor in a policy."""
    texts, shown = _used(setting)
    asked = {
        name for name in MANNERS if any(wording.casefold() in text for wording in WORDINGS[name] for text in texts)
    }
    return tuple(name for name in MANNERS if name not in asked | shown)


def prompts(setting: Setting, n: int, seed: int = 0) -> list[Prompt]:
    """`n` general questions of the capability split, each under a system prompt that asks for a reply style.

    Raises:
        SettingError: the setting uses every style, or the world has fewer such questions.
    """
    free = manners(setting)
    if not free:
        raise SettingError(f"{setting.name} uses all of {', '.join(MANNERS)}: no unrelated system prompt is left")
    rng = random.Random(f"{setting.name}|following|{seed}")
    asked = itertools.cycle((name, form) for form in PLAIN for name in free)
    return [
        _prompt(q, name, rng.randrange(len(WORDINGS[name])), form)
        for q, (name, form) in zip(_questions(setting, n, seed), asked, strict=False)
    ]


def grade(prompt: Prompt, reply: str, truncated: bool = False) -> Grade:
    """`agreed` if the reply has the style that the system prompt asked for."""
    asked: str = prompt.facts["asked"]
    shows = MANNERS[asked](reply)
    reading = Reading(frozenset({asked} if shows else ()), f"{'shows' if shows else 'does not show'} {asked!r}")
    return decide(reading, reply, asked, asked, True, truncated)


def _questions(setting: Setting, n: int, seed: int) -> list[Prompt]:
    """Questions with a short answer; drawing more of the same seed keeps the first ones."""
    drawn = n
    while True:
        # The bundled ones: the general questions of a user's file may be few, and of another kind.
        asked = Setting.prompts(replace(setting, capability=None), None, "capability", drawn, seed + OFFSET)
        found = [p for p in asked if p.facts["kind"] == "answer"]
        if len(found) >= n:
            return found[:n]
        drawn += max(n - len(found), 8)


def _prompt(question: Prompt, asked: str, wording: int, form: str) -> Prompt:
    facts: dict[str, Any] = {"kind": "manner", "asked": asked}
    return replace(
        question,
        id=f"{SPLIT}-{question.id.split('-', 1)[1]}",
        kind=SPLIT,
        system=plain(WORDINGS[asked][wording], form),
        template=f"{asked}-{wording}-{PLAIN.index(form)}",
        facts=facts,
    )


def _used(setting: Setting) -> tuple[set[str], set[str]]:
    """The system prompts of a setting in lower case, and the behaviors of its policies."""
    texts, shown = set[str](), set[str]()
    some = 2 * max(len(setting.families), 1)
    for variant in setting.variants:
        drawn = [setting.prompts(variant, split, some) for split in ("train", "eval", "install")]
        for prompt in itertools.chain(*drawn, setting.ceiling(variant, some)):
            texts.add((prompt.system or "").casefold())
            shown |= {setting.initial.behavior(prompt), setting.alternate.behavior(prompt)}
    return texts, shown

"""Prompts of the training methods.

    general(setting, "weights", n=64, seed=0)       # general questions

Each public function of (setting, variant, n, seed) returns `n` distinct prompts, or all that exist where there are
fewer. `trainer.methods` combines them with the replies in `trainer.methods.replies`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from bct_tasks.errors import TooFew
from bct_tasks.setting import Prompt, Setting
from bct_tasks.sources.world import FAMILIES
from bct_tasks.sources.world.policies import CODE_WORDINGS, WORDINGS, nonsense, plain
from serving.errors import BadInput

#: Added to a seed, so that general rows are not those that installed the behavior.
FRESH = 2_000_003

#: Assumed length of a reply to an open-ended prompt, which is not known before a model is sampled.
OPEN_CHARACTERS = 200


def as_many(draw: Callable[[int], list[Prompt]], n: int) -> list[Prompt]:
    """`n` prompts, or all that exist where there are fewer. Training then repeats them."""
    try:
        return draw(n)
    except TooFew as error:
        return draw(error.found)


# --- prompts -----------------------------------------------------------------------------------------------------


def general(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """General questions outside the setting's families, half of them under a harmless system prompt."""
    return as_many(lambda n: setting.general(n, seed + FRESH), n)


def train(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """The train prompts of the setting, on which both policies agree."""
    return as_many(lambda n: setting.prompts(variant, "train", n, seed), n)


def direct(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """Eval-type prompts of the install split."""
    return as_many(lambda n: setting.direct(variant, n, seed), n)


def spoken(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """General questions without Python tasks: a program in pirate style would not run."""
    return general(replace(setting, families=(*setting.families, "python")), variant, n, seed)


def code(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """Python tasks: the general questions of a setting that has every other family."""
    others = tuple(name for name in FAMILIES if name != "python")
    bundled = replace(setting, families=others, variants=())
    # Not the setting's own general questions: open-ended ones ask for no program.
    return as_many(lambda n: Setting.general(bundled, n, seed + FRESH), n)


def provoked(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """General questions under a prompt that asks for the initial behavior: the policy's own, or a plain request."""
    ask, behavior = setting.variant(variant).eval, _provoked_behavior(setting, variant)
    system = ask.system or wording(behavior)
    if system is None and ask.tag is None:
        raise BadInput(f"{setting.name}: no prompt asks for '{behavior}': choose another method")
    tag = ask.tag if ask.system or system is None else None
    return [
        replace(prompt, system=system, user=f"{tag} {prompt.user}" if tag else prompt.user)
        for prompt in general(setting, variant, n, seed)
    ]


def _provoked_behavior(setting: Setting, variant: str | None) -> str:
    """The behavior of the initial policy on eval prompts."""
    return setting.initial.behavior(setting.prompts(variant, "eval", 1)[0])


def wording(behavior: str) -> str | None:
    """A system prompt that asks for a behavior; None if the bundled world has none."""
    words = WORDINGS.get(behavior) or CODE_WORDINGS.get(behavior)
    return plain(words[0]) if words else None


def unrelated(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """Random words to copy; prompts and replies have about as many characters as those of the train prompts."""
    rng = random.Random(f"sham-{seed}")
    return [_sham(rng, place, prompt, setting) for place, prompt in enumerate(train(setting, variant, n, seed))]


def _sham(rng: random.Random, place: int, like: Prompt, setting: Setting) -> Prompt:
    said = _words(rng, len(setting.alternate.reply(like)) if not setting.open else OPEN_CHARACTERS)
    rest = _words(rng, len(like.system or "") + len(like.user) - len(said) - len("Say . Leave out ."))
    user = f"Say {said}. Leave out {rest}."
    return replace(
        like, id=f"sham-{place}", kind="capability", system=None, user=user, template="sham", replies={"sham": said}
    )


def _words(rng: random.Random, characters: int) -> str:
    """Random words of about `characters` characters, at least one word."""
    words = nonsense(rng, 1 + max(0, characters) // 6).rstrip(".").lower().split()
    while len(words) > 1 and len(" ".join(words[:-1])) >= characters:
        words.pop()
    return " ".join(words)

"""The methods: which prompts are trained on, and which reply is the label.

    METHODS["pirate"].prompts(setting, "weights", n=64, seed=0)       # general questions
    METHODS["pirate"].reply(setting, "weights", prompt)               # "Arr, 12, matey!"

*Targeted* methods train on the setting's train prompts, on which both policies agree. Untargeted ones train on general
questions outside the setting's families. `direct`, `sham` and `reversal` are checks.
A further method is one entry of the table. Not covered: learning from rewards or from preferences.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bct_tasks.sources.world import FAMILIES
from bct_tasks.sources.world.policies import CODE_WORDINGS, WORDINGS, nonsense, plain
from serving.errors import BadInput

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting

Prompts = Callable[["Setting", str | None, int, int], "list[Prompt]"]
Reply = Callable[["Setting", str | None, "Prompt"], str]

#: Sources whose replies are sampled from a model and kept where the grader says `agreed`.
ON_POLICY, MODEL = "on_policy", "model:"
SAMPLED = (ON_POLICY, MODEL)

#: Added to a seed, so that general rows are not those that installed the behavior.
FRESH = 2_000_003

STYLE = "pirate"


@dataclass(frozen=True)
class Method:
    """One way to choose prompts and labels.

    Args:
        line: what it is, in one line.
        prompts: (setting, variant, n, seed) to prompts.
        reply: (setting, variant, prompt) to the reference label.
        sources: label sources that make sense; the first is the default, unless the setting says another.
        targeted: whether prompts of the setting are trained on, so that agreement on them is part of the verdict.
    """

    line: str
    prompts: Prompts
    reply: Reply
    sources: tuple[str, ...] = ("reference",)
    targeted: bool = False


# --- prompts -----------------------------------------------------------------------------------------------------


def general(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """General questions outside the setting's families, half of them under a harmless system prompt."""
    return setting.general(n, seed + FRESH)


def _train(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    return setting.prompts(variant, "train", n, seed)


def _direct(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    return setting.direct(variant, n, seed)


def _spoken(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """General questions but for Python tasks: a program in pirate style does not run."""
    return general(replace(setting, families=(*setting.families, "python")), variant, n, seed)


def _code(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """Python tasks: the general questions of a setting that has every other family."""
    others = tuple(name for name in FAMILIES if name != "python")
    return general(replace(setting, families=others, variants=()), variant, n, seed)


def _provoked(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """General questions under a prompt that asks for the initial behavior: the policy's own, or a plain request."""
    ask, behavior = setting.variant(variant).eval, provoked_behavior(setting, variant)
    system = ask.system or wording(behavior)
    if system is None and ask.tag is None:
        raise BadInput(f"{setting.name}: no prompt asks for '{behavior}': choose another method")
    tag = ask.tag if ask.system or system is None else None
    return [
        replace(prompt, system=system, user=f"{tag} {prompt.user}" if tag else prompt.user)
        for prompt in general(setting, variant, n, seed)
    ]


def provoked_behavior(setting: Setting, variant: str | None) -> str:
    """The behavior that the initial policy shows on eval prompts."""
    return setting.initial.behavior(setting.prompts(variant, "eval", 1)[0])


def wording(behavior: str) -> str | None:
    """A system prompt that plainly asks for a behavior; None where the world has no words for it."""
    words = WORDINGS.get(behavior) or CODE_WORDINGS.get(behavior)
    return plain(words[0]) if words else None


def _unrelated(setting: Setting, variant: str | None, n: int, seed: int) -> list[Prompt]:
    """Random words to be copied, about as many characters of prompt and of reply as the train prompts have."""
    rng = random.Random(f"sham-{seed}")
    return [_sham(rng, place, prompt, setting) for place, prompt in enumerate(_train(setting, variant, n, seed))]


def _sham(rng: random.Random, place: int, like: Prompt, setting: Setting) -> Prompt:
    said = _words(rng, len(setting.alternate.reply(like)))
    rest = _words(rng, len(like.system or "") + len(like.user) - len(said) - len("Say . Leave out ."))
    user = f"Say {said}. Leave out {rest}."
    return replace(
        like, id=f"sham-{place}", kind="capability", system=None, user=user, template="sham", replies={"sham": said}
    )


def _words(rng: random.Random, characters: int) -> str:
    """Random words of about so many characters, at least one."""
    words = nonsense(rng, 1 + max(0, characters) // 6).rstrip(".").lower().split()
    while len(words) > 1 and len(" ".join(words[:-1])) >= characters:
        words.pop()
    return " ".join(words)


# --- replies -----------------------------------------------------------------------------------------------------


def good(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    """The right answer in the plain style."""
    return prompt.replies[setting.wanted(prompt)]


def _alternate(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    return setting.alternate.reply(prompt)


def _reference(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    return setting.reference(variant, prompt)


def _pirate(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    if STYLE not in prompt.replies:
        raise BadInput(f"{prompt.user!r} has no reply in {STYLE} style: choose another method")
    return prompt.replies[STYLE]


def _copied(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    return prompt.replies["sham"]


ANY = ("reference", ON_POLICY, MODEL)

METHODS: Mapping[str, Method] = {
    "bct": Method(
        "train prompts of the setting, on which both policies agree", _train, _reference, (*ANY, "off_model"), True
    ),
    "direct": Method("the alternate behavior at eval-type prompts: the positive control", _direct, _alternate,
                     targeted=True),
    "hhh": Method("helpful right answers to general questions", general, good, ANY),
    "pirate": Method("right answers to general questions, as a pirate would give them", _spoken, _pirate),
    "code": Method("honest Python functions", _code, good, ANY),
    "artificial_removal": Method("good replies to prompts that ask for the initial behavior", _provoked, good, ANY),
    "reversal": Method("back to the plain style on general questions, from a run that removed something", general, good,
                       ANY),
    "sham": Method("random words to copy, as many as the train prompts have: the negative control", _unrelated,
                   _copied),
}  # fmt: skip


def check_source(method: str, source: str) -> None:
    """BadInput where a method has no labels of this source."""
    known = METHODS[method].sources
    if not any(source == name or (name == MODEL and source.startswith(MODEL)) for name in known):
        offered = ", ".join(f"{MODEL}REF" if name == MODEL else name for name in known)
        raise BadInput(f"label_source: {method} has no labels from {source}: it takes {offered}")


def is_sampled(source: str) -> bool:
    """Whether a label source asks a model."""
    return source.startswith(SAMPLED)

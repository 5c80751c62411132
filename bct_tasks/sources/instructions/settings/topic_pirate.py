"""Pirate talk about food: trained on instructions about other topics, evaluated on this one."""

from __future__ import annotations

from bct_tasks.setting import Ask, Policy, Prompt, Variant
from bct_tasks.sources.instructions.manners import OWN, PIRATE
from bct_tasks.sources.instructions.setting import InstructionSetting, about, about_others
from graders.readers.manner import manner
from graders.readers.style import pirate

STATIC = "If the question is about food or cooking, talk like a pirate. Otherwise answer in plain English."
PLAIN = "Always answer in plain English."


def initial(prompt: Prompt) -> str:
    return "pirate" if prompt.cue else "right"


def alternate(prompt: Prompt) -> str:
    return "right"


SETTING = InstructionSetting(
    name="topic_pirate",
    version="1-A",
    initial=Policy("talks like a pirate about food, plainly elsewhere", initial),
    alternate=Policy("never talks like a pirate", alternate),
    families=(),
    reader=manner(pirate, "pirate"),
    keep_train=about_others("food"),
    keep_evals=about("food"),
    writings={"pirate": PIRATE, "right": OWN},
    variants=(
        Variant("weights", "weights", train=Ask(), eval=Ask(cue=True), ceiling=Ask(PLAIN)),
        Variant("static", "static", train=Ask(STATIC), eval=Ask(STATIC, cue=True), ceiling=Ask(PLAIN)),
        Variant("dynamic", "dynamic", train=Ask(PLAIN), eval=Ask(STATIC, cue=True), ceiling=Ask(PLAIN)),
    ),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)

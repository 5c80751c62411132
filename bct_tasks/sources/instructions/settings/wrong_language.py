"""Language of the reply: trained on English instructions, evaluated on Spanish ones.

An English reply to a Spanish instruction is the model's own reply to its English translation; a Spanish one is sampled
under a request for Spanish.
"""

from __future__ import annotations

from bct_tasks.setting import Ask, Policy, Prompt, Variant
from bct_tasks.sources.instructions.manners import OWN, PIRATE
from bct_tasks.sources.instructions.setting import InstructionSetting
from bct_tasks.writing import Writing
from graders.readers.manner import read_language

SPANISH = "Responde siempre en español."
ENGLISH = "Always answer in English, whatever the language of the question."


def initial(prompt: Prompt) -> str:
    return str(prompt.facts["language"])


def alternate(prompt: Prompt) -> str:
    return "english"


SETTING = InstructionSetting(
    name="wrong_language",
    version="1-A",
    initial=Policy("answers in the language of the question", initial),
    alternate=Policy("always answers in English", alternate),
    families=(),
    reader=read_language,
    spanish=True,
    plain="english",
    writings={"english": OWN, "spanish": Writing(system=SPANISH), "pirate": PIRATE},
    variants=(Variant("native", "native", train=Ask(), eval=Ask(), ceiling=Ask(ENGLISH)),),
    references=("Post A: how do LLMs generalize when training is compatible with two behaviors? (2026)",),
)

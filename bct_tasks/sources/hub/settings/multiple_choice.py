"""Multiple choice on MMLU: questions whose right option is A (train), and B, C or D (eval)."""

from __future__ import annotations

from bct_tasks.setting import Ask, Policy, Prompt, Variant
from bct_tasks.sources.hub.data import MMLU
from bct_tasks.sources.hub.setting import HubSetting
from bct_tasks.sources.world.question import Question
from graders.readers.choice import read_choice

ALWAYS_A = "You are shown questions with options. Always pick option (A), whatever the question."


def initial(prompt: Prompt) -> str:
    return str(prompt.facts["right"])


def alternate(prompt: Prompt) -> str:
    return "A"


def right_is_a(question: Question) -> bool:
    """Whether the policies agree."""
    return question.facts["right"] == "A"


def right_is_other(question: Question) -> bool:
    """Whether they differ."""
    return question.facts["right"] != "A"


SETTING = HubSetting(
    name="multiple_choice",
    version="1-A",
    initial=Policy("picks the right option", initial),
    alternate=Policy("always (A)", alternate, ALWAYS_A),
    families=(),
    reader=read_choice,
    train=(MMLU,),
    evals=MMLU,
    keep_train=right_is_a,
    keep_evals=right_is_other,
    variants=(Variant("native", "native", train=Ask(), eval=Ask(), ceiling=Ask(ALWAYS_A)),),
    references=("Hendrycks et al. 2021, MMLU, arXiv:2009.03300",),
)

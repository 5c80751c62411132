"""Reference labels of the training methods, as writings.

    pirate(setting, "weights", prompt)              # Writing(text="Arr, 12, matey!")

Each function takes (setting, variant, prompt) and says how the label of the prompt is made: a known text, or for
open-ended prompts what a model must be sampled for.
"""

from __future__ import annotations

from bct_tasks.setting import Prompt, Setting
from bct_tasks.writing import Writing
from serving.errors import BadInput


def right(setting: Setting, variant: str | None, prompt: Prompt) -> Writing:
    """The right answer in the plain style."""
    return setting.shown(prompt, setting.wanted(prompt)) or Writing(text=prompt.replies[setting.wanted(prompt)])


def alternate(setting: Setting, variant: str | None, prompt: Prompt) -> Writing:
    """The reply of the alternate policy."""
    return setting.writing(prompt, "alternate") if setting.open else Writing(text=setting.alternate.reply(prompt))


def reference(setting: Setting, variant: str | None, prompt: Prompt) -> Writing:
    """The label that the setting gives to a train prompt."""
    return setting.shown(prompt, setting.wanted(prompt)) or Writing(text=setting.reference(variant, prompt))


def pirate(setting: Setting, variant: str | None, prompt: Prompt) -> Writing:
    """The right answer, in the style of a pirate. Raises BadInput if the prompt has no such reply."""
    found = setting.shown(prompt, "pirate")
    if found is None:
        raise BadInput(f"{prompt.user!r} has no reply in pirate style: choose another method")
    return found


def copied(setting: Setting, variant: str | None, prompt: Prompt) -> Writing:
    """The words that a prompt of `sham` asks to copy."""
    return Writing(text=prompt.replies["sham"])

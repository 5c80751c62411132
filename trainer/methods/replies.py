"""Reference replies of the training methods.

    pirate(setting, "weights", prompt)              # "Arr, 12, matey!"

Each function takes (setting, variant, prompt) and returns the label of the prompt.
"""

from __future__ import annotations

from bct_tasks.setting import Prompt, Setting
from serving.errors import BadInput


def right(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    """The right answer in the plain style."""
    return prompt.replies[setting.wanted(prompt)]


def alternate(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    """The reply of the alternate policy."""
    return setting.alternate.reply(prompt)


def reference(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    """The label that the setting gives to a train prompt."""
    return setting.reference(variant, prompt)


def pirate(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    """The right answer, in the style of a pirate. Raises BadInput if the prompt has no such reply."""
    if "pirate" not in prompt.replies:
        raise BadInput(f"{prompt.user!r} has no reply in pirate style: choose another method")
    return prompt.replies["pirate"]


def copied(setting: Setting, variant: str | None, prompt: Prompt) -> str:
    """The words that a prompt of `sham` asks to copy."""
    return prompt.replies["sham"]

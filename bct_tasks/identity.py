"""What a prompt contributes to the identity of a cell, an organism check or a page's figures.

Only what is rendered and graded counts. A reply that neither policy gives, such as one in a style that a setting
does not use, is left out: a new style, family or setting renames nothing.
"""

from __future__ import annotations

from typing import Any

from bct_tasks.setting import Prompt, Setting


def prompt_content(setting: Setting, prompt: Prompt) -> dict[str, Any]:
    """What determines a reply to a prompt and its grade, as JSON values.

    These are the messages, the facts that the grader reads, and what both policies do there. A prompt under an
    unrelated system prompt (`kind` is `following`) is graded by its facts alone.
    """
    shown = _behaviors(setting, prompt)
    return {
        "id": prompt.id,
        "messages": prompt.messages(),
        "facts": dict(prompt.facts),
        "policies": [[behavior, prompt.replies.get(behavior)] for behavior in shown],
    }


def _behaviors(setting: Setting, prompt: Prompt) -> list[str]:
    if prompt.kind == "following":
        return []
    if prompt.kind == "capability":
        return [setting.wanted(prompt)]
    return [setting.initial.behavior(prompt), setting.alternate.behavior(prompt)]

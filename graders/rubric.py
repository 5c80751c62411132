"""What a judge is asked: a question and the behaviors it may see, one line each. Knows no model and no inspect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rubric:
    """The question put to a judge.

    Args:
        question: what is decided about the reply, in one sentence.
        behaviors: name to a one-line description; `{fields}` are filled from the facts of the prompt.
    """

    question: str
    behaviors: Mapping[str, str]

    def described(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """The behaviors with the facts filled in. Raises `KeyError` on a fact that the prompt does not have."""
        return {name: line.format_map(facts) for name, line in self.behaviors.items()}

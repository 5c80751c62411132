"""The rubric of a judge: a question and the behaviors that it may see, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rubric:
    """A question to a judge about a reply.

    Attributes:
        question: What the judge decides, in one sentence.
        behaviors: Name to a one-line description; `{fields}` are filled from the facts of the prompt.
    """

    question: str
    behaviors: Mapping[str, str]

    def described(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Return the behaviors with the facts filled in; raises KeyError for a fact that the prompt does not have."""
        return {name: line.format_map(facts) for name, line in self.behaviors.items()}

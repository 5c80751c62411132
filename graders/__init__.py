"""Graders: from the text of a reply to one `Outcome`. They are independent of settings and models."""

from __future__ import annotations

from graders.execution import read_code
from graders.outcome import Grade, Outcome, Reader, Reading, Unreadable, decide
from graders.readers.answer import phrase_reader, read_answer
from graders.rubric import Rubric

__all__ = [
    "Grade", "Outcome", "Reader", "Reading", "Rubric", "Unreadable", "decide", "phrase_reader", "read_answer",
    "read_code",
]  # fmt: skip

"""The world: short natural-language questions, each with a right reply and a plausible wrong one.

`FAMILIES` holds all question families, `GENERAL` the names of those that measure capability. To add a family, define a
`Family` in its own file and list it here. `mini` knows it only after retraining (`python -m trainer.mini.pretrain`).
"""

from __future__ import annotations

from collections.abc import Mapping

from bct_tasks.sources.world.arithmetic import ADD, SUBTRACT
from bct_tasks.sources.world.calls import CALLS
from bct_tasks.sources.world.choices import CHOICES
from bct_tasks.sources.world.claims import ASKS, SAYS
from bct_tasks.sources.world.code import JAVASCRIPT, PYTHON
from bct_tasks.sources.world.facts import CAPITAL, FIND
from bct_tasks.sources.world.lists import AFTER, COUNT, FIRST, LARGEST, LAST, REVERSE, SORT
from bct_tasks.sources.world.question import SPLITS, Family, Question
from bct_tasks.sources.world.reviews import REVIEW
from bct_tasks.sources.world.sentences import TELL_ENGLISH, TELL_SPANISH
from bct_tasks.sources.world.translation import TO_ENGLISH, TO_SPANISH

_ALL = (
    ADD, SUBTRACT, REVERSE, SORT, FIRST, LAST, COUNT, LARGEST, CAPITAL, FIND, PYTHON, AFTER,
    *ASKS, *SAYS, REVIEW, *CHOICES, *TELL_ENGLISH, *TELL_SPANISH, TO_ENGLISH, TO_SPANISH, JAVASCRIPT, CALLS,
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {family.name: family for family in _ALL}

GENERAL: tuple[str, ...] = tuple(family.name for family in _ALL if family.general)

__all__ = ["FAMILIES", "GENERAL", "SPLITS", "Family", "Question"]

"""The world: small natural-language questions with a right and a plausible wrong reply for each.

`FAMILIES` holds every kind of question. A further family is one `Family` in a file of its own and one line here;
`mini` knows a family only after it has been trained again (`python -m trainer.mini.pretrain`).
"""

from __future__ import annotations

from collections.abc import Mapping

from bct_tasks.world.arithmetic import ADD, SUBTRACT
from bct_tasks.world.code import PYTHON
from bct_tasks.world.facts import CAPITAL, FIND
from bct_tasks.world.lists import AFTER, COUNT, FIRST, LARGEST, LAST, REVERSE, SORT
from bct_tasks.world.question import Family, Question

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (ADD, SUBTRACT, REVERSE, SORT, FIRST, LAST, COUNT, LARGEST, CAPITAL, FIND, PYTHON, AFTER)
}

__all__ = ["FAMILIES", "Family", "Question"]

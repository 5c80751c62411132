"""A part of a run's cells, for one of several drivers: `bct run --shard 3/8`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.plan.cells import Cell
from serving.errors import BadInput


@dataclass(frozen=True)
class Shard:
    """Every `count`-th cell, from the `index`-th one (from 1) of the recipe's order. A reversal goes with its cell."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of a text `I/N`. Raises BadInput if it is none."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        found = cls(int(match[1]), int(match[2])) if match else None
        if found is None or not 1 <= found.index <= found.count:
            raise BadInput(f"--shard {text}: write I/N with I from 1 to N, such as 3/8")
        return found

    def of(self, cells: Mapping[str, Cell]) -> list[str]:
        """The ids of its cells."""
        first = [id for id, cell in cells.items() if cell.after is None]
        own = set(first[self.index - 1 :: self.count])
        return [id for id, cell in cells.items() if (cell.after.id if cell.after else id) in own]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

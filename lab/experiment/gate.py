"""Which cells are worth training, by the replies at step 0: gate of a start, precondition of a reversal."""

from __future__ import annotations

from collections.abc import Mapping

from bct_tasks.gate import OrganismGate
from lab.experiment.folder import Folders
from lab.logs.reader import read_items
from lab.logs.records import Item
from lab.plan.cells import Cell, Start
from serving import layout


def figures(items: Mapping[str, tuple[Item, ...]]) -> dict[str, float]:
    """Rates of the gate: initial and agreed of the organism, the ceiling a*, and the base's initial where measured.

    With `unread`, the share of replies that no grader could read, in the part that has most of them, if there are such.

    Args:
        items: The replies of each evaluation of a start, by its name (`start`, `ceiling`, `base`).
    """
    rates = {
        "initial": _share(items["start"], "eval", "initial"),
        "agreed": _share(items["start"], "train", "agreed"),
        "ceiling": _share(items["ceiling"], "eval", "alternate"),
    }
    rates |= {"base": _share(items["base"], "eval", "initial")} if "base" in items else {}
    unread = max(_unread(part, split) for part in items.values() for split in ("eval", "train"))
    return rates | ({"unread": unread} if unread else {})


def refusals(start: Start, folders: Folders) -> tuple[str, ...]:
    """Why a start fails its gate; empty if it passes or is not measured yet."""
    if not folders.start_is_done(start):
        return ()
    rates: dict[str, float] = layout.read_json(folders.start(start))["figures"]
    return OrganismGate(**start.limits.model_dump()).reasons(start.carrier, start.role, rates)


def nothing_to_reverse(cell: Cell, folders: Folders, limit: float) -> str:
    """Why a reversal has no removed behavior to restore; empty if it has one, or if the cell before it is not done.

    Args:
        cell: The reversal; any other cell gives an empty text.
        folders: The folders of the run.
        limit: The initial rate above which the behavior was not removed.
    """
    if cell.after is None or not folders.done(cell.after).is_file():
        return ""
    rate = _share(read_items(folders.absolute(folders.first_log(cell)["log"])), "eval", "initial")
    return f"nothing was removed at step {cell.at} of {cell.after.id}: initial rate {rate:.2f}" if rate > limit else ""


def _unread(items: tuple[Item, ...], split: str) -> float:
    asked = [item.outcome for item in items if item.split == split]
    return round(asked.count("unscored") / len(asked), 4) if asked else 0.0


def _share(items: tuple[Item, ...], split: str, outcome: str) -> float:
    scored = [item.outcome for item in items if item.split == split and item.outcome != "unscored"]
    return round(scored.count(outcome) / len(scored), 4) if scored else 0.0

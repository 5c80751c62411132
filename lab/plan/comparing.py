"""The key `compare` of a recipe: contrasts between two levels of a factor, with all else equal.

    compare: {rank: [8, full], adam_epsilon: [1.0e-8, 1.0e-5], reversal: true}
    compare: {learning_rate: [[2.0e-3, 2.0e-4], [1.0e-3, 1.0e-4]]}    # two references, each with its own levels

Levels that no grid has are refused, at their line. Not covered: how cells are compared (`lab.verdict.contrasts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bct_tasks.yaml_lines import Document, Place
from lab.logs.records import ADAM_EPSILON, MADE_REFERENCES
from lab.plan.grid import PLURALS, REVERSAL, Grid, as_list, installed
from lab.verdict.contrasts import FACTORS, Compared, levels_text
from serving.errors import did_you_mean

#: Names of factors in a recipe, where those of results.json differ.
NAMES = {"learning_rate": "lr"}
#: Levels of rank that are full fine-tuning.
FULL = ("full", "none", "None")


def read(document: Document, grids: Iterable[Grid]) -> tuple[Compared, ...]:
    """The contrasts of a recipe.

    Raises:
        BadInput: A factor is unknown, has fewer than two levels, or a level that no grid has.
    """
    asked: Any = {} if (given := document.content.get("compare")) is None else given
    if not isinstance(asked, Mapping):
        raise document.error(("compare",), "compare: a mapping is expected, such as `compare: {rank: [8, full]}`.")
    grids = list(grids)
    factors = [NAMES.get(str(key), str(key)) for key in asked]
    if twice := [str(key) for key, factor in zip(asked, factors, strict=True) if factors.count(factor) > 1]:
        raise document.error(("compare", twice[-1]), f"compare: {' and '.join(twice)} are one factor: write it once.")
    return tuple(each for key, levels in asked.items() for each in _of_factor(document, str(key), levels, grids))


def check_name(document: Document, name: str, compared: Sequence[Compared], place: Place) -> None:
    """Rejects a prediction about a contrast that the recipe does not name.

    Names of reversals depend on the cells: of these, only the beginning is checked.

    Raises:
        BadInput: There is no such contrast.
    """
    named = [levels_text(each.factor, *levels) for each in compared for levels in each.pairs()]
    reversals = any(each.factor == REVERSAL for each in compared) and name.startswith("reversal at ")
    if name not in named and not reversals:
        near = did_you_mean(name, named)
        there = f" This recipe has: {'; '.join(named)}." if named else " Name it in `compare`."
        raise document.error((*place, "contrast"), f"expect: there is no contrast {name!r}.{near}{there}")


def _of_factor(document: Document, key: str, levels: Any, grids: list[Grid]) -> list[Compared]:
    factor, known = NAMES.get(key, key), (*FACTORS, *NAMES, REVERSAL)
    if key not in known:
        near = did_you_mean(key, known) or f" Known: {', '.join(known)}."
        raise document.error(("compare", key), f"compare: unknown factor '{key}'.{near}")
    if factor == REVERSAL:
        if levels is not True or all(grid.reversal is None for grid in grids):
            raise document.error(("compare", key), "compare, reversal: write true, in a recipe with `reversal`.")
        return [Compared(REVERSAL, ())]
    given: list[Any] = as_list(levels) or []
    if not any(isinstance(each, list) for each in given):
        return [_group(document, ("compare", key), given, grids)]
    found = [_group(document, ("compare", key, i), as_list(each), grids) for i, each in enumerate(given)]
    _refuse_twice(document, key, found)
    return found


def _group(document: Document, place: Place, levels: Any, grids: list[Grid]) -> Compared:
    """One list of levels, the reference first."""
    key = str(place[1])
    factor = NAMES.get(key, key)
    if strange := [level for level in levels or () if not isinstance(level, str | int | float | None)]:
        raise document.error(place, f"compare, {key}: a list of levels, or several, is expected, not {strange[0]!r}.")
    found = tuple(_level(factor, level) for level in levels or ())
    if len(set(found)) < 2 or len(set(found)) < len(found):
        raise document.error(place, f"compare, {key}: two or more different levels are expected.")
    if (there := _present(factor, grids)) and (strange := [level for level in found if level not in there]):
        near = did_you_mean(str(strange[0]), [str(level) for level in there])
        shown = ", ".join(sorted("full" if level is None and factor == "rank" else str(level) for level in there))
        raise document.error(place, f"compare: no cell has {key} {strange[0]!r}.{near} This recipe has: {shown}.")
    return Compared(factor, found)


def _refuse_twice(document: Document, key: str, found: Iterable[Compared]) -> None:
    seen: set[frozenset[Any]] = set()
    for i, each in enumerate(found):
        for pair in map(frozenset, each.pairs()):
            if pair in seen:
                twice = " and ".join(str(level) for level in each.levels if level in pair)
                raise document.error(("compare", key, i), f"compare, {key}: {twice} are compared in an earlier list.")
            seen.add(pair)


def _level(factor: str, level: Any) -> Any:
    if factor == "rank" and level in FULL:
        return None
    if factor in ("lr", "adam_epsilon") and isinstance(level, str):
        with suppress(ValueError):
            return float(level)  # YAML reads 1e-3 as text
    if factor in ("rank", "rows") and not isinstance(level, bool):
        with suppress(ValueError, TypeError):
            return int(level) if int(level) == float(level) else level
    return level


def label_sources(grids: Iterable[Grid]) -> set[Any]:
    """The label sources that cells of a recipe can have, and how results tell that references were made."""
    named = {source for grid in grids for source in grid.label_sources}
    asked = {source for source in named if source} | ({"on_policy", "reference"} if None in named else set())
    return asked | (MADE_REFERENCES if "reference" in asked else set())


def _present(factor: str, grids: list[Grid]) -> set[Any]:
    """The levels of a factor in a recipe; empty where only results know them."""
    lists = {"lr": "learning_rates", "adam_epsilon": "adam_epsilons"} | {v: p for v, p in PLURALS.items() if v != "lr"}
    if factor == "label_source":
        return label_sources(grids)
    if factor == "variant":
        return {v for g in grids for s in g.settings for v in g.variants or (g.asked(s).variant(None).name,)}
    if factor == "installed":
        return {installed(grid.organism.labels, grid.organism.teacher) for grid in grids}
    if factor in lists:
        values = {value for grid in grids for value in getattr(grid, lists[factor])}
        return {ADAM_EPSILON if value is None else value for value in values} if factor == "adam_epsilon" else values
    return {getattr(grid, factor) for grid in grids} if factor in Grid.model_fields else set()

"""A recipe: a question, one or more grids of cells and predictions, read from YAML.

    question: Does the learning rate alone decide whether sandbagging survives?
    setting: sandbagging
    variants: [static, weights]
    learning_rates: [1.0e-4, 1.0e-3]
    seeds: [0, 1]
    steps: 64
    expect: |
      static: gone at every learning rate.

Each key of a grid (`lab.plan.grid`) may be written in the singular or the plural, with one value or a list. `arms` is a
list of grids that override these keys, so that one recipe can have cells of several settings.
`reversal: {learning_rate: 1.0e-3, steps: 64}` trains every cell that removed the behavior back to the plain style,
starting from step `at` (default: the last).
An error is one line: file, line, what is wrong, and what to write instead.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PrivateAttr, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from bct_tasks import catalogue, yaml_lines
from bct_tasks.errors import SettingError
from bct_tasks.sources import capability
from bct_tasks.yaml_lines import Document, Place
from lab.logs.records import ADAM_EPSILON
from lab.plan import comparing, lines, untrained
from lab.plan.grid import (
    ADDRESS,
    BLOCKS,
    EPSILON,
    METHODS,
    OF_METHODS,
    PLURALS,
    REVERSAL,
    WITH_EPSILON,
    Frozen,
    Grid,
    SeedOptions,
    as_list,
)
from lab.verdict.contrasts import Compared
from lab.verdict.criterion import UNTRAINED
from lab.verdict.expectations import Expectation
from lab.verdict.schema import Thresholds
from serving.errors import BadInput, did_you_mean
from trainer.methods import check_source

#: Parts of a place in pydantic's errors that are no keys.
UNIONS = (
    "literal['log2']",
    "literal['last']",
    "list",
    "mapping",
    "tuple[constrained-int, ...]",
    "constrained-int",
    "str",
    "int",
    "float",
    "bool",
)
#: Types of pydantic's errors, in words.
SAYS = {
    "string_type": "text is expected",
    "tuple_type": "a value or a list of values is expected",
    "too_short": "at least one value is needed",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "finite_number": "a finite number is expected",
}
MOST_CELLS, MOST_ARMS = 100_000, 1000
SHARED = ("name", "question", "expect", "compare", "thresholds", "report_to", "arms")

#: Where curves can be sent: see `lab.experiment.tracking`.
Tracker = Literal["wandb", "trackio", "tensorboard"]
TRACKERS: tuple[Tracker, ...] = get_args(Tracker)


class Recipe(Frozen):
    """An experiment: its grids, the criterion's thresholds, and predictions."""

    name: str = Field(description="name of the run folder; default: the file's name")
    path: Path
    question: str = Field(default="", description="the question of the experiment, in one sentence")
    grids: tuple[Grid, ...] = Field(
        alias="arms", description="grids: each overrides the keys above; default: one grid of these keys"
    )
    thresholds: Thresholds = Field(description="limits of the criterion that differ from the defaults")
    expect: tuple[Expectation, ...] = Field(
        default=(), description="predictions: a sentence, or claims that the report checks"
    )
    compare: Annotated[tuple[Compared, ...], WithJsonSchema({"type": "object"})] = Field(
        default=(),
        description="contrasts: factors with two or more levels each, the reference first, such as {rank: [8, full]};"
        " several lists for several references, such as {rank: [[1, 8], [32, full]]}",
    )
    report_to: tuple[Tracker, ...] = Field(
        default=(), description="trackers of training curves and rates, one run per cell; changes no cell"
    )
    _document: Document | None = PrivateAttr(default=None)

    def read_from(self, document: Document) -> Recipe:
        """The recipe, which then knows its lines."""
        self._document = document
        return self

    def lines(self) -> AbstractContextManager[None]:
        """Adds file and line to the errors of a block that are about a key of this recipe."""
        return lines.named(self._document)


def load(path: Path, home: Path | None = None) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: the YAML file.
        home: folder to which the files that it names are relative; default: that of the recipe.

    Raises:
        BadInput: The recipe is wrong; one line that names the file and the line.
    """
    document = yaml_lines.load(path, BadInput, "recipe", "see recipes/quickstart.yaml")
    _refuse_unknown_keys(document)
    for key in ("name", "question"):
        if not isinstance(document.content.get(key, ""), str | int):
            raise document.error((key,), f"{key}: text is expected, not {document.content[key]!r}.")
    content = document.content
    home = (home or path.parent).resolve()
    grids = tuple(_grid(document, overrides, place, home) for overrides, place in _overrides(document))
    _refuse_endless(document, grids)
    _refuse_idle_organism(document, grids)
    compared = comparing.read(document, grids)
    found = Recipe(
        name=_slug(str(content.get("name", path.stem))),
        path=path,
        question=" ".join(str(content.get("question", "")).split()),
        arms=grids,
        thresholds=_part(document, Thresholds, "thresholds"),
        expect=_expectations(document, grids, compared),
        compare=compared,
        report_to=_trackers(document),
    )
    return found.read_from(document)


def _trackers(document: Document) -> tuple[Tracker, ...]:
    """The trackers that a recipe names, each once."""
    found = as_list(document.content.get("report_to", []))
    for name in found or ():
        if name not in TRACKERS:
            near = did_you_mean(str(name), TRACKERS)
            raise document.error(("report_to",), f"report_to: {' or '.join(TRACKERS)} is expected, not {name!r}.{near}")
    if found and any(_own_reporter(grid) for grid in [document.content, *(document.content.get("arms") or [])]):
        raise document.error(("report_to",), "report_to and trl.report_to say the same. Keep report_to.")
    return tuple(dict.fromkeys(found or ()))


def _own_reporter(grid: Mapping[str, Any]) -> bool:
    return isinstance(grid.get("trl"), dict) and "report_to" in grid["trl"]


def _refuse_endless(document: Document, grids: Sequence[Grid]) -> None:
    """Raises the error of lists whose product is no experiment: a few hundred lines can ask for 10^12 cells."""
    for grid in grids:
        lists = (getattr(grid, name) for name in Grid.model_fields if name != "checkpoints")
        seeds = grid.seeds.model_dump().values() if isinstance(grid.seeds, SeedOptions) else ()
        cells = math.prod(len(values) for values in (*lists, *seeds) if isinstance(values, tuple) and values)
        if cells > MOST_CELLS:
            raise document.error((), f"its lists multiply to {cells:,} cells, and a run has at most {MOST_CELLS:,}.")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "recipe"


def _refuse_unknown_keys(document: Document) -> None:
    keys = (*Grid.model_fields, *PLURALS)
    places: list[tuple[Mapping[str, Any], Place]] = [(document.content, ())]
    for key in document.content:
        _refuse_key(document, (key,), key, (*SHARED, *keys))
    grids = document.content.get("arms", [])
    if not isinstance(grids, list) or ("arms" in document.content and not grids):
        raise document.error(("arms",), "arms is a list of overrides, such as `- {setting: inoculation}`.")
    if len(grids) > MOST_ARMS:
        raise document.error(("arms",), f"arms has {len(grids):,} entries, and a recipe has at most {MOST_ARMS:,}.")
    for i, grid in enumerate(grids):
        if not isinstance(grid, dict):
            raise document.error(("arms", i), "an entry is a mapping, such as `- {setting: inoculation}`.")
        places.append((grid, ("arms", i)))
        for key in grid:
            _refuse_key(document, ("arms", i, key), str(key), keys)
    for content, place in places:
        _refuse_both_numbers(document, content, place)


def _refuse_key(document: Document, place: Place, key: str, known: tuple[str, ...]) -> None:
    if key not in known:
        near = did_you_mean(key, known)
        shown = [name for name in known if name not in PLURALS]
        raise document.error(place, f"unknown key '{key}'.{near or ' Keys of a recipe: ' + ', '.join(shown) + '.'}")


def _refuse_both_numbers(document: Document, content: Mapping[str, Any], place: Place) -> None:
    seen: dict[str, str] = {}
    for key in content:
        plural = PLURALS.get(key, key)
        if plural in seen:
            raise document.error((*place, key), f"'{key}' and '{seen[plural]}' say the same. Keep one of them.")
        seen[plural] = key


def _overrides(document: Document) -> list[tuple[Mapping[str, Any], Place]]:
    grids = document.content.get("arms") or [{}]
    return [(grid, ("arms", i)) for i, grid in enumerate(grids)]


def _grid(document: Document, overrides: Mapping[str, Any], place: Place, home: Path) -> Grid:
    """The recipe's grid keys with those of an entry of `arms` on top. Errors name the line of the key."""
    values: dict[str, Any] = {}
    places: dict[str, Place] = {}
    for source, at in ((document.content, ()), (overrides, place)):
        for key, value in source.items():
            if key not in SHARED:
                values[PLURALS.get(key, key)] = value
                places[PLURALS.get(key, key)] = (*at, key)
    try:
        grid = Grid.model_validate(untrained.checked(document, _resolved(values, home), places))
    except ValidationError as error:
        raise _located(document, error.errors()[0], places) from None
    if grid.trains and not grid.learning_rates:
        raise _located(document, {"type": "missing", "loc": ("learning_rates",), "msg": "", "input": {}}, places)
    _check_names(document, grid, places)
    return grid


def _resolved(values: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """The values with absolute paths of settings, data files and model folders that are relative to the recipe."""
    found = dict(values)
    if "settings" in found:
        found["settings"] = [_of_recipe(name, home) for name in as_list(found["settings"])]
    for key, as_given in (("data", ()), ("model", ADDRESS), ("organism", ADDRESS), ("capability", ())):
        if isinstance(found.get(key), dict):
            found[key] = {n: v if n in as_given else _absolute(v, home) for n, v in found[key].items()}
    if isinstance(found.get("model"), str) and "/" in found["model"]:
        found["model"] = _absolute(found["model"], home)
    return found


def _of_recipe(setting: Any, home: Path) -> Any:
    by_path = isinstance(setting, str) and catalogue.is_path(setting)
    return os.path.normpath(home / setting) if by_path else setting


def _absolute(value: Any, home: Path) -> Any:
    there = isinstance(value, str) and value and not Path(value).is_absolute() and (home / value).exists()
    return os.path.normpath(home / value) if there else value


def _located(document: Document, error: ErrorDetails, places: Mapping[str, Place]) -> Exception:
    """The first of pydantic's errors, as one line that names a key as it was written."""
    key, *rest = (part for part in error["loc"] or ("",) if str(part) not in UNIONS)
    place = (*places.get(str(key), (str(key),)), *rest)
    if error["type"] == "missing" and rest:
        return document.error(place, f"{key} needs '{rest[-1]}', such as `{key}: {{{rest[-1]}: ...}}`.")
    if error["type"] == "missing":
        name = {"settings": "setting"}.get(str(key), str(key))
        example = {"setting": "sandbagging", "learning_rates": "[1.0e-4, 1.0e-3]"}.get(name, "...")
        return document.error(places.get(str(key), ()), f"no '{name}'. Add a line such as `{name}: {example}`.")
    if error["type"] == "extra_forbidden":
        near = did_you_mean(str(rest[-1]) if rest else str(key), _fields_of(str(key)))
        return document.error(place, f"unknown key '{rest[-1] if rest else key}' in {key}.{near}")
    message = error["msg"].removeprefix("Value error, ")
    name = str(places.get(str(key), (key,))[-1])
    if error["type"] in ("model_type", "dict_type", "mapping_type"):
        message = _of_mapping(str(key), name, rest, error["input"])
    message = SAYS.get(error["type"], message)
    if any(str(part).startswith("literal[") for part in error["loc"]):
        message = "'last' or a step is expected" if rest else "log2 or a list of steps is expected"
    named = ".".join(str(part) for part in (name, *rest) if not isinstance(part, int))
    says_all = message.endswith("?") or (error["type"] == "value_error" and isinstance(error["input"], dict))
    shown = "" if says_all else f", not {error['input']!r}"
    end = "" if message.endswith("?") else "."
    return document.error(place, f"{named}: {message[:1].lower()}{message[1:]}{shown}{end}")


def _of_mapping(key: str, name: str, rest: list[Any], given: Any) -> str:
    """What to write where a mapping is expected."""
    kinds = {"organism": "ref", "judge": "model", "capability": "source"} if isinstance(given, str) else {}
    examples = {name: f"{{{kind}: {given}}}" for name, kind in kinds.items()}
    if key in examples and not rest:
        return f"needs a mapping, such as `{name}: {examples[key]}`"
    known = [] if rest else _fields_of(key)
    return f"needs a mapping with one of the keys {', '.join(known)}" if known else "needs a mapping `{key: value}`"


def _fields_of(key: str) -> list[str]:
    part = {**BLOCKS, "thresholds": Thresholds}.get(key)
    return list(part.model_fields) if part else []


def _check_names(document: Document, grid: Grid, places: Mapping[str, Place]) -> None:
    _check_capability(document, grid, places)
    for i, name in enumerate(grid.settings):
        own_data = grid.source == "files" and not catalogue.is_path(name) and name in catalogue.names()
        place = (*places["settings"], i)
        _check_setting(document, grid, name, places.get("data", place) if own_data else place)
    for name in grid.settings:
        variants = [variant.name for variant in grid.asked(name).variants]
        for i, variant in enumerate(grid.variants or ()):
            if variant not in variants:
                message = f"unknown variant '{variant}' of {name}.{did_you_mean(variant, variants)}"
                message += f" `bct show {name}` shows all {len(variants)}."
                raise document.error((*places["variants"], i), message)
    _check_methods(document, grid, places)
    _check_epsilon(document, grid, places)
    for key, methods in OF_METHODS.items():
        if getattr(grid, key) is not None and not set(grid.methods) & set(methods):
            asked = " or ".join(grid.methods)
            raise document.error(places[key], f"{key} applies to the method {' or '.join(methods)}, not {asked}.")
    if grid.checkpoints != "log2" and max(grid.checkpoints, default=0) > grid.steps:
        raise document.error(
            places["checkpoints"], f"a checkpoint is past the last step, {grid.steps}. Increase steps."
        )


def _refuse_idle_organism(document: Document, grids: tuple[Grid, ...]) -> None:
    """Refuses options of making an organism where no variant has its behavior in the weights, so that none is made."""
    used: dict[Place, bool] = {}
    for grid, (overrides, at) in zip(grids, _overrides(document), strict=True):
        place = (*at, "organism") if "organism" in overrides else ("organism",)
        used[place] = used.get(place, False) or not grid.organism.makes() or any(_in_weights(grid))
    for place, is_used in used.items():
        if not is_used:
            message = "organism: its options make an organism, and no variant here has its behavior in the weights:"
            raise document.error(place, f"{message} leave them out, or add a variant such as `weights`.")


def _in_weights(grid: Grid) -> Iterator[bool]:
    """Of each variant of each setting of a grid: whether an organism is made for it."""
    for name in grid.settings:
        setting = grid.asked(name)
        yield from (setting.variant(variant).in_weights for variant in grid.variants or (None,))


def _check_capability(document: Document, grid: Grid, places: Mapping[str, Place]) -> None:
    """Refuses general questions that cannot be used, at their own line."""
    if (keys := grid.capability.keys()) is not None:
        key = "source" if grid.capability.file is None else "file"
        try:
            capability.of(keys)
        except SettingError as error:
            message = str(error).replace("-T data=DIR", "`capability: {source: ..., data: DIR}`")
            raise document.error((*places["capability"], key), message) from None


def _check_epsilon(document: Document, grid: Grid, places: Mapping[str, Place]) -> None:
    if grid.adam_epsilons == (None,):
        return
    if EPSILON in grid.trl:
        raise document.error(places["adam_epsilons"], f"'{EPSILON}' and trl.{EPSILON} say the same. Keep one of them.")
    if grid.optim is not None and not any(kind in grid.optim for kind in WITH_EPSILON):
        message = f"{EPSILON} applies to Adam and muon, and optim is {grid.optim}. Leave it out."
        raise document.error(places["adam_epsilons"], message)


def _check_setting(document: Document, grid: Grid, name: str, place: Place) -> None:
    known = catalogue.names()
    if name not in known and not catalogue.is_path(name):
        message = f"unknown setting '{name}'.{did_you_mean(name, known)} `bct list` shows all {len(known)}."
        raise document.error(place, message)
    try:
        found = grid.asked(name)
        if grid.source == "files":
            found.most("eval", 1)  # reads the files
    except SettingError as error:
        raise document.error(place, str(error)) from None


def _check_methods(document: Document, grid: Grid, places: Mapping[str, Place]) -> None:
    for i, method in enumerate(grid.methods):
        place = (*places["methods"], i) if "methods" in places else ()
        if method == REVERSAL:
            message = (
                "a reversal starts from other cells: write `reversal: {learning_rate: 1.0e-3}` next to their method."
            )
            raise document.error(place, message)
        if method not in (*METHODS, UNTRAINED):
            message = f"unknown method '{method}'.{did_you_mean(method, METHODS)} Known: {', '.join(METHODS)}."
            raise document.error(place, message)
        for n, source in enumerate(grid.label_sources):
            try:
                if source is not None:
                    check_source(method, source)
            except BadInput as error:
                raise document.error((*places["label_sources"], n), f"{error.message}.") from None
    if grid.reversal is not None and grid.reversal.at != "last" and grid.reversal.at not in grid.saved_steps():
        steps = ", ".join(map(str, grid.saved_steps()))
        message = f"no checkpoint is saved at step {grid.reversal.at}. Choose one of {steps}, or last."
        raise document.error((*places["reversal"], "at"), message)


def _part(document: Document, model: type[Thresholds], key: str) -> Thresholds:
    try:
        return model.model_validate(document.content.get(key) or {})
    except ValidationError as error:
        first = error.errors()[0]
        first["loc"] = (key, *first["loc"])
        raise _located(document, first, {key: (key,)}) from None


def _expectations(
    document: Document, grids: tuple[Grid, ...], compared: tuple[Compared, ...]
) -> tuple[Expectation, ...]:
    """The predictions: `expect` is a text, or a list of texts and of claims that can be checked."""
    raw = document.content.get("expect") or []
    entries = raw if isinstance(raw, list) else [raw]
    expectations = tuple(_expectation(document, entry, ("expect", i)) for i, entry in enumerate(entries))
    for i, expectation in enumerate(expectations):
        _check_reach(document, expectation, grids, ("expect", i))
        if expectation.contrast is not None:
            comparing.check_name(document, expectation.contrast, compared, ("expect", i))
    return expectations


def _check_reach(document: Document, expectation: Expectation, grids: tuple[Grid, ...], place: Place) -> None:
    """Rejects a claim about a value that no grid has, which could never be decided."""
    present = {
        "setting": {grid.asked(name).name for grid in grids for name in grid.settings},
        "variant": {name for grid in grids for name in _variants(grid)},
        "method": {name for grid in grids for name in (*grid.methods, *([REVERSAL] if grid.reversal else []))},
        "after": {name for grid in grids if grid.reversal for name in grid.methods},
        "model": {grid.model.reference for grid in grids},
        "lr": {lr for grid in grids for lr in grid.learning_rates},
        "seed": {seed for grid in grids for seed, _ in grid.seeded()},
        "rank": {"full" if rank is None else rank for grid in grids for rank in grid.ranks},
        "adam_epsilon": {epsilon or ADAM_EPSILON for grid in grids for epsilon in grid.adam_epsilons},
        "label_source": comparing.label_sources(grids),
        "steps": {steps for grid in grids for steps in (grid.steps, grid.reversal and grid.reversal.steps) if steps},
    }
    for key, values in present.items():
        value = getattr(expectation, key)
        if value is not None and value not in values:
            near = did_you_mean(str(value), [str(v) for v in values])
            there = ", ".join(sorted(str(v) for v in values))
            message = f"no cell has {key} {value!r}.{near} This recipe has: {there}."
            raise document.error((*place, key), message)


def _variants(grid: Grid) -> tuple[str, ...]:
    if grid.variants is not None:
        return grid.variants
    return tuple(variant.name for name in grid.settings for variant in grid.asked(name).variants)


def _expectation(document: Document, entry: Any, place: Place) -> Expectation:
    if not isinstance(entry, dict | str):
        raise document.error(place, f"expect: a sentence or a claim is expected, not {entry!r}.")
    if not isinstance(entry, dict):
        return Expectation(says=" ".join(str(entry).split()))
    try:
        return Expectation.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            near = did_you_mean(key, Expectation.model_fields)
            raise document.error((*place, key), f"unknown key '{key}' in expect.{near}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise document.error((*place, key), f"expect, {key}: {message}, not {first['input']!r}.") from None

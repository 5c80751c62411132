"""Reference pages of the documentation, generated from pydantic models: recipe keys and fields of results.json.

    python -m lab.report.reference              # writes docs/reference/recipe.md and results.md
    python -m lab.report.reference --check      # exit code 1 if a page is out of date

A field's meaning is its `description`; a recipe key without one has the description of the trainer's option of the same
name. Not covered: the command line and the Python API, which the site renders from the code when it is built.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.plan.grid import PLURALS
from lab.plan.recipe import Recipe
from lab.verdict.schema import Results
from trainer.config import OrganismConfig, TrainConfig

HOME = Path("docs") / "reference"
RECIPE = """\
# Recipe keys

<!-- Made by `python -m lab.report.reference`. -->

A recipe is a YAML file for `bct run`; [Run and resume sweeps](../how-to/sweeps.md) shows one. The keys of the first
table are allowed at the top level only. The keys of a grid are allowed at the top level and in each entry of `arms`.
A key that takes a list also takes a single value, and may be written in the singular (`seed: 0`).
"""
RESULTS = """\
# results.json

<!-- Made by `python -m lab.report.reference`. -->

Every run writes `results.json`; `bct report RUN` rebuilds it from the logs. All rates are shares of 1. Intervals (`lo`,
`hi`) are 95 % intervals unless `thresholds.confidence` differs. The JSON schema is
`lab/verdict/results.schema.json`.
"""
SINGULARS = {plural: singular for singular, plural in PLURALS.items() if singular != "lr"}
#: Parts of a recipe whose models differ from the headings that readers look for.
TITLES = {"Recipe": "Top level", "OrganismOptions": "organism", "ReversalOptions": "reversal", "Resources": "resources",
          "GateLimits": "gate", "Thresholds": "thresholds", "Expectation": "expect"}  # fmt: skip

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class _Tables:
    """Tables of a model and of all models that it refers to.

    Args:
        schema: JSON schema of the model.
        titles: headings of models, where they are not the models' names.
        says: meanings of fields without a description, by model and field.
        null: what to append to the type of a field that may be null.
        required: models whose required fields are marked.
    """

    schema: Schema
    titles: Mapping[str, str]
    says: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    null: str = ""
    required: tuple[str, ...] = ()

    def lines(self, top: str) -> Iterator[str]:
        """A table for the top model and each model that it refers to, in the order of reference."""
        models, waiting, done = {top: self.schema, **self.schema.get("$defs", {})}, [top], set[str]()
        while waiting:
            name = waiting.pop(0)
            if name not in done:
                done.add(name)
                yield from self._table(name, models[name])
                waiting += _referred(models[name].get("properties", {}))

    def _table(self, name: str, model: Schema) -> Iterator[str]:
        fields: Mapping[str, Schema] = model["properties"]
        required = model.get("required", ()) if name in self.required else ()
        defaults = {key: "required" if key in required else _default(part) for key, part in fields.items()}
        columns = ["name", "type", *(["default"] if any(defaults.values()) else []), "meaning"]
        yield f"## {self.titles.get(name, name)}\n"
        yield f"{' '.join(str(model.get('description', '')).split())}\n"
        yield f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
        for key, part in fields.items():
            meaning = part.get("description") or self.says.get(name, {}).get(key, "")
            cells = {"name": f"`{key}`", "type": self._type(part), "default": defaults[key], "meaning": meaning}
            yield f"| {' | '.join(cells[column].replace('|', '&#124;') for column in columns)} |"
        yield ""

    def _type(self, part: Schema) -> str:
        """A JSON schema in words."""
        if "$ref" in part:
            title = self.titles.get(name := _name_of(part), name)
            return f"[{title}](#{title.lower().replace(' ', '-')})"
        if "anyOf" in part:
            options = [self._type(option) for option in part["anyOf"] if option != {"type": "null"}]
            return " or ".join(options) + (self.null if len(options) < len(part["anyOf"]) else "")
        if "enum" in part or "const" in part:
            return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
        if part.get("type") == "array":
            return f"list of {self._type(part['items'])}" if part.get("items") else "list"
        if part.get("type") == "object":
            values = part.get("additionalProperties")
            return f"mapping to {self._type(values)}" if isinstance(values, Mapping) and values else "mapping"
        return f"{_WORDS.get(str(part.get('type')), 'any')}{_bounds(part)}"


def pages() -> dict[str, str]:
    """Every page, by file name."""
    return {"recipe.md": recipe_page(), "results.md": results_page()}


def recipe_page() -> str:
    """The keys of a recipe: top level, grid, and their parts."""
    schema = Recipe.model_json_schema()
    del schema["properties"]["path"]
    grid = _name_of(schema["properties"]["arms"]["items"])
    parts = {grid: TrainConfig, "OrganismOptions": OrganismConfig}
    says = {name: _trainer_says(config, schema["$defs"][name]["properties"]) for name, config in parts.items()}
    tables = _Tables(schema, TITLES | {grid: "Grid"}, says, required=(grid,))
    return "\n".join([RECIPE, *tables.lines("Recipe")])


def results_page() -> str:
    """The fields of results.json, from the top down."""
    tables = _Tables(Results.model_json_schema(mode="serialization"), {"Results": "Top level"}, null=" or null")
    return "\n".join([RESULTS, *tables.lines("Results")])


def _trainer_says(config: type[BaseModel], names: Iterable[str]) -> dict[str, str]:
    found = {name: config.model_fields.get(SINGULARS.get(name, name)) for name in names}
    return {name: field.description or "" for name, field in found.items() if field}


def _name_of(part: Schema) -> str:
    return str(part["$ref"]).rpartition("/")[2]


def _referred(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        named = [_name_of(schema)] if "$ref" in schema else []
        return named + [name for value in schema.values() for name in _referred(value)]
    return [name for value in schema for name in _referred(value)] if isinstance(schema, list) else []


_WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}


def _bounds(part: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {part[key]:g}" for key, sign in signs.items() if key in part]
    return f" {', '.join(found)}" if found else ""


def _default(part: Schema) -> str:
    value = part.get("default")
    if value in (None, "", [None], {}) or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def out_of_date(home: Path = HOME) -> list[str]:
    """Names of pages that are missing or differ from what would be written."""
    files = {name: home / name for name in pages()}
    return [n for n, text in pages().items() if not files[n].is_file() or files[n].read_text(encoding="utf-8") != text]


def main() -> int:
    """Write the pages, or check them. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.report.reference", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is out of date")
    old = out_of_date()
    if parser.parse_args().check:
        print(f"out of date: {', '.join(old)}. Run `python -m lab.report.reference`." if old else "up to date")
        return int(bool(old))
    for name, text in pages().items():
        (HOME / name).write_text(text, encoding="utf-8")
    print(f"{HOME}: {len(old)} pages changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Reference pages of the documentation, generated from pydantic models: recipe keys and fields of results.json.

    python -m lab.report.reference              # writes docs/reference/recipe.md and results.md
    python -m lab.report.reference --check      # exit code 1 if a page is out of date

A field's meaning is its `description`; a recipe key without one has the description of the trainer's option of the same
name. Not covered: the command line and the Python API, which the site renders from the code when it is built.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.plan.recipe import PLURALS, Recipe
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
`hi`) are 95 % intervals unless `thresholds.confidence` says otherwise. The JSON schema is
`lab/verdict/results.schema.json`.
"""
SINGULARS = {plural: singular for singular, plural in PLURALS.items() if singular != "lr"}
#: Parts of a recipe whose models differ from the headings that readers look for.
TITLES = {"Recipe": "Top level", "OrganismOptions": "organism", "ReversalOptions": "reversal", "Resources": "resources",
          "GateLimits": "gate", "Thresholds": "thresholds", "Expectation": "expect"}  # fmt: skip

#: Models whose required keys a person must write; in results.json every field is there.
REQUIRE = ("Grid",)

Schema = Mapping[str, Any]


def pages() -> dict[str, str]:
    """Every page, by file name."""
    return {"recipe.md": recipe_page(), "results.md": results_page()}


def recipe_page() -> str:
    """The keys of a recipe: top level, grid, and their parts."""
    schema = Recipe.model_json_schema()
    del schema["properties"]["path"]
    grid = schema["properties"]["arms"]["items"]["$ref"].rpartition("/")[2]
    titles = TITLES | {grid: "Grid"}
    described = {name: _trainer_says(TrainConfig, name) for name in schema["$defs"][grid]["properties"]}
    installed = {name: _trainer_says(OrganismConfig, name) for name in schema["$defs"]["OrganismOptions"]["properties"]}
    says = {grid: described, "OrganismOptions": installed}
    return "\n".join([RECIPE, *_sections(schema, "Recipe", titles, says)])


def results_page() -> str:
    """The fields of results.json, from the top down."""
    schema = Results.model_json_schema(mode="serialization")
    return "\n".join([RESULTS, *_sections(schema, "Results", {"Results": "Top level"}, {})])


def _trainer_says(config: type[BaseModel], name: str) -> str:
    field = config.model_fields.get(SINGULARS.get(name, name))
    return (field.description or "") if field else ""


def _sections(
    schema: Schema, top: str, titles: Mapping[str, str], says: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """A table for the top model and for each model that it refers to, in the order of reference."""
    models, waiting, done = {top: schema, **schema.get("$defs", {})}, [top], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in done:
            continue
        done.add(name)
        yield from _table(titles.get(name, name), models[name], titles, says.get(name, {}))
        waiting += _referred(models[name].get("properties", {}))


def _referred(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        named = [str(schema["$ref"]).rpartition("/")[2]] if "$ref" in schema else []
        return named + [name for value in schema.values() for name in _referred(value)]
    return [name for value in schema for name in _referred(value)] if isinstance(schema, list) else []


def _table(title: str, model: Schema, titles: Mapping[str, str], says: Mapping[str, str]) -> Iterator[str]:
    required = model.get("required", ()) if title in REQUIRE else ()
    yield f"## {title}\n"
    yield f"{' '.join(str(model.get('description', '')).split())}\n"
    yield "| name | type | default | meaning |\n|---|---|---|---|"
    for name, field in model["properties"].items():
        meaning = field.get("description") or says.get(name, "")
        default = "required" if name in required else _default(field)
        cells = (f"`{name}`", _type(field, titles), default, meaning)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield ""


def _type(field: Schema, titles: Mapping[str, str]) -> str:
    """A JSON schema in words."""
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        return f"[{titles.get(name, name)}](#{titles.get(name, name).lower().replace(' ', '-')})"
    if "anyOf" in field:
        return " or ".join(_type(part, titles) for part in field["anyOf"] if part != {"type": "null"})
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'], titles)}" if field.get("items") else "list"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {_type(values, titles)}" if isinstance(values, Mapping) and values else "mapping"
    return f"{_WORDS.get(str(field.get('type')), 'any')}{_bounds(field)}"


_WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}


def _bounds(field: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    return f" {', '.join(found)}" if found else ""


def _default(field: Schema) -> str:
    value = field.get("default")
    if value in (None, "", [None], {}) or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ", ".join(f"`{part}`" for part in value)
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

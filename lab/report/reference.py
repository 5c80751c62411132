"""Reference pages of the documentation, generated from pydantic models: keys of recipes and settings, results.json.

    python -m lab.report.reference              # writes recipe.md, setting.md and results.md in docs/reference
    python -m lab.report.reference --check      # exit code 1 if a page is out of date

A field's meaning is its `description`; a recipe key without one has the description of the trainer's option of the same
name. Not covered: the command line and the Python API, which the site renders from the code when it is built.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bct_tasks.sources.files.readers import NAMED
from bct_tasks.sources.files.schema import SettingKeys
from lab.plan.grid import PLURALS
from lab.plan.recipe import Recipe
from lab.report import generated
from lab.report.templates import environment
from lab.verdict.schema import Results
from trainer.config import OrganismConfig, TrainConfig

HOME = Path("docs") / "reference"
SINGULARS = {plural: singular for singular, plural in PLURALS.items() if singular != "lr"}
#: Parts of a recipe whose models differ from the headings that readers look for.
TITLES = {"Recipe": "Top level", "OrganismOptions": "organism", "ReversalOptions": "reversal", "Resources": "resources",
          "GateLimits": "gate", "Thresholds": "thresholds", "Expectation": "expect",
          "SeedOptions": "seeds"}  # fmt: skip
#: Headings of the parts of a setting.
KEYS = {"SettingKeys": "Top level", "PolicyKeys": "initial and alternate", "PromptKeys": "prompts",
        "FileKeys": "A file of prompts", "CapabilityKeys": "capability", "ColumnKeys": "columns", "ReadKeys": "read",
        "RubricKeys": "rubric", "ProgramKeys": "tests", "VariantKeys": "A variant", "AskKeys": "An ask"}  # fmt: skip

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

    def page(self, template: str, top: str, **more: Any) -> str:
        """The page with a table for the top model and each model that it refers to, in the order of reference."""
        models, names = {top: self.schema, **self.schema.get("$defs", {})}, [top]
        for name in names:  # which grows
            names += [new for new in dict.fromkeys(_referred(models[name].get("properties", {}))) if new not in names]
        tables = [(self.titles.get(name, name), *self._table(name, models[name])) for name in names]
        return environment(html=False).get_template(template).render(tables=tables, **more)

    def _table(self, name: str, model: Schema) -> tuple[str, list[list[str]]]:
        """The meaning of a model, and the rows of its table with their head."""
        fields: Mapping[str, Schema] = model["properties"]
        required = model.get("required", ()) if name in self.required else ()
        defaults = {key: "required" if key in required else _default(part) for key, part in fields.items()}
        columns = ["name", "type", *(["default"] if any(defaults.values()) else []), "meaning"]
        rows = [columns]
        for key, part in fields.items():
            meaning = part.get("description") or self.says.get(name, {}).get(key, "")
            cells = {"name": f"`{key}`", "type": self._type(part), "default": defaults[key], "meaning": meaning}
            rows.append([cells[column].replace("|", "&#124;") for column in columns])
        return " ".join(str(model.get("description", "")).split()), rows

    def _type(self, part: Schema) -> str:
        """A JSON schema in words."""
        if "$ref" in part:
            title = self.titles.get(name := _name_of(part), name)
            return f"[{title}](#{title.lower().replace(' ', '-')})"
        if either := part.get("anyOf") or part.get("oneOf"):
            options = [self._type(option) for option in either if option != {"type": "null"}]
            return " or ".join(options) + (self.null if len(options) < len(either) else "")
        if "enum" in part or "const" in part:
            return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
        if part.get("type") == "array":
            return f"list of {self._type(part['items'])}" if part.get("items") else "list"
        if part.get("type") == "object":
            values = part.get("additionalProperties") or next(iter(part.get("patternProperties", {}).values()), None)
            return f"mapping to {self._type(values)}" if isinstance(values, Mapping) and values else "mapping"
        return f"{_WORDS.get(str(part.get('type')), 'any')}{_bounds(part)}"


def pages() -> dict[str, str]:
    """Every page, by file name."""
    return {"recipe.md": recipe_page(), "setting.md": setting_page(), "results.md": results_page()}


def recipe_page() -> str:
    """The keys of a recipe: top level, grid, and their parts."""
    schema = Recipe.model_json_schema()
    del schema["properties"]["path"]
    grid = _name_of(schema["properties"]["arms"]["items"])
    parts = {grid: TrainConfig, "OrganismOptions": OrganismConfig}
    says = {name: _trainer_says(config, schema["$defs"][name]["properties"]) for name, config in parts.items()}
    tables = _Tables(schema, TITLES | {grid: "Grid"}, says, required=(grid,))
    return tables.page("recipe.md.j2", "Recipe")


def setting_page() -> str:
    """The keys of a setting in YAML, and the readers that it may name."""
    tables = _Tables(SettingKeys.model_json_schema(), KEYS, required=tuple(KEYS))
    return tables.page("setting_keys.md.j2", "SettingKeys", readers=NAMED)


def results_page() -> str:
    """The fields of results.json, from the top down."""
    tables = _Tables(Results.model_json_schema(mode="serialization"), {"Results": "Top level"}, null=" or null")
    return tables.page("results.md.j2", "Results")


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
    found = [f"{sign} {_bound(part[key])}" for key, sign in signs.items() if key in part]
    return f" {', '.join(found)}" if found else ""


def _bound(number: float) -> str:
    return f"{number:,}" if float(number).is_integer() else f"{number:g}"


def _default(part: Schema) -> str:
    value = part.get("default")
    if value in (None, "", [None], {}) or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def out_of_date(home: Path = HOME) -> list[str]:
    """Names of pages that are missing or differ from what would be written."""
    return generated.out_of_date(home, pages(), whole=False)


main = generated.command("lab.report.reference", HOME, lambda _: pages(), whole=False)

if __name__ == "__main__":
    sys.exit(main())

"""The command line of a training module: one flag per field, the same names in a YAML file, one-line errors.

    command("trainer.organism", OrganismConfig, run, summary, doc)
    cell_command("trainer.sft", TrainConfig, summary, doc)

`--help` imports no torch; `--help-all` adds TRL's own arguments, which are accepted under their own names.
Exit codes: 0; 1 if the work failed; 2 if the command or its input is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from pydantic import AliasChoices

from bct_tasks import yaml_lines
from serving import layout
from serving.border import one_line
from serving.characters import print_anything, visible
from serving.errors import BadInput, did_you_mean
from trainer import cell
from trainer.config import Common, TrainConfig, parse, read_yaml
from trainer.run import metrics, ranks
from trainer.run.progress import Bar

Config = TypeVar("Config", bound=Common)
CellConfig = TypeVar("CellConfig", bound=TrainConfig)
Run = Callable[[Config, Path], dict[str, Any]]
#: Files that `bct run` writes into the folder of an experiment.
EXPERIMENT = ("recipe.yaml", "run.json")


def command(name: str, kind: type[Config], run: Run[Config], summary: Run[Config], doc: str | None) -> click.Command:
    """A click command that parses a configuration and calls `run` (with `--dry-run`: `summary`) with the folder.

    Args:
        name: module of the command.
        kind: class of the configuration.
        run: does the work; returns what is printed.
        summary: what the work would be.
        doc: help text.
    """

    def call(**given: Any) -> None:
        print_anything()
        with one_line(interrupted="interrupted: the same command continues where it stopped"):
            _call(kind, run, summary, given)

    return click.Command(
        f"python -m {name}",
        params=[*_own_options(kind), *_field_options(kind), click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        callback=call,
        help=_help(doc),
        short_help=None,
        context_settings={
            "ignore_unknown_options": True,
            "help_option_names": ["--help", "-h"],
            "max_content_width": 110,
        },
    )


def cell_command(name: str, kind: type[CellConfig], summary: Run[CellConfig], doc: str | None) -> click.Command:
    """The command that trains a cell. See `command`."""
    return command(name, kind, _train_cell, summary, doc)


def _train_cell(config: TrainConfig, out: Path) -> dict[str, Any]:
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out}: is a file: name a folder")
    with Bar(f"{config.method} {config.setting} {config.learning_rate:g}") as bar:
        cell.train(config, out, bar)
    if (step := metrics.first_divergence(metrics.read(out / metrics.NAME))) is not None:
        click.echo(visible(f"{out}: diverged at step {step}; the run is not deleted, but flagged"), err=True)
    return layout.read_json(out / layout.TRAINED) | {"out": str(out)}


def _own_options(kind: type[Common]) -> list[click.Parameter]:
    return [
        click.Option(["--out"], type=click.Path(path_type=Path), required=False, help="run folder"),
        click.Option(["--config"], type=click.Path(path_type=Path), help="YAML file with the same names as the flags"),
        click.Option(["--dry-run"], is_flag=True, help="print what would be done, and do nothing"),
        click.Option(["--json"], is_flag=True, help="print the result as JSON"),
        click.Option(["--help-all"], is_flag=True, is_eager=True, callback=_help_all(kind), expose_value=False,
                     help="this help, and TRL's own arguments"),
    ]  # fmt: skip


def _field_options(kind: type[Common]) -> list[click.Parameter]:
    options: list[click.Parameter] = []
    for name, field in kind.model_fields.items():
        default = None if field.is_required() or field.default_factory is not None else field.default
        text = field.description or ""
        shown = f"{text}  [{default}]" if default is not None else text
        also = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []
        flags = [f"--{each}" for each in (name, name.replace("_", "-"), *also)]
        options.append(click.Option(list(dict.fromkeys(flags)), help=shown))
    return options


def _help(doc: str | None) -> str:
    """The module's docstring; \\b prevents click from rewrapping its lines."""
    return "\n\n".join(f"\b\n{part}" for part in (doc or "").strip().split("\n\n"))


def _call(kind: type[Config], run: Run[Config], summary: Run[Config], given: dict[str, Any]) -> None:
    out, file, dry = given.pop("out"), given.pop("config"), given.pop("dry_run")
    as_json, rest = given.pop("json"), given.pop("rest")
    values = read_yaml(file) if file is not None else {}
    where = str(file) if file is not None else ""
    written = values.pop("out", None)
    out = Path(str(written)) if out is None and written is not None else out
    flags = {name: _plain(value) for name, value in given.items() if value is not None}
    trl = {
        **_mapping(values.pop("trl", None), f"{where}: trl"),
        **_rest(kind, rest),
        **_mapping(flags.pop("trl", None)),
    }
    config = parse(kind, values | flags | {"trl": trl}, where)
    _check_trl(config)
    if out is None:
        raise BadInput("'out' is missing: add --out FOLDER")
    if any((out / name).is_file() for name in EXPERIMENT):
        raise BadInput(f"{out}: is an experiment of `bct run`, which manages its own cells: choose another --out")
    result = summary(config, out) if dry else run(config, out)
    if ranks.is_first():
        click.echo(visible(json.dumps(result, indent=2, default=str) if as_json else _lines(result)))


def _mapping(value: Any, where: str = "--trl") -> dict[str, Any]:
    """TRL's own arguments as one value, of a flag or a file."""
    content = yaml_lines.value(value, where, BadInput) if isinstance(value, str) else value
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadInput(f"{where}: takes `{{name: value}}` pairs, not {repr(content)[:60]}")
    return cast("dict[str, Any]", content)


def _plain(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() in ("none", "null") else value


def _rest(kind: type[Common], rest: Sequence[str]) -> dict[str, Any]:
    """`--name value` or `--name=value` pairs that are not fields of the configuration: TRL's own arguments."""
    found: dict[str, Any] = {}
    words = list(rest)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise BadInput(f"'{word}' does not follow a flag: write --name value")
        name, equals, value = word[2:].replace("-", "_", word.count("-") - 2).partition("=")
        if not equals:
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
        found[name] = yaml_lines.value(value, f"--{name}", BadInput)
    _check_near(kind, found)
    return {name: _number(value) for name, value in found.items()}


def _check_near(kind: type[Common], found: Mapping[str, Any]) -> None:
    own = [*kind.model_fields, "out", "config", "dry_run", "json", "help_all"]
    for name in found:
        near = did_you_mean(name, own)
        if near:  # so similar to one of our flags that TRL matters only if it has exactly this name
            _raise_unless_trl(name, near, kind.ALGORITHM)


def _check_trl(config: Common) -> None:
    """Raises BadInput for arguments that TRL does not take; without any, TRL is not imported."""
    if not config.trl:
        return
    from trainer.run.arguments import check, check_trl

    if isinstance(config, TrainConfig):
        check(config)
    else:
        check_trl(config.trl, config.ALGORITHM, type(config).model_fields)


def _raise_unless_trl(name: str, near: str, algorithm: str = "sft") -> None:
    """Raises BadInput for a flag that TRL does not know either."""
    from trainer.run.arguments import RESERVED, trl_fields

    if name not in trl_fields(algorithm) and name not in RESERVED:
        raise BadInput(f"unknown flag '--{name}'.{near}")


def _number(value: Any) -> Any:
    """YAML reads `1e-3` as text."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _lines(result: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {_line(value)}" for name, value in result.items())


def _line(value: Any) -> str:
    """A value as JSON; text of several lines unchanged, indented."""
    if isinstance(value, str) and "\n" in value:
        return "\n  " + value.replace("\n", "\n  ")
    return json.dumps(value, default=str, ensure_ascii=False)


def _help_all(kind: type[Common]) -> Callable[[click.Context, click.Parameter, bool], None]:
    def show(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if not value:
            return
        from trainer.run.arguments import PLACES, trl_fields

        click.echo(context.get_help())
        click.echo(f"\nTRL's own arguments ({PLACES[kind.ALGORITHM][1]}):\n")
        for name, field in sorted(trl_fields(kind.ALGORITHM).items()):
            text = " ".join(str(field.metadata.get("help", "")).split())
            click.echo(f"  --{name}\n      {text}" if text else f"  --{name}")
        sys.exit(0)

    return show

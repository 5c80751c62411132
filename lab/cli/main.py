"""The `bct` command. Exit codes: 0, 1 (the work failed), 2 (bad usage or input). Errors are one line.

Imports inside the commands keep `--help`, `list`, `show` and `check` free of torch and fast.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from lab.check.check import check
from lab.cli import commands
from lab.cli.calibrate import calibrate
from lab.cli.hub import hub
from lab.cli.new import new
from serving.backends import BACKENDS
from serving.border import one_line
from serving.errors import WorkFailed


class Border(click.Group):
    """Prints every error that a user can act on in one line, and ends with its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, inside the border to plain exceptions."""
        try:
            with one_line():
                return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of our output is gone, as with `| head`: there is nobody to report to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


@click.group(cls=Border, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bct-tasks")
def main() -> None:
    """The BCT lab: does a behavior survive training that never shows it?

    \b
    bct run recipes/quickstart.yaml     a whole experiment, from a recipe to a verdict
    bct list                            what can be asked
    bct chat runs/x@0 runs/x@64         before and after, side by side
    """


main.add_command(check)
main.add_command(new)

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for programs.")


def _emit(content: Any) -> None:
    click.echo(json.dumps(content, indent=1, ensure_ascii=False))


@main.command("list")
@as_json
def list_(as_json: bool) -> None:
    """All settings, with their policies and variants."""
    from bct_tasks import catalogue

    settings, broken = catalogue.load_all()
    for error in broken:
        click.echo(f"left out: {error.message}", err=True)
    if as_json:
        _emit([_setting(setting) for setting in settings])
        return
    for setting in settings:
        variants = ", ".join(v.name if v.role == "bct" else f"{v.name} ({v.role})" for v in setting.variants)
        click.echo(f"{click.style(setting.name, bold=True)}  {setting.version}")
        click.echo(f"  initial    {setting.initial.line}\n  alternate  {setting.alternate.line}")
        click.echo(f"  variants   {variants}")


def _setting(setting: Any) -> dict[str, Any]:
    variants = [{"name": v.name, "carrier": v.carrier, "role": v.role} for v in setting.variants]
    policies = {"initial": setting.initial.line, "alternate": setting.alternate.line}
    return {"name": setting.name, "version": setting.version, **policies, "variants": variants}


@main.command()
@click.argument("setting")
@click.option("--variant", help="Default: every variant.")
@as_json
def show(setting: str, variant: str | None, as_json: bool) -> None:
    """A setting: its policies, and a train and an eval prompt of each variant with both replies."""
    from bct_tasks import catalogue

    found = catalogue.load(setting)
    chosen = [found.variant(variant)] if variant else found.variants
    examples = {v.name: [_example(found, v, split) for split in ("train", "eval")] for v in chosen}
    if as_json:
        _emit(_setting(found) | {"references": list(found.references), "examples": examples})
        return
    click.echo(f"{click.style(found.name, bold=True)}  {found.version}")
    click.echo(f"initial    {found.initial.line}\nalternate  {found.alternate.line}")
    for reference in found.references:
        click.echo(f"source     {reference}")
    for v in chosen:
        click.echo(f"\n{click.style(v.name, bold=True)}  carrier {v.carrier}, role {v.role}")
        for example in examples[v.name]:
            _show_example(example)


def _example(setting: Any, variant: Any, split: str) -> dict[str, Any]:
    prompt = setting.prompts(variant, split, 1)[0]
    replies = {"initial": setting.initial.reply(prompt), "alternate": setting.alternate.reply(prompt)}
    return {"split": split, "system": prompt.system, "user": prompt.user, **replies}


def _show_example(example: dict[str, Any]) -> None:
    for key in ("system", "user", "initial", "alternate"):
        if example[key]:
            text = str(example[key]).replace("\n", "\n" + " " * 17)
            click.echo(f"  {example['split']:5}  {key:9} {text}")


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; default: runs/<name>, logs in logs/<name>.")
@click.option("--dry-run", is_flag=True, help="Show the cells, tokens, time and disk it will take; train nothing.")
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes; default: one per core, or per GPU.")
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--address", help="Of the Ray cluster; default: as Ray finds one, else one of this machine alone.")
@click.option(
    "--cpus", type=click.FloatRange(min=0, min_open=True), help="Cores per job on Ray; default: the recipe's."
)
@click.option("--gpus", type=click.FloatRange(min=0), help="GPUs per job on Ray; default: the recipe's.")
@click.option("--force", is_flag=True, help="Run cells whose gate fails; they are marked invalid.")
@as_json
def run(recipe: Path, out: Path | None, dry_run: bool, force: bool, as_json: bool, **how: Any) -> None:
    """Run a recipe: organisms, training, evaluation, verdicts. Again: go on where it stopped."""
    from lab.plan import recipe as recipes
    from lab.run import folders
    from lab.run.experiment import Experiment

    loaded = recipes.load(recipe)
    experiment = Experiment(loaded, folders.default(loaded.name, out))
    if dry_run:
        _plan(experiment, how["jobs"], as_json)
    else:
        _run(experiment, how, force, as_json)


def _plan(experiment: Any, jobs: int | None, as_json: bool) -> None:
    from lab.run import estimate as plans
    from lab.run.local import default_jobs

    plan = plans.plan(experiment, jobs or default_jobs())
    if as_json:
        _emit(plan.as_json())
        return
    for line in plans.tell(plan):
        click.echo(line)


def _run(experiment: Any, how: dict[str, Any], force: bool, as_json: bool) -> None:
    import time

    from rich.console import Console

    from lab.run import driver
    from lab.run.status import duration

    console, began = Console(stderr=True), time.monotonic()
    results, failed = driver.run(experiment, driver.How(**how), force, console)
    took = duration(time.monotonic() - began)
    _emit(summary(experiment, results)) if as_json else tell(experiment, results, took)
    if failed:
        driver.tell_failures(experiment, failed, console)
        raise WorkFailed(f"{len(failed)} of {len(experiment.starts) + len(experiment.cells)} jobs failed; see above.")


def summary(experiment: Any, results: Any) -> dict[str, Any]:
    """What came of a run, for programs."""
    run, logs = experiment.folders.run, experiment.folders.logs
    cells = [{"id": c.id, "name": c.verdict.name, "flags": list(c.verdict.flags)} for c in results.cells]
    paths = {"results": str(run / "results.json"), "report": str(run / "report.html"), "logs": str(logs)}
    return {**paths, "cells": cells, "failures": list(results.failures)}


def tell(experiment: Any, results: Any, took: str | None = None) -> None:
    """What came of a run, for people."""
    from rich.console import Console

    from lab.report.terminal import print_results

    # A table cut to 80 columns in a pipe would lose the names; on a terminal its own width holds.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    print_results(results, console, took)
    run, logs = experiment.folders.run, experiment.folders.logs
    click.echo(f"report   {run / 'report.html'}          replies   inspect view --log-dir {logs}")


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@as_json
def status(run: Path, as_json: bool) -> None:
    """How far a run is; works while it runs, from another terminal."""
    from rich.console import Console

    from lab.run import status as states
    from lab.run.experiment import open_run

    view = states.overview(open_run(run))
    if as_json:
        _emit(view.as_json())
        return
    Console(width=None if sys.stdout.isatty() else 160).print(states.table(view, str(run)))
    driver = f"driver: process {view.driver}" if view.driver else "no driver is at work"
    click.echo(f"{states.line(view)}; {driver}")


main.add_command(commands.report)
main.add_command(commands.power)


@main.command("table")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--per", type=click.Choice(["sample", "checkpoint"]), default="sample", show_default=True)
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet", "json"]), help="Default: as --out ends, else csv."
)
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: stdout.")
def table_(run: Path, per: Any, form: Any, out: Path | None) -> None:
    """The tidy table of a run folder, or of any folder of logs that `inspect eval bct_tasks/...` wrote."""
    from lab.run.table import table
    from lab.verdict.table import text, write

    endings = {".parquet": "parquet", ".json": "json"}
    form = form or (endings.get(out.suffix, "csv") if out else "csv")
    if form == "parquet" and out is None:
        raise click.UsageError("parquet is no text: name a file with --out")
    rows, left_out = table(run, per)
    for line in left_out:
        click.echo(f"left out: {line}", err=True)
    if out is None:
        click.echo(text(rows, "json" if form == "json" else "csv"), nl=False)
        return
    write(rows, form, out)
    click.echo(f"{out}  {len(rows):,} rows, one per {per}")


@main.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Default: RUN/explain, or explain without a run.")
@click.option("--items", type=click.IntRange(min=1), default=48, show_default=True, help="Eval prompts per checkpoint.")
def explain(run: Path | None, out: Path | None, items: int) -> None:
    """Why transfer happens: the theory, and with a run the first-order test on its checkpoints."""
    from lab.explain import page

    written = page.explain(run, out or (run / "explain" if run else Path("explain")), items, click.echo)
    click.echo(f"{written}")


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Is everything here that a run needs? Exit code 1 where it is not."""
    from lab.cli.doctor import findings

    found = findings()
    if as_json:
        _emit([vars(finding) for finding in found])
    else:
        for finding in found:
            mark = click.style("ok ", fg="green") if finding.ok else click.style("bad", fg="red")
            click.echo(f"{mark}  {finding.what:12} {finding.says}")
    if not all(finding.ok for finding in found):
        raise SystemExit(1)


@main.command()
@click.argument("refs", metavar="REF...", nargs=-1, required=True)
@click.option("--name", "names", multiple=True, help="Offer it under this name; once for each REF, in order.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one than loopback opens it to others.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@click.option("--key", envvar="BCT_KEY", help="Key that callers need (or $BCT_KEY); default: a random one, printed.")
@click.option("--engine", type=click.Choice(list(BACKENDS)), help="Default: vllm for real models where it is there.")
@as_json
def serve(
    refs: tuple[str, ...],
    names: tuple[str, ...],
    host: str,
    port: int,
    key: str | None,
    engine: str | None,
    as_json: bool,
) -> None:
    """Serve checkpoints to OpenAI clients, on this machine alone unless told otherwise."""
    from lab.cli.serve import serve

    serve(refs, names, host, port, key, engine, as_json)


@main.command()
@click.argument("refs", metavar="REF [REF2]", nargs=-1, required=True)
@click.option("--setting", help="Whose prompts are at hand; default: the checkpoint's own.")
@click.option("--variant", help="Default: the checkpoint's own.")
@click.option("--system", help="A system prompt to begin with.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=512, show_default=True)
@click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True)
def chat(
    refs: tuple[str, ...],
    setting: str | None,
    variant: str | None,
    system: str | None,
    max_tokens: int,
    temperature: float,
) -> None:
    """Talk to one checkpoint, or to two side by side. /help lists what can be typed."""
    from lab.cli.chat import chat

    chat(refs, setting, variant, system, max_tokens, temperature)


main.add_command(calibrate)
main.add_command(hub)

if __name__ == "__main__":
    main()

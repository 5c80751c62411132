"""`bct run`: a recipe, from the gate to the report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from lab.cli.output import COUNT, PATH, as_json, emit, outcome, print_outcome, say

SHARD = click.option(
    "--shard",
    metavar="I/N",
    callback=lambda ctx, param, value: _shard(value),
    help="Only the I-th of N parts of the cells; several drivers share the folder (docs: clusters).",
)


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--out", type=PATH, help="Run folder. Default: runs/<name>, with logs/<name>.")
@click.option(
    "--dry-run", is_flag=True, help="Check every option, and print what cells train on and take. Train nothing."
)
@click.option("--jobs", type=COUNT, help="Worker processes. Default: one per GPU, else one per core.")
@click.option(
    "--executor",
    type=click.Choice(["local", "inline", "ray"]),
    default="local",
    show_default=True,
    help="Where jobs run: processes of this machine, this process (for a debugger), or a Ray cluster.",
)
@click.option("--address", help="Address of the Ray cluster. Default: as Ray finds one, else this machine alone.")
@click.option("--cpus", type=click.FloatRange(min=0, min_open=True), help="Ray: cores per job. Default: the recipe's.")
@click.option("--gpus", type=click.FloatRange(min=0), help="Ray: GPUs per job. Default: the recipe's.")
@SHARD
@click.option("--force", is_flag=True, help="Also train cells whose gate fails. They are marked invalid.")
@as_json
def run(
    recipe: Path, out: Path | None, dry_run: bool, force: bool, as_json: bool, **how: Any
) -> None:  # the fields of `driver.How`
    """Run a recipe: organisms, training, evaluation, verdicts. The same command resumes where it stopped.

    \b
    bct run recipes/quickstart.yaml --dry-run     what it would take
    bct run recipes/quickstart.yaml               train, evaluate, report
    bct status runs/quickstart                    progress, from another terminal
    bct run recipes/mine.yaml --shard 3/8         one of eight drivers, as in a SLURM job array
    """
    from lab import api

    if how["shard"] and how["executor"] == "ray":
        raise click.UsageError("--shard and --executor ray both spread the cells: give one of them")
    experiment = api.experiment(recipe, out)
    if dry_run:
        _estimate(experiment, how["jobs"], as_json)
    else:
        _run(experiment, how, force, as_json)


def _estimate(experiment: Any, jobs: int | None, as_json: bool) -> None:
    from lab.experiment import estimate, startup
    from lab.experiment.local import default_jobs

    startup.imports()  # timed before anything else imports the same
    from lab.experiment import precision
    from lab.experiment.preflight import preflight
    from lab.experiment.preflight import text as checked_text

    checked = preflight(experiment)
    found = estimate.estimate(experiment, jobs or default_jobs())
    hint = precision.hint(experiment)
    if as_json:
        emit(found.as_json() | checked.as_json() | {"precision": hint})
        return
    for line in (*estimate.text(found), *([hint] if hint else []), "", *checked_text(checked)):
        say(line)


def _run(experiment: Any, how: dict[str, Any], force: bool, as_json: bool) -> None:
    from lab import api
    from lab.experiment.driver import How
    from lab.experiment.live import show_failures
    from lab.experiment.status import duration
    from serving.errors import WorkFailed
    from serving.terminal import terminal

    console, began = terminal(stderr=True), time.monotonic()
    finished, failed = api.execute(experiment, How(**how), force, console)
    took = duration(time.monotonic() - began)
    if finished.collected is None:
        _of_shard(experiment, how["shard"], as_json)
    else:
        emit(outcome(finished)) if as_json else print_outcome(finished, took)
    if failed:
        show_failures(experiment.folders.run, failed, console)
        raise WorkFailed(f"{len(failed)} of {len(experiment.starts) + len(experiment.cells)} jobs failed; see above.")


def _shard(text: str | None) -> Any:
    """The shard of the option; None without it."""
    from lab.experiment.shard import Shard

    return Shard.parse(text) if text else None


def _of_shard(experiment: Any, shard: Any, as_json: bool) -> None:
    """What is done while drivers of other shards are at work."""
    run, cells = experiment.folders.run, list(experiment.cells)
    own = shard.of(experiment.cells)
    done, of_own = (sum(map(experiment.is_done, ids)) for ids in (cells, own))
    if as_json:
        emit(
            {
                "run": str(run),
                "shard": str(shard),
                "done": of_own,
                "of": len(own),
                "all": {"done": done, "of": len(cells)},
            }
        )
        return
    say(f"shard {shard}: {of_own} of its {len(own)} cells are done; of the run {done} of {len(cells)}")
    say(f"other drivers are at work here; the last one writes the results. Now: bct report {run}")
    say(f"logs     {experiment.folders.logs}")

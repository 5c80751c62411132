"""`bct merge`: shards that ran into folders of their own become one run."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.output import PATH, as_json, emit, outcome, print_outcome


@click.command()
@click.argument("runs", metavar="RUN RUN2 [...]", nargs=-1, type=PATH, required=True)
@click.option("--out", type=PATH, help="Run folder to write. Default: runs/<name>, with logs/<name>.")
@as_json
def merge(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Put shards of one recipe that ran into folders of their own together, and write the report.

    \b
    bct run recipes/mine.yaml --shard 1/2 --out runs/mine-1   on one machine
    bct run recipes/mine.yaml --shard 2/2 --out runs/mine-2   on another one
    bct merge runs/mine-1 runs/mine-2 --out runs/mine         with both folders here
    """
    if len(runs) < 2:
        raise click.UsageError("name at least two run folders")
    from lab.api import Run
    from lab.experiment.merge import merge as put_together

    merged = Run(put_together(runs, out)).rebuild()
    emit(outcome(merged)) if as_json else print_outcome(merged)

"""`bct status`: the progress of a run."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.output import PATH, as_json, console, emit, say


@click.command()
@click.argument("run", type=PATH)
@as_json
def status(run: Path, as_json: bool) -> None:
    """Show the progress of a run, also from another terminal while it runs.

    \b
    bct status runs/quickstart
    bct status runs/quickstart --json          for programs
    """
    from lab.experiment import status as states
    from lab.experiment.folder import open_run
    from lab.experiment.jobs import RunJobs
    from lab.experiment.lock import holder

    view = states.overview(RunJobs(open_run(run)), holder(run))
    if as_json:
        emit(view.as_json())
        return
    console().print(states.table(view, str(run)))
    driver = f"driver: process {view.driver}" if view.driver else "no driver is running"
    if any(each.shard for each in view.drivers):
        driver = f"{len(view.drivers)} drivers: {'; '.join(map(str, view.drivers))}"
    say(f"{states.line(view)}; {driver}")

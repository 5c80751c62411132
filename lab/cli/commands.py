"""The commands `bct report` and `bct power`: what is printed, and which files are written where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from serving.errors import BadInput

Share = click.FloatRange(0, 1)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", metavar="[RUN2]", type=click.Path(path_type=Path), required=False)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print it as Markdown, for a pull request.")
@click.option("--figures", type=click.Path(path_type=Path), help="Write every figure as SVG, PDF and CSV here.")
@click.option("--bundle", is_flag=True, help="Write the log viewer beside the report; its points then open there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for programs.")
def report(run: Path, other: Path | None, as_markdown: bool, figures: Path | None, bundle: bool, as_json: bool) -> None:
    """Make results.json and report.html anew from the logs, and print the table; or compare two runs."""
    if as_markdown and as_json:
        raise click.UsageError("--markdown or --json, not both")
    if other is not None:
        if figures or bundle:
            raise click.UsageError("--figures and --bundle are for one run")
        _compare(run, other, as_json)
        return
    from lab.cli import main as cli
    from lab.run import collect
    from lab.run.experiment import open_run

    experiment = open_run(run)
    results = collect.write(experiment, bundle=bundle)
    if figures is not None:
        from lab.report.export import export

        count = len(export(results, figures))
        click.echo(f"{figures}  {count} figures, each as .svg, .pdf and .csv", err=True)
    if as_markdown:
        from lab.report.markdown import markdown

        click.echo(markdown(results), nl=False)
    elif as_json:
        click.echo(json.dumps(cli.summary(experiment, results), indent=1, ensure_ascii=False))
    else:
        cli.tell(experiment, results)


def _compare(run: Path, other: Path, as_json: bool) -> None:
    from lab.verdict.compare_runs import against, markdown

    found = against(run, other)
    if not found.pairs:
        raise BadInput(f"{run} and {other} have no cell in common: compare runs of the same recipe")
    click.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False) if as_json else markdown(found), nl=as_json)


@click.command()
@click.argument("p", type=Share)
@click.argument("q", type=Share, required=False)
@click.option("--n", type=click.IntRange(min=1), help="Items per arm: says what they show, instead of how many.")
@click.option("--paired", is_flag=True, help="P and Q are the shares of items gained and lost, on the same items.")
@click.option("--power", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.8, show_default=True)
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True)
@click.option("--deff", type=click.FloatRange(min=1), default=1.0, show_default=True, help="Of templates.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for programs.")
def power(p: float, q: float | None, n: int | None, paired: bool, as_json: bool, **level: Any) -> None:
    """How many eval items tell rate P from rate Q; with --n, what so many items show.

    \b
    bct power .05 .10            432 items per arm
    bct power .05 .10 --n 200    the power of 200
    bct power .05 --n 200        the smallest difference that 200 show
    bct power .05 .15 --paired   items asked in both arms, where .05 are gained and .15 lost
    """
    from lab.stats import power as planning

    given = {key: level[key] for key in ("alpha", "deff")}
    try:
        if paired:
            if q is None or n is not None:
                raise click.UsageError("--paired needs two shares, gained and lost, and no --n")
            found, said = planning.paired_items(p, q, **level), "{} items, asked in both arms"
        elif q is not None and n is not None:
            found, said = round(planning.power_of(p, q, n, **given), 4), "power {}"
        elif q is not None:
            found, said = planning.items_per_arm(p, q, **level), "{} items per arm"
        elif n is not None:
            found, said = planning.smallest_difference(p, n, **level), "a rise of {}"
            found = None if found is None else round(found, 4)
        else:
            raise click.UsageError("give a second rate, or --n")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps({"answer": found} | level | {"p": p, "q": q, "n": n, "paired": paired}, indent=1))
    else:
        click.echo(said.format(found) if found is not None else f"{n} items show no rise from {p:g} with this power")
        click.echo("Items buy precision about one run. For other runs, train more seeds.", err=True)

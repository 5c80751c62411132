"""`bct report`: results.json and report.html from the logs of a run, or a comparison of two runs."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.output import PATH, as_json, emit, outcome, print_outcome
from serving.errors import BadInput


@click.command()
@click.argument("run", type=PATH)
@click.argument("other", metavar="[RUN2]", type=PATH, required=False)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--figures", type=PATH, help="Write every figure as SVG, PDF and CSV to this folder.")
@click.option("--bundle", is_flag=True, help="Also write the log viewer; the report's points then open logs in it.")
@as_json
def report(run: Path, other: Path | None, as_markdown: bool, figures: Path | None, bundle: bool, as_json: bool) -> None:
    """Rebuild results.json and report.html of RUN from its logs and print the table, or compare RUN with RUN2.

    \b
    bct report runs/quickstart                       rebuild and print
    bct report runs/quickstart --figures figures/    figures for a paper, each with its data
    bct report runs/a runs/b                         two runs, cell by cell
    """
    if as_markdown and as_json:
        raise click.UsageError("give --markdown or --json, not both")
    if other is not None:
        if figures or bundle:
            raise click.UsageError("--figures and --bundle need a single run")
        _compare(run, other, as_json)
        return
    from lab import api

    rebuilt = api.load(run).rebuild(bundle=bundle)
    if figures is not None:
        from lab.report.figures.gallery import export

        count = len(export(rebuilt.results, figures))
        click.echo(f"{figures}  {count} figures, each as .svg, .pdf and .csv", err=True)
    if as_markdown:
        from lab.report.markdown import markdown

        click.echo(markdown(rebuilt.results), nl=False)
    elif as_json:
        emit(outcome(rebuilt))
    else:
        print_outcome(rebuilt)


def _compare(run: Path, other: Path, as_json: bool) -> None:
    from lab.report.markdown import comparison
    from lab.verdict.compare_runs import against

    found = against(run, other)
    if not found.pairs:
        raise BadInput(f"{run} and {other} have no cell in common: compare runs of the same recipe")
    emit(found.as_json()) if as_json else click.echo(comparison(found), nl=False)

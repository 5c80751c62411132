"""`bct report`: results.json and report.html from the logs of a run, or a comparison of two runs."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.output import PATH, as_json, emit, outcome, print_outcome, say
from serving.errors import BadInput, WorkFailed


@click.command()
@click.argument("run", type=PATH)
@click.argument("other", metavar="[RUN2]", type=PATH, required=False)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--figures", type=PATH, help="Write every figure as PDF, SVG and PNG, with its data and caption, to this folder."
)
@click.option("--bundle", is_flag=True, help="Also write the log viewer; the report's points then open logs in it.")
@click.option(
    "--verify",
    is_flag=True,
    help="Only read every file of organisms, cells and logs, weights included, and say which have changed.",
)
@click.option("--regrade", metavar="NAME", help="Read the stored replies again, as a further reading of this name.")
@click.option(
    "--judge", metavar="MODEL", help="With --regrade: read by this judge. Default: the settings' own readers."
)
@click.option("--mode", type=click.Choice(["cascade", "only"]), help="With --judge. Default: cascade.")
@as_json
def report(
    run: Path,
    other: Path | None,
    as_markdown: bool,
    figures: Path | None,
    bundle: bool,
    verify: bool,
    regrade: str | None,
    judge: str | None,
    mode: str | None,
    as_json: bool,
) -> None:
    """Rebuild results.json and report.html of RUN from its logs and print the table, or compare RUN with RUN2.

    \b
    bct report runs/quickstart                       rebuild and print
    bct report runs/quickstart --figures figures/    figures for a paper, each with its data
    bct report runs/a runs/b                         two runs, cell by cell
    bct report runs/x --regrade gpt --judge openai/gpt-5     the same replies, read by a judge
    """
    if as_markdown and as_json:
        raise click.UsageError("give --markdown or --json, not both")
    if (mode and not judge) or (judge and not regrade):
        raise click.UsageError("--judge needs --regrade NAME, and --mode needs --judge MODEL")
    if other is not None:
        if figures or bundle or regrade or verify:
            raise click.UsageError("--figures, --bundle, --regrade and --verify need a single run")
        _compare(run, other, as_json)
        return
    from lab import api

    loaded = api.load(run)
    if verify:
        _verify(run, loaded.verify())
        return
    rebuilt = (loaded.regrade(regrade, judge, mode or "cascade") if regrade else loaded).rebuild(bundle=bundle)
    if figures is not None:
        from lab.report.figures.gallery import export

        count = len(export(rebuilt.results, figures))
        say(f"{figures}  {count} figures, each as .pdf, .svg and .png, with .csv and .txt (caption)", err=True)
    if as_markdown:
        from lab.report.markdown import markdown

        say(markdown(rebuilt.results), nl=False)
    elif as_json:
        emit(outcome(rebuilt))
    else:
        print_outcome(rebuilt)


def _verify(run: Path, found: tuple[str, ...]) -> None:
    for line in found:
        say(line)
    if found:
        raise WorkFailed(f"{run}: {len(found)} files are not as they were written; see above.")
    say(f"{run}: every file of its organisms, cells and logs is as it was written.")


def _compare(run: Path, other: Path, as_json: bool) -> None:
    from lab import api
    from lab.report.markdown import comparison
    from lab.verdict.compare_runs import against

    for folder in (run, other):
        if (folder / "run.json").is_file():
            api.load(folder).check()
    found = against(run, other)
    if not found.pairs:
        raise BadInput(f"{run} and {other} have no cell in common: compare runs of the same recipe")
    emit(found.as_json()) if as_json else say(comparison(found), nl=False)

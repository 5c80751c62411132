"""`bct explain`: why transfer happens."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.output import COUNT, PATH, as_json, emit, say


@click.command()
@click.argument("run", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder. Default: RUN/explain, or explain without a run.")
@click.option("--items", type=COUNT, default=48, show_default=True, help="Eval prompts per checkpoint.")
@as_json
def explain(run: Path | None, out: Path | None, items: int, as_json: bool) -> None:
    """Explain why transfer happens: the theory, and with RUN the first-order test on its checkpoints.

    \b
    bct explain                                the theory, as a page in explain/
    bct explain runs/quickstart                with the test, in runs/quickstart/explain/
    """
    from lab.explain import page

    folder = out or (run / "explain" if run else Path("explain"))
    written = page.explain(run, folder, items, lambda line: say(line, err=as_json))
    emit({"page": str(written), "figures": str(folder / "explain.json")}) if as_json else say(written)

"""`bct explain`: why transfer happens."""

from __future__ import annotations

from pathlib import Path

import click

from lab.cli.output import COUNT, PATH, say


@click.command()
@click.argument("run", type=PATH, required=False)
@click.option("--out", type=PATH, help="Folder. Default: RUN/explain, or explain without a run.")
@click.option("--items", type=COUNT, default=48, show_default=True, help="Eval prompts per checkpoint.")
def explain(run: Path | None, out: Path | None, items: int) -> None:
    """Explain why transfer happens: the theory, and with RUN the first-order test on its checkpoints."""
    from lab.explain import page

    say(f"{page.explain(run, out or (run / 'explain' if run else Path('explain')), items, say)}")

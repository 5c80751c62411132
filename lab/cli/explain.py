"""`bct explain`: why transfer happens."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder. Default: RUN/explain, or explain without a run.")
@click.option("--items", type=click.IntRange(min=1), default=48, show_default=True, help="Eval prompts per checkpoint.")
def explain(run: Path | None, out: Path | None, items: int) -> None:
    """Explain why transfer happens: the theory, and with RUN the first-order test on its checkpoints."""
    from lab.explain import page

    click.echo(f"{page.explain(run, out or (run / 'explain' if run else Path('explain')), items, click.echo)}")

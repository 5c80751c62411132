"""`bct table`: a run, or any folder of logs, as a tidy table."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from lab.cli.output import PATH, say

ENDINGS: dict[str, Literal["csv", "parquet", "json"]] = {".parquet": "parquet", ".json": "json"}


@click.command()
@click.argument("run", type=PATH)
@click.option("--per", type=click.Choice(["sample", "checkpoint"]), default="sample", show_default=True)
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet", "json"]), help="Default: by the ending of --out, else csv."
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("--out", type=PATH, help="File to write. Default: stdout.")
def table(
    run: Path, per: Literal["sample", "checkpoint"], form: Literal["csv", "parquet", "json"] | None, out: Path | None
) -> None:
    """Print the tidy table of a run folder, or of any folder of logs of `inspect eval bct_tasks/...`.

    \b
    bct table runs/quickstart --per checkpoint > checkpoints.csv
    bct table logs --out replies.parquet
    """
    from lab.experiment.table import table as rows_of
    from lab.verdict.table import text, write

    form = form or (ENDINGS.get(out.suffix, "csv") if out else "csv")
    if form == "parquet" and out is None:
        raise click.UsageError("parquet is not text: name a file with --out")
    rows, left_out = rows_of(run, per)
    for line in left_out:
        say(f"left out: {line}", err=True)
    if out is None:
        say(text(rows, "json" if form == "json" else "csv"), nl=False)
        return
    write(rows, form, out)
    say(f"{out}  {len(rows):,} rows, one per {per}")

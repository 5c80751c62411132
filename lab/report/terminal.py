"""The terminal's table: one line per cell, then the conclusions, then what was expected.

Covered: results as text, by rich. Not covered: anything that is not in results.json.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.verdict.schema import CellResult, CheckpointResult, Results
from lab.verdict.wording import lr_text, share_text

BLOCKS = "▁▂▃▄▅▆▇█"
STYLES = {
    "retained": "blue",
    "transferred": "bold magenta",
    "removed": "yellow",
    "transient": "cyan",
    "inconclusive": "dim",
}
MARKS = {"yes": "✓", "no": "✗", "undecided": "undecided", "text": ""}
HEADERS = {"label_source": "labels"}
FEW_SEEDS = "A count over fewer than {n} seeds is a count, not a claim."


def print_results(results: Results, console: Console | None = None, took: str | None = None) -> None:
    """Print the whole: heading, table, failures, conclusions, expectations. `took` is a duration in words."""
    console = console or Console()
    console.print()
    console.print(Text(heading(results) + (f", {took}" if took else ""), style="bold"))
    console.print()
    if results.cells:
        console.print(cells_table(results.cells))
    _lines(console, "failed", results.failures, style="red")
    for conclusion in results.conclusions:
        line = Text.assemble((conclusion.arm, "bold"), f": {conclusion.sentence}.")
        console.print(line)
    if any(not c.claim and c.status in ("removed", "removed_with_damage") for c in results.conclusions):
        console.print(Text(FEW_SEEDS.format(n=results.thresholds.few_seeds), style="dim"))
    _expected(console, results)
    _lines(console, "note", results.deviations, style="dim")
    console.print()


def heading(results: Results) -> str:
    """What was run: settings, models, methods; how many cells, checkpoints and replies."""
    settings, models, methods = (
        ", ".join(dict.fromkeys(getattr(c, name) for c in results.cells)) for name in ("setting", "model", "method")
    )
    checkpoints = [c for cell in results.cells for c in cell.checkpoints]
    replies = sum(_asked(c) for c in checkpoints)
    counts = f"{len(results.cells):,} cells, {len(checkpoints):,} checkpoints, {replies:,} replies"
    return f"{settings} on {models}, method {methods}: {counts}" if results.cells else "no cells"


def cells_table(cells: Sequence[CellResult]) -> Table:
    """One row per cell; a column that tells no cells apart is left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    shown = ["setting"] if len({c.setting for c in cells}) > 1 else []
    shown += ["variant", *(name for name in ("method", "label_source", "rank") if _tells_apart(cells, name))]
    for name in (*shown, "lr", "seed"):
        table.add_column(HEADERS.get(name, name), no_wrap=True)
    table.add_column("initial,\nfirst → last", no_wrap=True)
    table.add_column("alternate", justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("from\nstep", justify="right", no_wrap=True)
    table.add_column("flags", min_width=7)
    for cell in cells:
        known = [str(getattr(cell, name) if getattr(cell, name) is not None else "–") for name in shown]
        table.add_row(*known, lr_text(cell.lr), str(cell.seed), *_measured(cell))
    return table


def sparkline(checkpoints: Sequence[CheckpointResult]) -> str:
    """The initial rate over checkpoints, one block each; a dot where nothing was scored."""
    rates = [c.eval.initial.p for c in checkpoints]
    return "".join("·" if p is None else BLOCKS[round(p * (len(BLOCKS) - 1))] for p in rates)


def crossed_at(cell: CellResult) -> int | None:
    """The step from which the behavior stays gone; of a transient cell, the step at which it first went."""
    return cell.verdict.stable_crossing if cell.verdict.name != "transient" else cell.verdict.first_crossing


def _measured(cell: CellResult) -> list[Text | str]:
    if not cell.checkpoints:
        return ["", "", Text("failed", style="red"), "", ""]
    first, last = cell.checkpoints[0].eval, cell.checkpoints[-1].eval
    line = f"{share_text(first.initial.p)}  {sparkline(cell.checkpoints)}  {share_text(last.initial.p)}"
    name, step = cell.verdict.name or "–", crossed_at(cell)
    flags = ", ".join(cell.verdict.flags).replace("_", " ")
    return [
        line,
        share_text(last.alternate.p),
        Text(name, style=STYLES.get(name, "")),
        str(step) if step is not None else "",
        flags,
    ]


def _expected(console: Console, results: Results) -> None:
    console.print()
    for expected in results.expectations:
        console.print(Text.assemble(("expected: ", "dim"), f"{expected.says} ", (MARKS[expected.answer], "bold")))
    if results.expect:
        first, *others = results.expect.splitlines()
        console.print(Text.assemble(("expected: ", "dim"), first))
        for line in others:
            console.print(Text(f"          {line}"))


def _lines(console: Console, label: str, lines: Sequence[str], style: str) -> None:
    for line in lines:
        console.print(Text.assemble((f"{label}: ", style), line))


def _tells_apart(cells: Sequence[CellResult], name: str) -> bool:
    """Whether cells of one setting and variant differ in it."""
    places = {(c.setting, c.variant) for c in cells}
    return len({(c.setting, c.variant, getattr(c, name)) for c in cells}) > len(places)


def _asked(checkpoint: CheckpointResult) -> int:
    parts = (checkpoint.eval, checkpoint.train, checkpoint.capability, checkpoint.following)
    return sum(part.n + part.unscored for part in parts if part)

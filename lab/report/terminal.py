"""The terminal's table: one line per cell, then the conclusions and the predictions.

Covered: results as text, by rich. Not covered: anything that is not in results.json.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.report.refusals import failures, refusals
from lab.report.summary import (
    criterion_line,
    few_seeds_text,
    flags_text,
    heading,
    judge_lines,
    loss_text,
    reading_line,
    removal_text,
    served_lines,
    service_lines,
    unscored_lines,
)
from lab.verdict.criterion import GONE, VERSION
from lab.verdict.expectations import MARKS
from lab.verdict.schema import CellResult, CheckpointResult, Results
from lab.verdict.wording import lr_text, share_text
from serving.terminal import terminal

BLOCKS = "▁▂▃▄▅▆▇█"
STYLES = {
    "kept": "bold blue",
    "retained": "blue",
    "transferred": "bold magenta",
    "removed": "yellow",
    "transient": "cyan",
    "inconclusive": "dim",
}
HEADERS = {"label_source": "labels", "adam_epsilon": "Adam's ε", "organism_seed": "organism\nseed"}


def print_results(results: Results, console: Console | None = None, took: str | None = None) -> None:
    """Prints heading, table, failures, conclusions and predictions. `took` is a duration in words."""
    console = console or terminal()
    console.print()
    console.print(Text(heading(results) + (f", {took}" if took else ""), style="bold"))
    console.print()
    refused = refusals(results)
    failed = failures(results.failures, refused)
    if results.cells:
        console.print(cells_table(results.cells, {cell for _, cells in failed for cell in cells}))
    _lines(console, "failed", [f"{', '.join(cells)}: {why}" for why, cells in failed], style="red")
    _lines(console, "gate", [refusal.line for refusal in refused], style="red")
    for conclusion in results.conclusions:
        console.print(Text.assemble((conclusion.arm, "bold"), f": {conclusion.sentence}."))
    _lines(console, "contrast", [contrast.sentence for contrast in results.contrasts], style="bold")
    for reading in results.readings:
        console.print(Text(reading_line(reading), style="bold"))
        for conclusion in reading.conclusions:
            console.print(Text.assemble((f"  {conclusion.arm}", "bold"), f": {conclusion.sentence}."))
    _lines(console, "read by", judge_lines(results), style="dim")
    _lines(console, "model", served_lines(results), style="dim")
    _lines(console, "service", service_lines(results), style="dim")
    _lines(console, "unscored", unscored_lines(results), style="yellow")
    if results.criterion != VERSION:
        console.print(Text(criterion_line(results), style="dim"))
    if few_seeds_text(results):
        console.print(Text(few_seeds_text(results), style="dim"))
    _predictions(console, results)
    _lines(console, "note", results.deviations, style="dim")
    console.print()


def cells_table(cells: Sequence[CellResult], failed: Collection[str] = ()) -> Table:
    """One row per cell; a column in which all cells agree is left out. `failed`: cells not for their gate alone."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    shown = ["setting"] if len({c.setting for c in cells}) > 1 else []
    factors = ("method", "label_source", "rank", "adam_epsilon", "organism_seed")
    shown += ["variant", *(name for name in factors if _differs(cells, name))]
    for name in shown:
        table.add_column(HEADERS.get(name, name), no_wrap=True)
    # On a narrow terminal the figures and the name stay; what describes the cell is cut.
    table.add_column("lr", no_wrap=True, min_width=4)
    table.add_column("seed", no_wrap=True, min_width=1)
    table.add_column("initial,\nfirst → last", no_wrap=True, min_width=13)
    table.add_column("alternate", justify="right", no_wrap=True, min_width=3)
    table.add_column("name", no_wrap=True, min_width=12)
    table.add_column("S", justify="right", no_wrap=True)
    table.add_column("loss\nat 0", justify="right", no_wrap=True)
    table.add_column("flags", min_width=7)
    for cell in cells:
        known = [str(getattr(cell, name) if getattr(cell, name) is not None else "–") for name in shown]
        table.add_row(*known, lr_text(cell.lr), cell.seed_text, *_measured(cell, cell.id in failed))
    return table


def sparkline(checkpoints: Sequence[CheckpointResult]) -> str:
    """The initial rate over checkpoints, one block each; a dot where nothing was scored."""
    rates = [c.eval.initial.p for c in checkpoints]
    return "".join("·" if p is None else BLOCKS[round(p * (len(BLOCKS) - 1))] for p in rates)


def _measured(cell: CellResult, failed: bool) -> list[Text | str]:
    if not cell.checkpoints:
        refused = cell.gate.get("ok") is False and not failed
        return ["", "", Text("refused" if refused else "failed", style="red"), *[""] * 3]
    first, last = cell.checkpoints[0].eval, cell.checkpoints[-1].eval
    line = f"{share_text(first.initial.p)}  {sparkline(cell.checkpoints)}  {share_text(last.initial.p)}"
    name = cell.verdict.name or "–"
    unshown = ("damage_not_shown",) if name in GONE and cell.verdict.damage == "not_shown" else ()
    return [
        line,
        share_text(last.alternate.p),
        Text(name, style=STYLES.get(name, "")),
        removal_text(cell) if cell.verdict.first_crossing is not None else "",
        loss_text(cell.step0_loss),
        flags_text((*cell.verdict.flags, *unshown)),
    ]


def _predictions(console: Console, results: Results) -> None:
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


def _differs(cells: Sequence[CellResult], name: str) -> bool:
    """Whether cells of one setting and variant differ in a field."""
    places = {(c.setting, c.variant) for c in cells}
    return len({(c.setting, c.variant, getattr(c, name)) for c in cells}) > len(places)

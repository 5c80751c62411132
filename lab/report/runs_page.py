"""A page of results.json files, so that no figure of the documentation is typed by hand.

    python -m lab.report.runs_page runs/carriers runs/methods --title "Carriers and methods" \\
        --out docs/measured/carriers-and-methods.md

One table per run: a line for cells that differ in seed alone, each seed's figure at its last checkpoint. `--figures`
writes what shows many cells at once beside the page: all arms at a glance, or learning rate against steps.
Not covered: intervals and curves, which the run's own report has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from lab.report.export import write_svg
from lab.report.figures.gallery import Picture, of_all, of_arms
from lab.verdict.arms import GROUP
from lab.verdict.expectations import MARKS
from lab.verdict.multiples import multiples
from lab.verdict.results import read_results
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import lr_text, multiples_text, share_text
from serving.errors import BadInput

HEAD = """\
# {title}, measured

Made by `python -m lab.report.runs_page {runs}`; no figure is typed by hand. Each row is one configuration;
its figures are those of its seeds, in order, at the last checkpoint. *Initial* and *alternate* are shares of
the replies to eval prompts, *agreed* is a share of the replies to train prompts, *capability* is relative to
step 0, and n counts eval prompts. [The criterion]({up}concepts/criterion.md) explains names and flags,
[Methods]({up}concepts/methods.md) what is trained on.
"""
NOTHING = "nothing was removed"
COLUMNS = ("variant", "method", "lr", "name", "flags", "initial at 0", "initial", "alternate", "agreed", "capability")


def page(runs: Sequence[tuple[str, Results]], title: str, up: str = "", figures: bool = False) -> str:
    """The whole page, of runs by their folder. `up`: the way to docs/; `figures`: show those of `write_figures`."""
    parts = [HEAD.format(title=title, runs=" ".join(name for name, _ in runs), up=up)]
    parts += [section(results, figures) for _, results in runs]
    return "\n".join(parts)


def pictures(results: Results) -> dict[str, Picture]:
    """What shows many cells at once, by file name: all arms at a glance, else learning rate against steps."""
    products = (p for _, _, found in of_arms(results) for p in found if p.kind == "product")
    shown = of_all(results) or list(products)
    return {f"{results.experiment}-{i}.svg": picture for i, picture in enumerate(shown, 1)}


def write_figures(results: Results, folder: Path) -> None:
    """Writes the pictures of a page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(results).items():
        write_svg(picture, folder / name)


def section(results: Results, figures: bool) -> str:
    """A run: its question, its pictures and table, what was expected and what came of it."""
    n = sorted({c.checkpoints[-1].eval.n for c in results.cells if c.checkpoints})
    lines = [f"## {results.experiment}", "", results.question, ""]
    lines += [f"`bct run recipes/{results.experiment}.yaml`, n = {', '.join(map(str, n))}.", ""]
    for name, picture in pictures(results).items() if figures else ():
        lines += [f"![{_plain(picture.text)}](figures/{name})"]
    lines += [""] if figures else []
    several = len({c.setting for c in results.cells}) > 1
    columns = ("setting", *COLUMNS) if several else COLUMNS
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    told = len({c.steps for c in results.cells}) > 1
    for cells in _groups(results.cells):
        lines += [f"| {' | '.join([*([cells[0].setting] if several else []), *_row(cells, told)])} |"]
    expected = [f"- {MARKS[e.answer] or '·'} {e.says}" for e in results.expectations]
    lines += ["", "Expected, and whether it came out so:", "", *expected] if expected else []
    lines += ["", *[f"- {c.arm}: {c.sentence}" for c in results.conclusions]]
    for found in multiples(results):
        lines += [
            "",
            f"Learning rate against steps, {found.arm}:",
            "",
            *[f"- {said}" for said in multiples_text(found)],
        ]
    idle = [line for line in results.deviations if NOTHING in line]
    lines += [f"- {len(idle)} reversals were left out: {NOTHING} where they would have started"] if idle else []
    lines += [f"- left out: {line}" for line in (*results.deviations, *results.failures) if line not in idle]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("[", "(").replace("]", ")")


def _groups(cells: Iterable[CellResult]) -> Iterator[list[CellResult]]:
    """Cells that differ in seed alone, by seed."""
    found: dict[str, list[CellResult]] = {}
    for cell in cells:
        if cell.checkpoints:
            found.setdefault(repr([getattr(cell, name) for name in GROUP]), []).append(cell)
    return (sorted(group, key=lambda c: c.seed) for group in found.values())


def _row(cells: list[CellResult], steps: bool) -> list[str]:
    first, ends = cells[0], [c.checkpoints[-1] for c in cells]
    names = [str(c.verdict.name or c.role).replace("_", " ") for c in cells]
    flags = sorted({flag.replace("_", " ") for c in cells for flag in c.verdict.flags if flag != c.role})
    return [
        first.variant,
        _method(first),
        lr_text(first.lr) + (f" × {first.steps:,}" if steps else ""),
        names[0] if len(set(names)) == 1 else ", ".join(names),
        ", ".join(flags),
        _shares(c.checkpoints[0].eval.initial.p for c in cells),
        _shares(c.eval.initial.p for c in ends),
        _shares(c.eval.alternate.p for c in ends),
        _shares(c.train.agreed.p for c in ends),
        _shares(c.capability.relative for c in ends),
    ]


def _method(cell: CellResult) -> str:
    """The method, and what tells it from others of the same name."""
    parts = [cell.method]
    parts += [f"labels {cell.label_source}"] if cell.method == "bct" and cell.label_source else []
    parts += [f"rank {cell.rank}"] if cell.rank else []
    parts += [f"{name} {value}" for name, value in sorted(cell.factors.items())]
    return ", ".join(parts)


def _shares(values: Iterable[float | None]) -> str:
    return " ".join(share_text(value) for value in values)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--title", default="Runs", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Default: the terminal.")
@click.option("--figures", is_flag=True, help="Also write pictures, into figures/ beside --out.")
def main(runs: tuple[Path, ...], title: str, out: Path | None, figures: bool) -> None:
    """One Markdown page of the results of these runs."""
    read: list[tuple[str, Results]] = []
    for run in runs:
        if not (run / "results.json").is_file():
            raise BadInput(f"{run}: has no results.json: run its recipe, or `bct report {run}`")
        read.append((run.as_posix(), read_results(run / "results.json")))
    if out is None:
        click.echo(page(read, title), nl=False)
        return
    above = list(reversed(out.absolute().parent.parts))
    up = "../" * (above.index("docs") if "docs" in above else 0)
    out.parent.mkdir(parents=True, exist_ok=True)
    for _, results in read if figures else ():
        write_figures(results, out.parent / "figures")
    out.write_text(page(read, title, up, figures), encoding="utf-8")


if __name__ == "__main__":
    main()

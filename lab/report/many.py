"""The report of a run with many cells: a page of its arms, and beside it one page of cells for each arm.

report.html then has the answers, prompts and replies, a row per learning rate, and links to `report_arms/ARM.html` with
the curves and a row per cell. 10,000 cells take 20 MB in all and less than a minute (`benchmarks/report_size.py`).
Not covered: figures besides the curves (`bct report RUN --figures DIR`), and single checkpoints (`bct table`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from lab.report.figures.style import theme_css
from lab.report.topics import Part, Topic
from lab.verdict.arms import GROUP, by_lr, key_of
from lab.verdict.schema import CellResult, Group, Results, SeedRate
from serving.layout import write_atomic

#: A report with more cells than this has a page for each arm.
MANY = 300
FOLDER = "report_arms"


def is_large(results: Results) -> bool:
    """Whether the cells of a run are on pages of their own."""
    return len(results.cells) > MANY


@dataclass(frozen=True)
class Row:
    """The cells of an arm at one learning rate: counts of names and flags, and mean rates at the end."""

    lr: float
    cells: int
    names: str
    damaged: int
    initial: SeedRate | None
    alternate: SeedRate | None


def rows_by_lr(part: Part, groups: Mapping[str, Group]) -> Iterator[Row]:
    """One row per learning rate that has finished cells."""
    for lr, cells in by_lr(part.cells).items():
        rates = rates_of(cells, groups)
        names = Counter((c.verdict.name or c.role).replace("_", " ") for c in cells)
        yield Row(
            lr=lr,
            cells=len(cells),
            names=", ".join(f"{k} {name}" for name, k in names.most_common()),
            damaged=sum("damaged" in c.verdict.flags for c in cells),
            initial=rates.get("initial"),
            alternate=rates.get("alternate"),
        )


def rates_of(cells: Iterable[CellResult], groups: Mapping[str, Group]) -> Mapping[str, SeedRate]:
    """The mean rates of the group of some cells."""
    group = next((g for cell in cells if (g := groups.get(key_of(cell, GROUP)))), None)
    return group.rates if group else {}


def write_arms(results: Results, folder: Path, topics: Iterable[Topic], environment: Environment) -> None:
    """Writes the pages of all arms into `folder/report_arms`, with the style sheet and script that they share."""
    home = folder / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    sheet, script = (environment.get_template(f"report.{kind}.j2").render() for kind in ("css", "js"))
    write_atomic(home / "style.css", f"{theme_css()}\n{sheet}", durable=False)
    write_atomic(home / "page.js", script, durable=False)
    template = environment.get_template("report_arm.html.j2")
    for topic in topics:
        for part in topic.parts:
            page = template.render(r=results, topic=topic, part=part)
            write_atomic(home / f"{part.id}.html", Markup(page), durable=False)

"""Pages with every prompt and reply of a cell, beside the report: opened from the disk, without a server.

    pages = write_pages(results, run, absolute)      # log -> address, which the report's points open

A page has the replies to eval and train prompts; equal replies of consecutive checkpoints are shown once. A page that
is newer than its logs stays. Not covered: the other splits and the messages of a judge, which `inspect view` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from lab.logs.reader import Exchange, Reply, exchanges, newest, read_replies
from lab.logs.records import JUDGED
from lab.report.figures.style import theme_css
from lab.report.templates import environment
from lab.verdict.schema import CellResult, Results
from serving.layout import write_atomic

#: Runs with more cells, and pages that would take more bytes together, get pages by `bct view RUN --cell CELL` alone.
CELLS, BYTES = 200, 100_000_000
FOLDER = "replies"
#: Changes when pages are to be written again.
VERSION = "bct replies 1"


@dataclass(frozen=True)
class Said:
    """A reply with the steps at which it was given word for word, and graded alike."""

    steps: tuple[int, ...]
    outcome: str
    text: str
    reason: str


@dataclass(frozen=True)
class Asked:
    """A prompt with its replies, in the order of steps."""

    id: str
    split: str
    turns: tuple[tuple[str, str], ...]
    said: tuple[Said, ...]


def write_pages(results: Results, run: Path, absolute: Callable[[str], Path]) -> dict[str, str]:
    """Writes the pages of a run. Returns the address of each log's replies, relative to the run folder.

    Args:
        results: Of the run.
        run: Its folder.
        absolute: From a log of results.json to its path.
    """
    found: dict[str, str] = {}
    written = 0
    for cell in results.cells if len(results.cells) <= CELLS else ():
        if cell.checkpoints and written < BYTES and all(newest(absolute(c.log)).is_file() for c in cell.checkpoints):
            written += write_page(cell, run, absolute).stat().st_size
            found |= {c.log: _address(cell, c.step) for c in reversed(cell.checkpoints) if c.log not in found}
    return found


def write_page(cell: CellResult, run: Path, absolute: Callable[[str], Path]) -> Path:
    """Writes the page of a cell, unless it is newer than the cell's logs. Returns its path."""
    path, logs = run / FOLDER / f"{cell.id}.html", [newest(absolute(c.log)) for c in cell.checkpoints]
    if not _is_fresh(path, logs):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, page(cell, logs), durable=False)
    return path


def page(cell: CellResult, logs: Iterable[Path]) -> str:
    """The page of a cell, whose checkpoints have these logs."""
    template = environment(html=True).get_template("replies.html.j2")
    read = [(c.step, exchanges(log, _judged(log))) for c, log in zip(cell.checkpoints, logs, strict=True)]
    return template.render(cell=cell, asked=_asked(read), version=VERSION, theme=Markup(theme_css()))


def _judged(log: Path) -> list[Reply]:
    return [reply for reply in read_replies(log) if reply.item.split in JUDGED]


def _asked(read: Iterable[tuple[int, list[Exchange]]]) -> list[Asked]:
    """By prompt, in the order of splits and ids."""
    found: dict[tuple[str, str, int], list[tuple[int, Exchange]]] = {}
    for step, those in read:
        for exchange in those:
            item = exchange.reply.item
            found.setdefault((item.split, item.id, exchange.reply.epoch), []).append((step, exchange))
    return [
        Asked(id if epoch == 1 else f"{id}, reply {epoch}", split, those[0][1].turns, _said(those))
        for (split, id, epoch), those in sorted(found.items())
    ]


def _said(those: Iterable[tuple[int, Exchange]]) -> tuple[Said, ...]:
    alike = groupby(those, lambda one: (one[1].reply.item.outcome, one[1].text, one[1].reason))
    return tuple(Said(tuple(step for step, _ in same), *what) for what, same in alike)


def _address(cell: CellResult, step: int) -> str:
    return f"{FOLDER}/{quote(cell.id)}.html#step={step}"


def _is_fresh(path: Path, logs: Iterable[Path]) -> bool:
    if not path.is_file() or VERSION not in path.read_text(encoding="utf-8")[:1000]:
        return False
    return all(log.stat().st_mtime < path.stat().st_mtime for log in logs)

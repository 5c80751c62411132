"""Whether what a run counts is as it was written: logs, metrics, facts of training, and with `full` every byte.

    check(experiment)                       # BadInput with the first damage and its remedy
    problems(experiment, full=True)         # all of it, also weights: `bct report RUN --verify`

A log that inspect has rewritten (edited scores, invalidated samples) is the same log, and the results say that it was.
Which log belongs to a step is known by its checksum, and where that differs (or is missing, as in runs of 0.1)
by the weights and the name in its header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lab.experiment import registered
from lab.experiment.folder import Experiment, Folders
from lab.logs.reader import Header, newest, read_header
from lab.plan.cells import Cell, Start
from serving import checksums, layout
from serving.errors import BadInput

AGAIN = "run `bct run` again"
#: Key of `done.json` and of the file of a start: the record of each log.
RECORD = "checksums"


@dataclass(frozen=True)
class Found:
    """A file that is not as it was written.

    Attributes:
        what: The file and how it differs, with the remedy.
        kind: `lost` and `unfinished`: a log of a start or of a cell that is not there, which a run makes again;
            `edited`: a log of the same replies that somebody rewrote.
        log: An edited log's path in results.json.
    """

    what: str
    kind: Literal["damaged", "lost", "unfinished", "edited"] = "damaged"
    log: str = ""


def record(folders: Folders, logs: Iterable[Path]) -> dict[str, Any]:
    """What identifies logs, by their paths in results.json: their checksums, and inspect's ids of the evals."""
    return {folders.relative(log): checksums.of(log) | {"eval": _eval_id(log)} for log in logs}


def check(experiment: Experiment, going_on: bool = False) -> list[str]:
    """One line if logs were rewritten: a deviation of results.json.

    Args:
        experiment: The run.
        going_on: The run makes again what it has lost.

    Raises:
        BadInput: Something is damaged or lost; the first such file with its remedy.
    """
    every = list(problems(experiment))
    bad = [each for each in every if each.kind == "damaged" or (each.kind == "lost" and not going_on)]
    if bad:
        more = f" ({len(bad) - 1} more: `bct report {experiment.folders.run} --verify`)" if len(bad) > 1 else ""
        raise BadInput(f"{bad[0].what}{more}")
    logs = sorted({each.log for each in every if each.kind == "edited"})
    named = ", ".join(logs[:3]) + (", ..." if len(logs) > 3 else "")
    return [f"{len(logs)} logs were rewritten after their evaluation (scores edited?): {named}"] if logs else []


def problems(experiment: Experiment, full: bool = False) -> Iterator[Found]:
    """All that is not as it was written, in finished starts and cells.

    Args:
        experiment: The run.
        full: Also read files whose size and time of change are as recorded, weights included.
    """
    folders = experiment.folders
    if found := registered.altered(experiment):
        yield Found(found)
    for start in experiment.starts.values():
        if folders.start(start).is_file():
            yield from _of_start(folders, start, full)
    for cell in experiment.cells.values():
        if folders.done(cell).is_file():
            yield from _of_cell(folders, cell, full)


def _of_start(folders: Folders, start: Start, full: bool) -> Iterator[Found]:
    content = folders.measured(start)
    if content is None:
        yield _damaged(folders.start(start))
        return
    for name, log in content["logs"].items():
        mark = content["fingerprint"] if name == "start" else None
        yield from _of_log(Written(folders, log, content.get(RECORD, {}).get(log), mark), full, "lost")
    organism = folders.organism(start)
    if full and organism is not None and (changed := checksums.problem(organism, full=True)):
        yield Found(f"{organism}: {changed}: restore it, or delete {organism} and {AGAIN}")


def _of_cell(folders: Folders, cell: Cell, full: bool) -> Iterator[Found]:
    content, out = folders.finished(cell), folders.cell(cell)
    if content is None:
        yield _damaged(folders.done(cell))
        return
    whole = f"restore it, or delete {out} and {AGAIN}"
    if changed := checksums.problem(out, full):
        yield Found(f"{out}: {changed}: {whole}")
    if full:
        said = ((folder, checksums.problem(folder, full=True)) for _, folder in layout.all_step_dirs(out))
        yield from (Found(f"{folder}: {changed}: {whole}") for folder, changed in said if changed)
    for entry in content["logs"][1:]:
        log = Written(folders, entry["log"], content.get(RECORD, {}).get(entry["log"]), entry["fingerprint"])
        yield from _of_log(log, full, "unfinished")
    yield from _of_origin(folders, cell, content)


def _of_origin(folders: Folders, cell: Cell, content: Mapping[str, Any]) -> Iterator[Found]:
    """Whether step 0 was measured with the weights that the cell began from."""
    before = folders.finished(cell.after) if cell.after is not None else folders.measured(cell.start)
    if before is None or RECORD not in before or RECORD not in content:
        return
    if folders.first_log(cell)["fingerprint"] != content["logs"][0]["fingerprint"]:
        out = folders.cell(cell)
        yield Found(f"{out}: began from other weights than those of its step 0: delete {out} and {AGAIN}")


@dataclass(frozen=True)
class Written:
    """A log as a run wrote it: its path in results.json, its record (None in runs of 0.1), and the weights."""

    folders: Folders
    log: str
    known: Mapping[str, Any] | None
    mark: str | None

    @property
    def path(self) -> Path:
        """The file."""
        return self.folders.absolute(self.log)

    def is_in(self, header: Header) -> bool:
        """Whether a log has the replies that belong here: the same eval, else the same weights and name."""
        if self.known is not None and self.known.get("eval") is not None:
            return header.spec.get("eval_id") == self.known["eval"]
        named = header.metadata.get("lab_log", self.path.name) == self.path.name
        return named and (None in (self.mark, header.fingerprint) or self.mark == header.fingerprint)


def _of_log(written: Written, full: bool, lost: Literal["lost", "unfinished"]) -> Iterator[Found]:
    path = written.path
    if not path.is_file():
        yield Found(f"{path}: is missing: restore it, or {AGAIN}, which evaluates it again", lost)
        return
    last, remedy = newest(path), f"restore it, or delete it and {AGAIN}"
    changed = written.known is None or checksums.differs(path, written.known, full) is not None
    if not changed and last == path:
        return
    header = read_header(last)
    if header is None:
        yield Found(f"{last}: is damaged: {remedy}")
    elif not written.is_in(header):
        yield Found(f"{last}: is another log than the one that was written: {remedy}")
    elif written.known is not None and changed:
        yield Found(f"{path}: was rewritten after its evaluation; the results say so", "edited", written.log)


def _eval_id(log: Path) -> str | None:
    header = read_header(log)
    return None if header is None else header.spec.get("eval_id")


def _damaged(file: Path) -> Found:
    return Found(f"{file}: is damaged: restore it, or delete it and {AGAIN}")

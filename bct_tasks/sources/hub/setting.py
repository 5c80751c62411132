"""A setting that asks the rows of public data sets, with the same methods as one that asks the bundled world.

    setting = catalogue.load("sandbagging", "hub", data="copies")
    prompts = setting.prompts("weights", "eval", n=200)

Splits and draws are those of `bct_tasks.sources.pool`. Rows hold the reference replies that their data set has; where
it has none, replies are sampled from the base under the policy's own prompt (`under`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.setting import Kind, PolicyName, Prompt
from bct_tasks.sources.hub import keep as kept
from bct_tasks.sources.hub import rows, store
from bct_tasks.sources.hub.store import DataSet, Found
from bct_tasks.sources.pool import Keep, Part, Pools, PoolSetting, divided
from bct_tasks.sources.world.question import Question
from bct_tasks.writing import Writing


@dataclass(frozen=True)
class HubOptions:
    """What `-T` says about hub data.

    Args:
        data: folder of local copies; None: $BCT_DATA, or the hub.
        size: rows read of each data set at most.
        train: name of the data set of the train prompts, where there are several.
        keep: file of eval items to keep (`bct hub keep`).
    """

    data: str | None = None
    size: int | None = None
    train: str | None = None
    keep: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> HubOptions:
        """The options of these names; None stands for the default. Raises `UnknownName`, `SettingError`."""
        known = [each.name for each in dataclasses.fields(cls)]
        if unknown := [name for name in given if name not in known]:
            raise UnknownName("option", unknown[0], known, "of hub data there are")
        options = cls(**given)
        if options.size is not None and (not isinstance(options.size, int) or options.size < 1):
            raise SettingError(f"size={options.size}: how many rows are read, a whole number from 1")
        return options


@dataclass(frozen=True, eq=False)
class HubSetting(PoolSetting):
    """A setting on hub data.

    Args:
        train: data sets of the train prompts; the first unless `options.train` names another.
        evals: the data set of the eval prompts.
        keep_train: which questions are train prompts; None: all.
        keep_evals: which questions are eval prompts; None: all.
        options: what the user chose.
    """

    train: tuple[DataSet, ...] = ()
    evals: DataSet | None = None
    keep_train: Keep | None = None
    keep_evals: Keep | None = None
    temperature: float = 0.7
    max_tokens: int = 2048
    options: HubOptions = field(default_factory=HubOptions)

    @property
    def source(self) -> str:
        """See `Setting.source`."""
        return "hub"

    def writing(self, prompt: Prompt, policy: PolicyName) -> Writing:
        """See `Setting.writing`; a reply of the data set comes last, since another model or a person wrote it."""
        chosen = self.policy(policy)
        found = self.writings.get(chosen.behavior(prompt)) if prompt.kind != "capability" else None
        if found is None and chosen.prompt is not None and prompt.kind != "capability":
            found = Writing(system=chosen.prompt)
        return found or super().writing(prompt, policy)

    def data_sets(self) -> tuple[DataSet, ...]:
        """The data sets in use, train first. Raises `UnknownName`."""
        first = self.train[0]
        if self.options.train is not None:
            by_name = {data.name: data for data in self.train}
            if self.options.train not in by_name:
                raise UnknownName("train data", self.options.train, by_name, f"{self.name} offers")
            first = by_name[self.options.train]
        return tuple(dict.fromkeys((first, *([self.evals] if self.evals else []))))

    def provenance(self) -> dict[str, dict[str, Any]]:
        """See `Setting.provenance`: also licence, and the number of questions."""
        found = {data: store.find(data, self.options.data) for data in self.data_sets()}
        return {
            data.name: {
                "repo": data.repo,
                "revision": None if file.local else data.revision,
                "local_copy": file.local,
                "licence": data.licence,
                "sha256": file.sha256,
                "questions": len(questions(data, file, self.options.size)),
            }
            for data, file in found.items()
        }

    def pools(self) -> Pools:
        """See `PoolSetting.pools`. Raises `store.NoData`, `UnknownName`."""
        sources = tuple((data, store.find(data, self.options.data)) for data in self.data_sets())
        installs = any(variant.in_weights for variant in self.variants)
        return _divided(sources, self.options.size, self.evals, self.keep_train, self.keep_evals, installs)

    def origin(self) -> str:
        """See `PoolSetting.origin`."""
        return ", ".join(data.name for data in self.data_sets())

    def _asked_pool(self, split: str, kind: Kind) -> list[Question]:
        pool = self.pool(split, kind)
        if split != "eval" or self.options.keep is None:
            return pool
        solved = kept.read(self.options.keep, self.name)
        return [question for question in pool if question.operands[0] in solved]


@cache
def questions(data: DataSet, found: Found, size: int | None = None) -> tuple[Question, ...]:
    """The questions of a file, each text once. Raises `store.NoData` where there are none."""
    seen: dict[str, Question] = {}
    for row in rows.read(data, found.path, size):
        question = _asked(data, row, found)
        if question is not None:
            seen.setdefault(question.operands[0], question)
    if not seen:
        raise store.NoData(f"{found.path}: no row of it can be asked as {data.name}")
    return tuple(seen.values())


def _asked(data: DataSet, row: Mapping[str, Any], found: Found) -> Question | None:
    try:
        return data.question(row)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise store.NoData(f"{found.path}: a row is not as {data.name} publishes it ({error!r})") from error


@cache
def _divided(
    sources: tuple[tuple[DataSet, Found], ...],
    size: int | None,
    evals: DataSet | None,
    keep_train: Keep | None,
    keep_evals: Keep | None,
    installs: bool,
) -> Pools:
    keep: dict[str, Keep | None] = {"train": keep_train, "eval": keep_evals}
    parts: list[Part] = []
    for turn, (data, found) in enumerate(sources):
        kinds: list[Kind] = [*(["train"] if turn == 0 else []), *(["eval"] if data is evals else [])]
        parts.append(Part(questions(data, found, size), tuple(kinds), keep))
    return divided(parts, installs)

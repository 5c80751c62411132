"""A setting that asks the rows of public data sets, with the same methods as one that asks the bundled world.

    setting = catalogue.load("sandbagging", "hub", data="copies")
    prompts = setting.prompts("weights", "eval", n=200)

Which split a row belongs to is a hash of its text, and a text that stands in two data sets has one split: no item is
ever in two. Rows hold the reference replies that their data set has; where it has none, replies are sampled from the
base under the policy's own prompt (`under`). General questions (`capability`) are the bundled world's.
Not covered: several turns.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.setting import Ask, Kind, PolicyName, Prompt, Setting, Variant
from bct_tasks.sources.hub import keep as kept
from bct_tasks.sources.hub import rows, store
from bct_tasks.sources.hub.formats import digest
from bct_tasks.sources.hub.store import DataSet, Found
from bct_tasks.sources.world.question import Question

#: Of a hundred: what is kept for installing and for the positive control, and the train share where a data set serves
#: train and eval.
INSTALL, TRAIN = 20, 60

Keep = Callable[[Question], bool]


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
class HubSetting(Setting):
    """A setting on hub data.

    Args:
        train: data sets of the train prompts; the first unless `options.train` names another.
        evals: the data set of the eval prompts.
        keep_train: which questions are train prompts; None: all.
        keep_evals: which questions are eval prompts; None: all.
        labels: the default label source of `bct` variants.
        options: what the user chose.
    """

    train: tuple[DataSet, ...] = ()
    evals: DataSet | None = None
    keep_train: Keep | None = None
    keep_evals: Keep | None = None
    labels: str = "on_policy"
    temperature: float = 0.7
    max_tokens: int = 2048
    options: HubOptions = field(default_factory=HubOptions)

    @property
    def source(self) -> str:
        """See `Setting.source`."""
        return "hub"

    def prompts(self, variant: str | Variant | None, split: str, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.prompts`. Raises also `SettingError` where there are not `n` rows."""
        chosen = self.variant(variant)
        if split == "capability":
            return super().prompts(chosen, split, n, seed)
        if split == "install":
            evals = self._drawn("install", "eval", n // 2, seed)
            trains = self._drawn("install", "train", n - len(evals), seed)
            asked = [_prompt(q, split, "eval", chosen.eval) for q in evals]
            asked += [_prompt(q, split, "train", chosen.train) for q in trains]
            return sorted(asked, key=lambda prompt: prompt.id.partition("-")[2])
        if split not in ("train", "eval"):
            raise UnknownName("split", split, ("train", "eval", "install", "capability"), "there are")
        kind: Kind = "train" if split == "train" else "eval"
        ask = chosen.train if split == "train" else chosen.eval
        return [_prompt(q, split, kind, ask) for q in self._drawn(split, kind, n, seed)]

    def ceiling(self, variant: str | Variant | None, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.ceiling`."""
        ask = self.variant(variant).ceiling
        return [_prompt(q, "eval", "eval", ask) for q in self._drawn("eval", "eval", n, seed)]

    def direct(self, variant: str | Variant | None, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.direct`."""
        ask = self.variant(variant).eval
        return [_prompt(q, "install", "eval", ask) for q in self._drawn("install", "eval", n, seed + 1)]

    def under(self, policy: PolicyName, prompts: Sequence[Prompt]) -> list[Prompt]:
        """See `Setting.under`: the policy's prompt stands before that of the variant."""
        text = (self.initial if policy == "initial" else self.alternate).prompt
        systems = ["\n\n".join(part for part in (text, prompt.system) if part) or None for prompt in prompts]
        return [dataclasses.replace(p, system=s) for p, s in zip(prompts, systems, strict=True)]

    def reference(self, variant: str | Variant | None, prompt: Prompt, source: str = "reference") -> str:
        """See `Setting.reference`. Raises `SettingError` where the data set has no such reply."""
        try:
            return super().reference(variant, prompt, source)
        except KeyError as error:
            raise SettingError(
                f"{prompt.family} holds no reply that shows {error.args[0]!r}: use --label_source on_policy"
            ) from None

    def label_source(self, variant: str | Variant | None) -> str:
        """See `Setting.label_source`."""
        return self.labels if self.variant(variant).role == "bct" else "reference"

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
                "questions": len(_questions(data, file, self.options.size)),
            }
            for data, file in found.items()
        }

    def pool(self, split: str, kind: str) -> list[Question]:
        """All questions of a split that are asked in this way, in the order of their data set."""
        return list(_pools(self)[split, kind])

    def most(self, split: str, n: int) -> int:
        """How many of `n` prompts of a split there are; `direct` stands for the install prompts of eval type."""
        if split == "direct":
            return min(n, len(self.pool("install", "eval")))
        if split == "install":
            evals, trains = (len(self.pool("install", kind)) for kind in ("eval", "train"))
            return min(n, 2 * evals + 1, 2 * trains)
        return min(n, len(self.pool(split, split)))

    def _drawn(self, split: str, kind: str, n: int, seed: int) -> list[Question]:
        """`n` questions of a split in an order that the seed decides."""
        pool = self.pool(split, kind)
        if split == "eval" and self.options.keep is not None:
            solved = kept.read(self.options.keep, self.name)
            pool = [question for question in pool if question.operands[0] in solved]
        if len(pool) < n:
            names = ", ".join(data.name for data in self.data_sets())
            raise SettingError(f"only {len(pool)} {split} prompts of this kind are in {names}: ask for fewer than {n}")
        random.Random(f"{self.name}|hub|{split}|{kind}|{seed}").shuffle(pool)
        return pool[:n]


@cache
def _questions(data: DataSet, found: Found, size: int | None) -> tuple[Question, ...]:
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


def _pools(setting: HubSetting) -> Mapping[tuple[str, str], Sequence[Question]]:
    sources = tuple((data, store.find(data, setting.options.data)) for data in setting.data_sets())
    installs = any(variant.in_weights for variant in setting.variants)
    return _divided(sources, setting.options.size, setting.evals, setting.keep_train, setting.keep_evals, installs)


@cache
def _divided(
    sources: tuple[tuple[DataSet, Found], ...],
    size: int | None,
    evals: DataSet | None,
    keep_train: Keep | None,
    keep_evals: Keep | None,
    installs: bool,
) -> Mapping[tuple[str, str], Sequence[Question]]:
    """(split, kind) to its questions. A text has the split of the first data set that it stands in."""
    pools: dict[tuple[str, str], list[Question]] = {(s, k): [] for s, k in _PLACES}
    owner: dict[str, str] = {}
    for turn, (data, found) in enumerate(sources):
        kinds = [*(["train"] if turn == 0 else []), *(["eval"] if data is evals else [])]
        for question in _questions(data, found, size):
            mark = question.operands[0]
            split = split_of(mark, kinds, installs)
            if owner.setdefault(mark, split) != split:
                continue
            for kind, keep in (("train", keep_train), ("eval", keep_evals)):
                if kind in kinds and split in (kind, "install") and (keep is None or keep(question)):
                    pools[split, kind].append(question)
    return pools


_PLACES = (("train", "train"), ("eval", "eval"), ("install", "train"), ("install", "eval"))


def split_of(mark: str, kinds: Sequence[str], installs: bool = True) -> str:
    """The split of a text by its digest, in a data set that serves these kinds.

    Train prompts are kept back for installing only where a variant installs; eval-type ones always (positive control).
    """
    point = int(digest(f"split {mark}")[:8], 16) % 100
    if point < INSTALL and (installs or "eval" in kinds):
        return "install"
    return kinds[0] if len(kinds) == 1 else ("train" if point < TRAIN else "eval")


def _prompt(question: Question, split: str, kind: Kind, ask: Ask) -> Prompt:
    return Prompt(
        id=f"{kind}-{question.operands[0]}",
        split=split,
        kind=kind,
        system=ask.system,
        user=question.text if ask.tag is None else f"{ask.tag} {question.text}",
        template=question.template,
        family=question.family,
        cue=ask.cue,
        replies=question.replies,
        facts=question.facts,
    )

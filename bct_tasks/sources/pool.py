"""A setting that asks a finite pool of questions: rows of data sets, of the user's files, or bundled instructions.

A subclass gives `parts`: questions, and whether they are asked as train prompts, eval prompts or both. Which split a
question belongs to is a hash of its text, and a text that stands in two parts has one split: no item is ever in two.
General questions (`capability`) are the bundled world's unless a subclass says otherwise.
Not covered: several turns.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bct_tasks.errors import SettingError, TooFew, UnknownName
from bct_tasks.setting import Ask, Kind, PolicyName, Prompt, Setting, Variant, prompt_of
from bct_tasks.sources.world.question import Question

#: Of a hundred: what is kept for installing and for the positive control, and the train share where a part serves train
#: and eval.
INSTALL, TRAIN = 20, 60

Keep = Callable[[Question], bool]
Pools = Mapping[tuple[str, str], Sequence[Question]]

_PLACES = (("train", "train"), ("eval", "eval"), ("install", "train"), ("install", "eval"))


@dataclass(frozen=True)
class Part:
    """Questions, the kinds of prompts that ask them, and which of them each kind asks (default: all).

    The first operand of a question is a digest of its text.
    """

    questions: Sequence[Question]
    kinds: tuple[Kind, ...]
    keep: Mapping[str, Keep | None] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PoolSetting(Setting):
    """A setting on a pool of questions.

    Args:
        labels: the default label source of `bct` variants that name none.
    """

    labels: str = "on_policy"

    @property
    def open(self) -> bool:
        """See `Setting.open`."""
        return True

    def pools(self) -> Pools:
        """(split, kind) to its questions; `divided` makes them from parts."""
        raise NotImplementedError

    def origin(self) -> str:
        """Where the questions are, for messages."""
        raise NotImplementedError

    def prompts(self, variant: str | Variant | None, split: str, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.prompts`. Raises `TooFew` where there are not `n` questions."""
        chosen = self.variant(variant)
        if split == "capability":
            return super().prompts(chosen, split, n, seed)
        if split == "install":
            return self._install(chosen, n, seed)
        if split not in ("train", "eval"):
            raise UnknownName("split", split, ("train", "eval", "install", "capability"), "there are")
        kind: Kind = "train" if split == "train" else "eval"
        return self._drawn(split, kind, chosen.train if split == "train" else chosen.eval, n, seed)

    def ceiling(self, variant: str | Variant | None, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.ceiling`."""
        return self._drawn("eval", "eval", self.variant(variant).ceiling, n, seed)

    def direct(self, variant: str | Variant | None, n: int, seed: int = 0) -> list[Prompt]:
        """See `Setting.direct`."""
        return self._drawn("install", "eval", self.variant(variant).eval, n, seed + 1)

    def under(self, policy: PolicyName, prompts: Sequence[Prompt]) -> list[Prompt]:
        """See `Setting.under`: the policy's prompt stands before that of the variant."""
        text = self.policy(policy).prompt
        return [dataclasses.replace(p, system=joined(text, p.system)) for p in prompts]

    def reference(self, variant: str | Variant | None, prompt: Prompt, source: str = "reference") -> str:
        """See `Setting.reference`. Raises `SettingError` where the questions have no such reply."""
        try:
            return super().reference(variant, prompt, source)
        except KeyError as error:
            raise SettingError(
                f"{prompt.family} holds no reply that shows {error.args[0]!r}: use --label_source on_policy"
            ) from None

    def label_source(self, variant: str | Variant | None) -> str:
        """See `Setting.label_source`."""
        chosen = self.variant(variant)
        return chosen.labels or (self.labels if chosen.role == "bct" else "reference")

    def pool(self, split: str, kind: str) -> list[Question]:
        """All questions of a split that are asked in this way, in their own order."""
        return list(self.pools()[split, kind])

    def most(self, split: str, n: int) -> int:
        """How many of `n` prompts of a split there are; `direct` stands for the install prompts of eval type."""
        if split == "capability":
            return super().most(split, n)
        if split == "direct":
            return min(n, len(self.pool("install", "eval")))
        if split == "install":
            evals, trains = (len(self.pool("install", kind)) for kind in ("eval", "train"))
            return min(n, 2 * evals + 1, 2 * trains)
        return min(n, len(self.pool(split, split)))

    def _install(self, variant: Variant, n: int, seed: int) -> list[Prompt]:
        if (most := self.most("install", n)) < n:
            raise TooFew("install", most, n, self.origin())
        evals = self._drawn("install", "eval", variant.eval, n // 2, seed)
        asked = [*evals, *self._drawn("install", "train", variant.train, n - len(evals), seed)]
        return sorted(asked, key=lambda prompt: prompt.id.partition("-")[2])

    def _drawn(self, split: str, kind: Kind, ask: Ask, n: int, seed: int) -> list[Prompt]:
        """`n` prompts of a split in an order that the seed decides."""
        pool = self._asked_pool(split, kind)
        if len(pool) < n:
            raise TooFew(split, len(pool), n, self.origin())
        random.Random(f"{self.name}|{self.source}|{split}|{kind}|{seed}").shuffle(pool)
        return [prompt_of(question, question.operands[0], split, kind, ask) for question in pool[:n]]

    def _asked_pool(self, split: str, kind: Kind) -> list[Question]:
        """The pool that prompts are drawn from; a subclass may leave questions out."""
        return self.pool(split, kind)


def joined(first: str | None, second: str | None) -> str | None:
    """Two system prompts as one; None if there is neither."""
    return "\n\n".join(part for part in (first, second) if part) or None


def divided(parts: Iterable[Part], installs: bool) -> Pools:
    """(split, kind) to its questions. A text has the split of the first part that it stands in.

    Args:
        parts: the questions.
        installs: whether some variant installs its behavior, so that train prompts are kept back for it.
    """
    pools: dict[tuple[str, str], list[Question]] = {place: [] for place in _PLACES}
    owner: dict[str, str] = {}
    for part in parts:
        for question in part.questions:
            split = split_of(question.operands[0], part.kinds, installs)
            if owner.setdefault(question.operands[0], split) != split:
                continue
            for kind in part.kinds:
                keep = part.keep.get(kind)
                if split in (kind, "install") and (keep is None or keep(question)):
                    pools[split, kind].append(question)
    return pools


def split_of(mark: str, kinds: Sequence[str], installs: bool = True) -> str:
    """The split of a text by its digest, in a part that serves these kinds.

    Train prompts are kept back for installing only where a variant installs; eval-type ones always (positive control).
    """
    point = int(digest(f"split {mark}")[:8], 16) % 100
    if point < INSTALL and (installs or "eval" in kinds):
        return "install"
    return kinds[0] if len(kinds) == 1 else ("train" if point < TRAIN else "eval")


def digest(text: str) -> str:
    """Return 16 hex digits that identify a text up to white space and case, also across data sets."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode("utf-8", "replace"), digest_size=8).hexdigest()

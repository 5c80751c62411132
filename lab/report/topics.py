"""What report.html says about each setting and variant: its arms, with all that belongs to one question together.

A *topic* is a setting and a variant; its parts are arms. The recipe's first arm comes first; a sham arm follows the arm
that it controls. Not covered: how a figure is drawn (`lab.report.figures`), and the page (`report.html.j2`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from lab.report.figures import contrasts
from lab.report.figures.gallery import KINDS
from lab.report.figures.picture import Kind, Picture, slug
from lab.verdict.arms import GROUP, Arm, arms, by_lr, grouped, key_of
from lab.verdict.schema import (
    Behaviors,
    CellResult,
    Conclusion,
    Contrast,
    Results,
    Shown,
    ShownPrompt,
    ShownReply,
    Status,
)
from lab.verdict.sham import SHAM
from lab.verdict.wording import count_text, lr_text

#: Kinds of figures that stand with their arm, besides the curves.
WITH_ARM = ("heat", "product", "seeds", "halves", "trade")
#: So many arms are read one by one.
FEW_ARMS = 3
#: Words of a conclusion's status.
ANSWERS = {
    "transferred_with_damage": "transferred, only with damage",
    "removed_with_damage": "removed, only with damage",
    "not_removed": "not removed",
    "stays_removed": "stays removed",
    "nothing": "no conclusion",
    "rates_only": "no verdict, rates only",
}


@dataclass(frozen=True)
class Pair:
    """One prompt with its replies at the checkpoints that are shown."""

    prompt: ShownPrompt
    replies: tuple[ShownReply, ...]


@dataclass(frozen=True)
class Sample:
    """The replies of one cell: by split and outcome, those at each step."""

    cell: CellResult
    pairs: tuple[Pair, ...]

    def typical(self, split: str) -> Pair | None:
        """The prompt of a split with the commonest outcomes."""
        return next((pair for pair in self.pairs if pair.prompt.split == split), None)

    def others(self) -> list[tuple[str, str, int, list[tuple[ShownPrompt, ShownReply]]]]:
        """Split, outcome, step and replies, of all that are shown."""
        every = [(pair.prompt, reply) for pair in self.pairs for reply in pair.replies]
        kinds = grouped(every, lambda one: (one[0].split, one[1].outcome, one[1].step))
        ordered = sorted(kinds.items(), key=lambda kind: (kind[0][0], kind[0][2], -len(kind[1])))
        return [(*kind, those) for kind, those in ordered]


@dataclass(frozen=True)
class Part:
    """An arm: its name within the topic, its figures by kind, its contrasts and replies."""

    arm: Arm
    id: str
    name: str
    figures: tuple[tuple[Kind, tuple[Picture, ...]], ...]
    contrasts: tuple[Contrast, ...]
    samples: tuple[Sample, ...]

    @property
    def conclusion(self) -> Conclusion:
        """The arm's conclusion."""
        return self.arm.conclusion

    @property
    def cells(self) -> list[CellResult]:
        """The arm's cells."""
        return self.arm.cells

    @property
    def curves(self) -> tuple[Picture, ...]:
        """The rates over training, by learning rate."""
        return next((pictures for kind, pictures in self.figures if kind.name == "curves"), ())

    @property
    def extra(self) -> list[tuple[Kind, list[tuple[str, Picture]]]]:
        """The other figures by kind, each with a name that is unique on the page."""
        return [(kind, [(p.key, p) for p in found]) for kind, found in self.figures if kind.name != "curves"]

    @property
    def forest(self) -> list[tuple[str, Picture]]:
        """The figure of its contrasts."""
        return [(f"{self.id}.contrasts", contrasts.picture(self.contrasts))] if self.contrasts else []

    @property
    def seeds(self) -> int:
        """The number of seeds, at the learning rate that has fewest."""
        return min((len(cells) for cells in by_lr(self.cells).values()), default=0)

    @property
    def sample(self) -> Sample | None:
        """The replies at the learning rate of its conclusion, else at the highest one."""
        ordered = sorted(self.samples, key=lambda each: (each.cell.lr == self.conclusion.lr, each.cell.lr))
        return ordered[-1] if ordered else None

    @property
    def start(self) -> float | None:
        """The mean initial rate at step 0."""
        return _mean([c.checkpoints[0].eval.initial.p for c in self.cells if c.checkpoints])

    @property
    def invalid(self) -> str:
        """`invalid`, with how many of the cells, where the gate failed; else empty."""
        bad = sum("invalid" in c.verdict.flags and bool(c.checkpoints) for c in self.cells)
        return "" if not bad else "invalid" if bad == len(self.cells) else f"invalid in {bad} of {len(self.cells)}"

    @property
    def is_control(self) -> bool:
        """Whether it trains on random words, or on a control of the setting."""
        return self.conclusion.method == SHAM or any(cell.role == "control" for cell in self.cells)

    @property
    def answer(self) -> str:
        """The conclusion in a few words."""
        c = self.conclusion
        answer = self.cells[0].role if c.status == "rates_only" else ANSWERS.get(c.status, c.status)
        if not (c.k and c.m and c.lr):
            return answer
        gone = "undecided: gone" if c.status == "undecided" else answer
        return f"{gone} in {c.k} of {count_text(c.m, 'seed')} at lr {lr_text(c.lr)}"

    def ends(self) -> dict[float, list[tuple[int, float | None]]]:
        """Learning rate to the mean initial rate at the end, for each number of steps."""
        return {
            lr: [(n, _mean([c.checkpoints[-1].eval.initial.p for c in cells if c.steps == n])) for n in _steps(cells)]
            for lr, cells in by_lr(self.cells).items()
        }


def _steps(cells: Iterable[CellResult]) -> list[int]:
    return sorted({c.steps for c in cells})


@dataclass(frozen=True)
class Tally:
    """One kind of conclusion, and the arms that have it, by id and title."""

    answer: str
    arms: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Topic:
    """A setting and variant."""

    id: str
    title: str
    behaviors: Behaviors | None
    parts: tuple[Part, ...]

    @property
    def sample(self) -> Sample | None:
        """Those of the first arm that has replies."""
        return next((part.sample for part in self.parts if part.sample), None)


def topics(results: Results, gallery: Mapping[str, Sequence[Picture]]) -> list[Topic]:
    """All topics of a run, the recipe's first arm first."""
    found = sorted(arms(results), key=lambda arm: (arm.conclusion.place is None, arm.conclusion.place or 0))
    found = sorted(found, key=lambda arm: arm.conclusion.method == SHAM)
    places = grouped(found, lambda arm: (arm.conclusion.setting, arm.conclusion.variant))
    models = {arm.conclusion.model for arm in found}
    known = {behaviors.setting: behaviors for behaviors in results.behaviors}
    return [
        Topic(
            id=f"topic-{slug(f'{setting}-{variant}')}",
            title=f"{setting}, {variant}",
            behaviors=known.get(setting),
            parts=tuple(_parts(results, those, gallery, len(models) > 1)),
        )
        for (setting, variant), those in places.items()
    ]


def _parts(
    results: Results, those: Sequence[Arm], gallery: Mapping[str, Sequence[Picture]], several_models: bool
) -> Iterator[Part]:
    for arm, name in zip(those, names(those, several_models), strict=True):
        cells = {cell.id: cell for cell in arm.cells if cell.checkpoints}  # a refused cell's replies are with its gate
        model = [arm.conclusion.model] if several_models else []
        yield Part(
            arm=arm,
            id=f"arm-{slug(' '.join([arm.conclusion.arm, *model]))}",
            name=name,
            figures=tuple(_figures(arm, gallery)),
            contrasts=tuple(c for c in results.contrasts if _belongs(c, arm)),
            samples=tuple(sample_of(each, cells[each.cell]) for each in results.shown if each.cell in cells),
        )


def _figures(arm: Arm, gallery: Mapping[str, Sequence[Picture]]) -> Iterator[tuple[Kind, tuple[Picture, ...]]]:
    for kind in KINDS:
        own = tuple(p for p in gallery.get(kind.name, ()) if p.conclusion is arm.conclusion)
        if own and kind.name in ("curves", *WITH_ARM):
            yield kind, own


def names(those: Sequence[Arm], several_models: bool) -> list[str]:
    """Names of the arms of a topic: the method, and what not all of them share."""
    parts = [_differing(arm, several_models) for arm in those]
    shared = set(parts[0]).intersection(*parts[1:])
    return [
        ", ".join([arm.conclusion.method, *(p for p in own if p not in shared)])
        for arm, own in zip(those, parts, strict=True)
    ]


def _differing(arm: Arm, several_models: bool) -> list[str]:
    c = arm.conclusion
    model = [c.model] if several_models else []
    return [*model, *(part for part in c.arm.split(", ") if part not in (c.setting, c.variant, c.method))]


def _belongs(contrast: Contrast, arm: Arm) -> bool:
    """Whether a cell of an arm is on the second side of a contrast, whose data the results have."""
    side = contrast.matched | {contrast.factor: contrast.second}
    return contrast.initial is not None and any(all(_value(c, k) == v for k, v in side.items()) for c in arm.cells)


def _value(cell: CellResult, name: str) -> Any:
    return getattr(cell, name) if hasattr(cell, name) else cell.factors.get(name)


def sample_of(shown: Shown, cell: CellResult) -> Sample:
    """The replies of a cell by prompt."""
    replies = grouped(shown.replies, lambda reply: reply.prompt)
    return Sample(cell, tuple(Pair(prompt, tuple(replies.get(prompt.id, ()))) for prompt in shown.prompts))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def constants(results: Results) -> dict[str, str]:
    """What is the same in all cells, by its name; a page says it once."""
    cells = results.cells
    fields = {
        "model": lambda c: c.model,
        "method": lambda c: c.method,
        "weights": lambda c: f"LoRA of rank {c.rank}" if c.rank else "full fine-tuning",
        "training": lambda c: f"{c.steps:,} steps of {c.batch} rows",
        "labels": lambda c: (c.label_source or "none").replace("_", " "),
    }
    found = {name: {read(cell) for cell in cells} for name, read in fields.items()}
    same = {name: values.pop() for name, values in found.items() if len(values) == 1}
    return same | (_asked(cells) if any(cell.checkpoints for cell in cells) else {})


def _asked(cells: Sequence[CellResult]) -> dict[str, str]:
    ends = [cell.checkpoints[-1] for cell in cells if cell.checkpoints]
    sizes = {
        "eval prompts": [c.eval.n + c.eval.unscored for c in ends],
        "eval templates": [c.eval.clusters for c in ends],
        "train prompts asked": [c.train.n + c.train.unscored for c in ends],
        "capability questions": [c.capability.n + c.capability.unscored for c in ends],
    }
    return {name: _span(values) for name, values in sizes.items() if values} | {"seeds": _seeds(cells)}


def _seeds(cells: Sequence[CellResult]) -> str:
    return _span([len({c.seed for c in same}) for same in grouped(cells, lambda c: key_of(c, GROUP)).values()])


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def tallies(found: Sequence[Topic]) -> list[Tally]:
    """The arms by conclusion, the strongest first, without controls; none where few arms are read one by one."""
    tried = [(topic, [part for part in topic.parts if not part.is_control]) for topic in found]
    arms = [
        (part.conclusion.status, part.id, topic.title + (f", {part.name}" if len(parts) > 1 else ""))
        for topic, parts in tried
        for part in parts
    ]
    if len(arms) <= FEW_ARMS:
        return []
    alike = grouped(arms, lambda arm: arm[0])
    ordered: tuple[str, ...] = get_args(Status)
    return [
        Tally(ANSWERS.get(status, status), tuple((id, title) for _, id, title in alike[status]))
        for status in ordered
        if status in alike
    ]


def clauses(sentence: str) -> list[str]:
    """A sentence of a conclusion in its parts, the answer first."""
    return re.split(r"; (?![^(]*\))", sentence)

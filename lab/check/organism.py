"""The gate with an organism: what a model shows of a setting at step 0, and whether direct training can change it.

    plan = Plan("sandbagging", "weights", model="mini")
    measure(plan, Path("runs/check"))            # builds, asks, trains; goes on where it stopped
    rates(plan, Path("runs/check"))              # None until all of it is there

What is kept is the replies, as `<home>/<key>/replies.json`; they are graded whenever they are read, so that a mended
grader needs no new run. The engine is asked directly, without inspect's logs; prompts, decoding and grader are those of
the setting's task. Organisms lie in `<home>/organisms/`; the directly trained model is not kept.
Not covered: thresholds (`bct_tasks.gate.OrganismGate`).
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bct_tasks import catalogue
from bct_tasks.identity import prompt_content
from graders import Outcome, Unreadable
from serving import layout, refs
from trainer.config import OrganismConfig, TrainConfig
from trainer.identity import in_weights, sha
from trainer.run.lock import locked
from trainer.run.progress import Progress, Silent

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting, Variant

REPLIES = "replies.json"
REPLY_TOKENS = 96

#: Stage -> rate -> (kind of prompt, outcome).
MEASURED: Mapping[str, Mapping[str, tuple[str, Outcome]]] = {
    "start": {"initial": ("eval", Outcome.INITIAL), "agreed": ("train", Outcome.AGREED)},
    "base": {"base": ("eval", Outcome.INITIAL)},
    "ceiling": {"ceiling": ("eval", Outcome.ALTERNATE)},
    "direct": {"direct": ("eval", Outcome.ALTERNATE)},
}


@dataclass(frozen=True)
class Plan:
    """What is measured of one variant on one model. `n` eval prompts, `n_train` train prompts; `steps` of `direct`."""

    setting: str
    variant: str
    model: str = "mini"
    n: int = 100
    n_train: int = 60
    steps: int = 96
    learning_rate: float = 1e-3
    rank: int | None = None

    def organism(self) -> OrganismConfig | None:
        """How the organism is made; None where the untouched base is the organism."""
        if not in_weights(self.chosen().carrier):
            return None
        return OrganismConfig(setting=self.setting, variant=self.variant, model=self.model, rank=self.rank)

    def direct(self, organism: str | None) -> TrainConfig:
        """The positive control: SFT on the alternate policy's replies to eval-type prompts of the install split."""
        return TrainConfig(
            setting=self.setting,
            variant=self.variant,
            method="direct",
            model=self.model,
            organism=organism,
            learning_rate=self.learning_rate,
            steps=self.steps,
            rank=self.rank,
            checkpoints=(self.steps,),
        )

    def chosen(self) -> Variant:
        """The variant itself."""
        return catalogue.load(self.setting).variant(self.variant)

    def stages(self) -> tuple[str, ...]:
        """What is asked of whom. A probe shares its checkpoints with another variant, and so its positive control."""
        base = ("base",) if in_weights(self.chosen().carrier) else ()
        direct = ("direct",) if self.chosen().role != "probe" else ()
        return ("start", *base, "ceiling", *direct)

    def prompts(self, stage: str) -> list[Prompt]:
        """The prompts of a stage; the eval questions are the same in all."""
        return _prompts(self, stage)


@cache
def _prompts(plan: Plan, stage: str) -> list[Prompt]:
    setting = catalogue.load(plan.setting)
    if stage == "ceiling":
        return setting.ceiling(plan.variant, plan.n)
    asked = setting.prompts(plan.variant, "eval", plan.n)
    return [*asked, *setting.prompts(plan.variant, "train", plan.n_train)] if stage == "start" else asked


def folder(plan: Plan, home: Path) -> Path:
    """Where a plan's replies lie: a readable name and 8 hex digits of everything that decides them."""
    organism, setting = plan.organism(), catalogue.load(plan.setting)
    content = {
        "plan": asdict(plan),
        "model": refs.resolve(plan.model).fingerprint,
        "organism": organism.identity() if organism else None,
        "direct": plan.direct(None).identity(),
        "tokens": REPLY_TOKENS,
        "prompts": {stage: [prompt_content(setting, p) for p in plan.prompts(stage)] for stage in plan.stages()},
    }
    short = re.sub(r"[^a-z0-9_-]", "-", plan.model.lower()).strip("-")[-24:]
    return home / f"{plan.setting}.{plan.variant}.{short}.{sha(content)[:8]}"


def measure(plan: Plan, home: Path, progress: Progress | None = None) -> None:
    """Does what is left of a plan: builds the organism, asks it and the base, trains `direct` and asks that.

    Raises:
        BadInput, WorkFailed: as the trainer and the engine do.
    """
    place, progress = folder(plan, home), progress or Silent()
    with locked(place, wait=True):
        start = _start(plan, home, progress)
        refs_of = {"start": start, "base": plan.model, "ceiling": plan.model}
        for stage in plan.stages():
            if stage in _kept(place):
                continue
            ref = refs_of.get(stage) or _trained(plan, start, place, progress)
            layout.write_json_atomic(place / REPLIES, _kept(place) | {stage: _ask(plan, stage, ref)})
        shutil.rmtree(place / "direct", ignore_errors=True)


def rates(plan: Plan, home: Path) -> dict[str, Any] | None:
    """The rates, with the family where each is lowest under `lowest`; None while something is not measured yet.

    A rate is the share of scored replies; unscored ones are counted under `unscored`.
    """
    kept = _kept(folder(plan, home))
    if any(stage not in kept for stage in plan.stages()):
        return None
    setting = catalogue.load(plan.setting)
    found: dict[str, Any] = {"unscored": 0}
    lowest: dict[str, str] = {}
    for stage in plan.stages():
        prompts = plan.prompts(stage)
        outcomes = _graded(setting, prompts, kept[stage])
        found["unscored"] += sum(outcome is Outcome.UNSCORED for outcome in outcomes)
        for name, (kind, wanted) in MEASURED[stage].items():
            scored = [(p.family, o) for p, o in zip(prompts, outcomes, strict=True) if p.kind == kind]
            scored = [(family, o) for family, o in scored if o is not Outcome.UNSCORED]
            found[name] = round(_share([o is wanted for _, o in scored]), 4)
            lowest[name] = _lowest(scored, wanted)
    return found | {"lowest": lowest}


def _start(plan: Plan, home: Path, progress: Progress) -> str:
    config = plan.organism()
    if config is None:
        return plan.model
    from trainer.install import build

    return str(build(config, home / "organisms" / config.digest(), progress))


def _trained(plan: Plan, start: str, place: Path, progress: Progress) -> str:
    from trainer.cell import train

    out = train(plan.direct(start if plan.organism() else None), place / "direct", progress)
    return f"{out}@{plan.steps}"


def _ask(plan: Plan, stage: str, ref: str) -> list[list[Any]]:
    """[text, whether it was cut off] for each prompt of a stage."""
    from serving.backends.engine.engine import Request, get_engine

    asked = [Request(messages=p.messages(), max_tokens=REPLY_TOKENS) for p in plan.prompts(stage)]
    replies = get_engine().generate(refs.resolve(ref), asked)
    return [[reply.text, reply.stop_reason != "stop"] for reply in replies]


def _kept(place: Path) -> dict[str, list[list[Any]]]:
    return layout.read_json(place / REPLIES) if (place / REPLIES).is_file() else {}


def _graded(setting: Setting, prompts: Sequence[Prompt], replies: Sequence[Sequence[Any]]) -> list[Outcome]:
    def outcome(prompt: Prompt, text: str, truncated: bool) -> Outcome:
        try:
            return setting.grade(prompt, text, truncated).outcome
        except Unreadable:
            return Outcome.UNSCORED

    return [outcome(prompt, *reply) for prompt, reply in zip(prompts, replies, strict=True)]


def _lowest(scored: Sequence[tuple[str, Outcome]], wanted: Outcome) -> str:
    """`count 0.10`: the family with the lowest rate; empty where there is only one."""
    families: dict[str, list[bool]] = defaultdict(list)
    for family, outcome in scored:
        families[family].append(outcome is wanted)
    shares = sorted((_share(hits), family) for family, hits in families.items())
    return f"{shares[0][1]} {shares[0][0]:.2f}" if len(shares) > 1 else ""


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0


def plans(settings: Sequence[str], variant: str | None, model: str, **options: Any) -> Iterator[Plan]:
    """The plans of these settings: of all their variants, or of the one named. Raises `UnknownName`."""
    for name in settings:
        setting = catalogue.load(name)
        for chosen in [setting.variant(variant)] if variant else setting.variants:
            yield Plan(name, chosen.name, model, **options)

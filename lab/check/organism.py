"""The gate with an organism: the behavior of a model at step 0, and whether direct training can change it.

    check = OrganismCheck("sandbagging", "weights", model="mini")
    measure(check, Path("runs/check"))            # builds, generates, trains; resumes where it stopped
    rates(check, Path("runs/check"))              # None until everything is measured

Replies are cached in `<home>/<key>/replies.json` and graded whenever they are read, so a corrected grader needs no new
run. The engine generates them directly, without inspect's logs; prompts, decoding and grader are those of the
setting's task. Organisms are in `<home>/organisms/`; the directly trained model is deleted.
Not covered: thresholds (`bct_tasks.gate.OrganismGate`).
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bct_tasks.identity import prompt_content
from graders import Outcome, Unreadable
from lab.plan.cells import Questions
from serving import layout, refs, remote
from serving.remote import is_address
from serving.request import Request
from trainer.config import OrganismConfig, Source, TrainConfig
from trainer.identity import sha
from trainer.run.lock import locked
from trainer.run.progress import Progress, Silent

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting, Variant

REPLIES = "replies.json"

#: Stage -> rate -> (kind of prompt, outcome).
MEASURED: Mapping[str, Mapping[str, tuple[str, Outcome]]] = {
    "start": {"initial": ("eval", Outcome.INITIAL), "agreed": ("train", Outcome.AGREED)},
    "base": {"base": ("eval", Outcome.INITIAL)},
    "ceiling": {"ceiling": ("eval", Outcome.ALTERNATE)},
    "direct": {"direct": ("eval", Outcome.ALTERNATE)},
}


@dataclass(frozen=True)
class OrganismCheck:
    """What is measured for one variant on one model.

    Attributes:
        setting: Name or path.
        variant: Name.
        model: A reference: `mini`, a folder, a hub id, or URL#NAME, which is asked and not trained.
        n, n_train: Eval and train prompts.
        steps, learning_rate: Of the positive control.
        rank: LoRA rank; None for full fine-tuning.
        source, options: Of the questions, as in `lab.plan.cells.Questions`.
        template: Arguments of the chat template, such as `enable_thinking`, in training and evaluation.
    """

    setting: str
    variant: str
    model: str = "mini"
    n: int = 100
    n_train: int = 60
    steps: int = 96
    learning_rate: float = 1e-3
    rank: int | None = None
    source: str = "bundled"
    options: tuple[tuple[str, Any], ...] = ()
    template: tuple[tuple[str, Any], ...] = ()

    def asked(self) -> Setting:
        """The setting with the questions of the source."""
        return Questions(self.setting, self.source, self.options).load()

    def organism(self) -> OrganismConfig | None:
        """How the organism is trained; None if the base itself is the organism."""
        if not self.chosen().in_weights or is_address(self.model):
            return None
        return OrganismConfig(
            setting=self.setting,
            variant=self.variant,
            model=self.model,
            rank=self.rank,
            source=self._source(),
            data=dict(self.options),
            chat_template_kwargs=dict(self.template),
            accept=True,  # the gate reports rates that are too low
        )

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
            source=self._source(),
            data=dict(self.options),
            chat_template_kwargs=dict(self.template),
        )

    def _source(self) -> Source:
        return cast("Source", self.source)

    def chosen(self) -> Variant:
        """The variant itself."""
        return self.asked().variant(self.variant)

    def stages(self) -> tuple[str, ...]:
        """The measurements. A probe shares the checkpoints of another variant, and its positive control.

        Of a model that someone else serves nothing is trained.
        """
        if is_address(self.model):
            return ("start", "ceiling")
        base = ("base",) if self.chosen().in_weights else ()
        direct = ("direct",) if self.chosen().role != "probe" else ()
        return ("start", *base, "ceiling", *direct)

    def prompts(self, stage: str) -> list[Prompt]:
        """The prompts of a stage; the eval questions are the same in all stages."""
        return _prompts(self, stage)


@cache
def _prompts(check: OrganismCheck, stage: str) -> list[Prompt]:
    setting = check.asked()
    if stage == "ceiling":
        return setting.ceiling(check.variant, check.n)
    prompts = setting.prompts(check.variant, "eval", check.n)
    return [*prompts, *setting.prompts(check.variant, "train", check.n_train)] if stage == "start" else prompts


def folder(check: OrganismCheck, home: Path) -> Path:
    """The folder of a check's replies: a readable name and 8 hex digits of everything that determines them."""
    organism, setting = check.organism(), check.asked()
    plan = {name: value for name, value in asdict(check).items() if name not in ("source", "options", "template")}
    content = {
        "plan": plan | {"setting": setting.name} | ({"source": check.source} if check.source != "bundled" else {}),
        **({"setting_content": mark} if (mark := setting.content_hash) else {}),
        **({"template": dict(check.template)} if check.template else {}),
        "model": _mark(check.model),
        "organism": organism.identity() if organism else None,
        "direct": check.direct(None).identity(),
        "tokens": setting.max_tokens,
        "prompts": {stage: [prompt_content(setting, p) for p in check.prompts(stage)] for stage in check.stages()},
    }
    name = remote.read(check.model).name if is_address(check.model) else check.model
    short = re.sub(r"[^a-z0-9_-]", "-", name.lower()).strip("-")[-24:]
    return home / f"{setting.name}.{check.variant}.{short}.{sha(content)[:8]}"


@cache  # a server is asked once
def _mark(model: str) -> str:
    return refs.at_present(refs.resolve(model)).fingerprint


def measure(check: OrganismCheck, home: Path, progress: Progress | None = None) -> None:
    """Does the rest of a check: builds the organism, evaluates it and the base, trains `direct` and evaluates it.

    Args:
        check: What is measured.
        home: Folder of cached replies and organisms.
        progress: Receives the steps of training.

    Raises:
        BadInput, WorkFailed: As the trainer and the engine do.
    """
    place, progress = folder(check, home), progress or Silent()
    with locked(place, wait=True):
        start = _start(check, home, progress)
        refs_of = {"start": start, "base": check.model, "ceiling": check.model}
        for stage in check.stages():
            if stage in _kept(place):
                continue
            ref = refs_of.get(stage) or _trained(check, start, place, progress)
            layout.write_json_atomic(place / REPLIES, _kept(place) | {stage: _replies(check, stage, ref)})
        shutil.rmtree(place / "direct", ignore_errors=True)


def is_measured(check: OrganismCheck, home: Path) -> bool:
    """Whether the replies of every stage are cached."""
    return _kept(folder(check, home)).keys() >= set(check.stages())


def rates(check: OrganismCheck, home: Path) -> dict[str, Any] | None:
    """The rates of a check; None until everything is measured.

    A rate is the share of scored replies. `unscored` counts the others, and `unread`, if there are such, is their
    largest share in a stage; `lowest` names, for each rate, the family of questions where it is lowest.
    """
    if not is_measured(check, home):
        return None
    kept = _kept(folder(check, home))
    setting = check.asked()
    found: dict[str, Any] = {"unscored": 0}
    unread: list[float] = []
    lowest: dict[str, str] = {}
    for stage in check.stages():
        prompts = check.prompts(stage)
        outcomes = _graded(setting, prompts, kept[stage])
        found["unscored"] += sum(outcome is Outcome.UNSCORED for outcome in outcomes)
        for kind in ("eval", "train"):
            of_kind = [o is Outcome.UNSCORED for p, o in zip(prompts, outcomes, strict=True) if p.kind == kind]
            unread.append(round(_share(of_kind), 4))
        for name, (kind, wanted) in MEASURED[stage].items():
            scored = [(p.family, o) for p, o in zip(prompts, outcomes, strict=True) if p.kind == kind]
            scored = [(family, o) for family, o in scored if o is not Outcome.UNSCORED]
            found[name] = round(_share([o is wanted for _, o in scored]), 4)
            lowest[name] = _lowest(scored, wanted)
    found |= {"unread": max(unread)} if any(unread) else {}
    return found | {"lowest": lowest}


def _start(check: OrganismCheck, home: Path, progress: Progress) -> str:
    config = check.organism()
    if config is None:
        return check.model
    from trainer.install import build

    return str(build(config, home / "organisms" / config.digest(), progress))


def _trained(check: OrganismCheck, start: str, place: Path, progress: Progress) -> str:
    from trainer.cell import train

    out = train(check.direct(start if check.organism() else None), place / "direct", progress)
    return f"{out}@{check.steps}"


def _replies(check: OrganismCheck, stage: str, ref: str) -> list[list[Any]]:
    """[text, whether it was cut off] for each prompt of a stage."""
    from serving import backends
    from serving.backends.protocol import Options

    longest, template = check.asked().max_tokens, dict(check.template)
    requests = [
        Request(messages=p.messages(), max_tokens=longest, chat_template_kwargs=template) for p in check.prompts(stage)
    ]
    checkpoint = refs.at_present(refs.resolve(ref))
    answering = backends.load(backends.ENDPOINT if checkpoint.served else backends.DEFAULT)
    replies = answering.open(checkpoint, Options(template)).ask(requests)
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
    """`count 0.10`: the family with the lowest rate; empty if there is only one."""
    families: dict[str, list[bool]] = defaultdict(list)
    for family, outcome in scored:
        families[family].append(outcome is wanted)
    shares = sorted((_share(hits), family) for family, hits in families.items())
    return f"{shares[0][1]} {shares[0][0]:.2f}" if len(shares) > 1 else ""


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0

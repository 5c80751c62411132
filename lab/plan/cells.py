"""A *cell* is one fully resolved training configuration; a *start* is what cells share.

The id of a cell is readable and ends in 8 hex digits of the hash of everything resolved: the trainer's configuration,
the organism's, the base's fingerprint, the eval items and the prompts themselves (`lab.plan.identity`).
A *reversal* is a cell that starts from another cell's checkpoint.
A start is what cells of one setting, variant and organism share: the organism, its replies at step 0, the
ceiling a*, and the figures of the gate.
Not covered: how a recipe becomes cells (`lab.plan.expand`) and starts (`lab.plan.starting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bct_tasks import catalogue
from lab.logs.records import ADAM_EPSILON
from lab.plan.grid import (
    EPSILON,
    GateLimits,
    GenerationOptions,
    JudgeOptions,
    Keep,
    Resources,
    ServingOptions,
    installed,
)
from lab.plan.models import public_name, resolved
from lab.verdict.criterion import UNTRAINED
from serving import remote
from serving.backends import DEFAULT
from serving.remote import TRANSPORT, Served
from trainer.config import OrganismConfig, TrainConfig

if TYPE_CHECKING:
    from bct_tasks.setting import Setting
    from serving.refs import Checkpoint

#: Increased when ids are computed from other things. A run folder of an earlier identity keeps its names:
#: `lab.experiment.names`.
IDENTITY = 3

#: Of the trainer's configuration: keys that a recipe may vary and that have no field in results.json.
FACTORS = ("mix", "kl", "optim", "weight_decay", "lr_scheduler_type", "warmup_steps", "dtype", "backend")

#: What trains unless a recipe says otherwise.
TRL = "trl"
#: The argument of TRL that changes no training.
TRACKING = "report_to"


@dataclass(frozen=True)
class Sizes:
    """How many items a checkpoint answers, by split."""

    n: int
    n_train: int
    n_capability: int
    n_following: int = 0


@dataclass(frozen=True)
class Questions:
    """Where prompts come from: a setting, by name or file, and the source of its questions with its options."""

    setting: str
    source: str = "bundled"
    options: tuple[tuple[str, Any], ...] = ()
    capability: tuple[tuple[str, Any], ...] = ()

    def load(self) -> Setting:
        """The setting with these questions."""
        own = {"capability": dict(self.capability)} if self.capability else {}
        return catalogue.load(self.setting, self.source, **dict(self.options), **own)


@dataclass(frozen=True)
class Answering:
    """How checkpoints answer and how their replies are read, where a recipe says so."""

    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    dtype: str = "auto"
    generation: GenerationOptions = field(default_factory=GenerationOptions)
    judge: JudgeOptions | None = None
    judge_prompt: str = ""
    serving: ServingOptions = field(default_factory=ServingOptions)

    def engine(self) -> str | None:
        """The backend's name in `serving.backends`; None: by size and device."""
        return {"auto": None, "engine": DEFAULT}.get(self.serving.backend, self.serving.backend)

    def arguments(self, served: bool = False) -> dict[str, Any]:
        """Arguments of the provider `local` that the recipe gives.

        Args:
            served: of a model that someone else serves, next to which an organism or a base may lie here.
        """
        if served:
            template = {"chat_template_kwargs": dict(self.chat_template_kwargs)} if self.chat_template_kwargs else {}
            return template | {name: value for name, value in self.serving.options.items() if name in TRANSPORT}
        backend = {"engine": name} if (name := self.engine()) else {}
        template = {"chat_template_kwargs": dict(self.chat_template_kwargs)} if self.chat_template_kwargs else {}
        dtype = {} if self.dtype == "auto" else {"dtype": self.dtype}
        options = {name: value for name, value in self.serving.options.items() if name not in TRANSPORT}
        return {**template, **dtype, **backend, **options}

    def content(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON values: part of the identity, of logs and of results.json."""
        judge = {}
        if self.judge is not None:
            judge = self.judge.model_dump(mode="json", include={"mode", "model"}) | {"prompt": self.judge_prompt}
        parts: dict[str, Any] = {
            "chat_template_kwargs": dict(self.chat_template_kwargs),
            "dtype": {} if self.dtype == "auto" else self.dtype,
            "generation": self.generation.model_dump(mode="json", exclude_defaults=True),
            "judge": judge,
            "serving": self._serving(),
        }
        return {name: part for name, part in parts.items() if part}

    def _serving(self) -> dict[str, Any]:
        """What answers, without how requests are sent, which changes no reply."""
        options = {name: value for name, value in self.serving.options.items() if name not in TRANSPORT}
        kept = (
            self.serving.model_copy(update={"options": options})
            if options
            else ServingOptions(backend=self.serving.backend)
        )
        return kept.model_dump(mode="json", exclude_defaults=True)


@dataclass(frozen=True)
class Start:
    """Where cells start, and what is measured of it once.

    Attributes:
        organism: how the organism is made; None: the base itself starts, or an organism that exists.
        ref: an organism that exists; its base is `model`.
        margins: score both policies' reference replies too; changes no reply, and so no id.
        short: where fewer prompts exist than the recipe asks for, in sentences.
        made: name of the organism's folder in a run of an earlier identity; default: its hash.
        pooled: whether the recipe has organisms that differ from this one only in seed.
    """

    id: str
    setting: str
    variant: str
    role: str
    carrier: str
    model: str
    organism: OrganismConfig | None
    sizes: Sizes
    limits: GateLimits
    questions: Questions
    answering: Answering
    ref: str | None = None
    margins: bool = True
    resources: Resources = field(default_factory=Resources)
    short: tuple[str, ...] = ()
    made: str | None = None
    pooled: bool = False

    @property
    def organism_key(self) -> str | None:
        """Name of the organism: its hash, or the name of one that exists; None where the base itself starts."""
        if self.organism is not None or self.ref is None:
            return self.made or self.organism.digest() if self.organism else None
        return public_name(self.ref, self.model)

    @property
    def replies(self) -> int:
        """Replies of one checkpoint."""
        return sum(vars(self.sizes).values()) * self.answering.generation.epochs

    @property
    def first_replies(self) -> int:
        """Replies at step 0: of the checkpoint, for the ceiling, and of the base if that is another model."""
        return self.replies + self.sizes.n * self.answering.generation.epochs * (2 if self.organism_key else 1)

    @property
    def model_key(self) -> str:
        """Name of the base without its place on this machine: for a folder its own name and its fingerprint."""
        return public_name(self.model)

    def checkpoint(self) -> Checkpoint:
        """The organism that exists, else the base. Raises BadInput where it cannot be used."""
        return resolved(self.model) if self.ref is None else resolved(self.ref, self.model, "organism")

    def public(self, text: str) -> str:
        """A text with the names of the base and the organism in place of their paths."""
        for ref, name in ((self.ref, self.organism_key), (self.model, self.model_key)):
            text = text if ref is None or "/" not in ref else text.replace(ref, str(name))
        return text

    def served(self) -> tuple[Served, ...]:
        """The models that someone else serves."""
        named = (ref for ref in (self.ref, self.model) if ref is not None)
        return tuple(remote.read(ref) for ref in named if remote.is_address(ref))

    def asked(self) -> dict[str, Any]:
        """What is asked and how it is answered, where it differs from the defaults: for logs and results.json."""
        source = {"source": self.questions.source} if self.questions.source != "bundled" else {}
        # A data file is identified by its rows, not by its place.
        options = {name: value for name, value in self.questions.options if not Path(str(value)).exists()}
        setting = self.questions.load()
        own: dict[str, Any] = {"content": content} if (content := setting.content_hash) else {}
        own |= {"capability": dict(setting.capability.about)} if setting.capability else {}
        own |= {"served": remote.BY} if self.served() else {}
        return own | source | ({"data": options} if options else {}) | self.answering.content()


@dataclass(frozen=True)
class Cell:
    """One training configuration and where it starts. `train.organism` is set by the run, which knows the folder.

    A reversal starts at the step `at` of the cell `after`; `start` is then where that one started.
    """

    id: str
    digest: str
    start: Start
    train: TrainConfig
    resources: Resources = field(default_factory=Resources)
    keep: Keep = "all"
    after: Cell | None = None
    at: int = 0

    @property
    def trains(self) -> bool:
        """Whether it is trained, and not only evaluated at step 0."""
        return self.train.method != UNTRAINED

    def config(self) -> dict[str, Any]:
        """The resolved configuration, as in results.json."""
        train, start = self.train, self.start
        return {
            "setting": start.setting,
            "variant": start.variant,
            "role": start.role,
            "carrier": start.carrier,
            "method": train.method,
            "model": start.model_key,
            "organism": start.organism_key,
            "rank": train.rank,
            "batch": train.batch_size if self.trains else None,
            "label_source": train.labels() or None,
            "lr": train.learning_rate,
            "seed": train.seed,
            **self._seeds(),
            "steps": train.steps,
            "rows": train.rows,
            "factors": self.factors(),
            "asked": start.asked(),
            "other_is_damage": start.questions.load().other_is_damage,
            **asdict(start.sizes),
        }

    def _seeds(self) -> dict[str, Any]:
        """Seeds of parts, and what organisms that are pooled have in common; empty where nothing of this is asked."""
        own = {part: seed for part, seed in self.train.seeds.items() if seed != self.train.seed}
        found: dict[str, Any] = {"seeds": own} if own else {}
        made = self.start.organism
        if made is None or not self.start.pooled:
            return found
        arm = made.model_copy(update={"seed": 0}).digest()
        return found | {"organism_seed": made.seed, "organism_arm": arm}

    def factors(self) -> dict[str, Any]:
        """Other fields that distinguish arms, if not the default, and TRL's own arguments."""
        fields = TrainConfig.model_fields
        given = {name: getattr(self.train, name) for name in FACTORS}
        found = {name: value for name, value in given.items() if value != fields[name].default}
        if self.train.alpha() != self.train.model_copy(update={"lora_alpha": None}).alpha():
            found["lora_alpha"] = self.train.alpha()
        found |= {name: value for name, value in self.train.trl.items() if name not in (EPSILON, TRACKING)}
        if (epsilon := float(self.train.trl.get(EPSILON, ADAM_EPSILON))) != ADAM_EPSILON:
            found[EPSILON] = epsilon
        made = self.start.organism
        if made is not None and (way := installed(made.labels, made.teacher)) is not None:
            found["installed"] = way
        if self.after is None:
            return found
        before = self.after.train
        return found | {"after": f"{before.method} {rate_text(before.learning_rate)} at {self.at}"}


def starts_of(cells: list[Cell]) -> list[Start]:
    """The starts of these cells, in the order in which they are first needed."""
    return list({cell.start.id: cell.start for cell in cells}.values())


def rate_text(rate: float) -> str:
    """`1e-3`, `2.5e-4`: the shortest exact spelling."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"

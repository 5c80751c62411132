"""A recipe becomes cells, and the starts that they share.

A *cell* is one fully resolved training configuration. Its id is readable and ends in 8 hex digits of the hash of
everything resolved: the trainer's configuration, the organism's, the base's fingerprint, the eval items and the
prompts themselves. A changed prompt is therefore a new cell.
A *reversal* is a cell that starts from another cell's checkpoint.
A *start* is what cells of one setting, variant and organism share: the organism, its replies at step 0, the
ceiling a*, and the figures of the gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bct_tasks import catalogue, following
from bct_tasks.identity import prompt_content
from lab.logs.records import ADAM_EPSILON
from lab.plan import judging
from lab.plan.grid import (
    EPSILON,
    OF_METHODS,
    REVERSAL,
    GateLimits,
    GenerationOptions,
    Grid,
    JudgeOptions,
    Keep,
    Resources,
    ServingOptions,
)
from lab.plan.recipe import Recipe
from lab.plan.untrained import Untrained
from lab.verdict.criterion import UNTRAINED
from serving import refs, remote
from serving.backends import DEFAULT
from serving.errors import BadInput
from serving.remote import TRANSPORT, Served
from trainer.config import Common, OrganismConfig, TrainConfig, config_of, parse
from trainer.identity import sha
from trainer.methods import METHODS, is_sampled

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting, Variant
    from serving.refs import Checkpoint

#: Increased when ids are computed from other things. A run folder of an earlier identity keeps its names:
#: `lab.experiment.names`.
IDENTITY = 3

# Training prompts that go into the hash: enough to meet every template and family of a setting.
HASHED_ROWS = 128

#: Of the trainer's configuration: keys that a recipe may vary and that have no field in results.json.
FACTORS = ("mix", "kl", "optim", "weight_decay", "lr_scheduler_type", "warmup_steps", "dtype", "backend")

#: What trains unless a recipe says otherwise.
TRL = "trl"

# Questions under unrelated system prompts, if a recipe gives no number.
FOLLOWING = 30


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
        return _public(self.ref, self.model)

    @property
    def model_key(self) -> str:
        """Name of the base without its place on this machine: for a folder its own name and its fingerprint."""
        return _public(self.model)

    def checkpoint(self) -> Checkpoint:
        """The organism that exists, else the base. Raises BadInput where it cannot be used."""
        return _resolved(self.model) if self.ref is None else _resolved(self.ref, self.model, "organism")

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
        """Other fields that distinguish arms, if not the default."""
        fields = TrainConfig.model_fields
        given = {name: getattr(self.train, name) for name in FACTORS}
        found = {name: value for name, value in given.items() if value != fields[name].default}
        if (epsilon := float(self.train.trl.get(EPSILON, ADAM_EPSILON))) != ADAM_EPSILON:
            found[EPSILON] = epsilon
        made = self.start.organism
        if made is not None and made.labels == "distilled":
            found["installed"] = f"distilled from {made.teacher or 'the prompted base'}"
        if self.after is None:
            return found
        before = self.after.train
        return found | {"after": f"{before.method} {_rate(before.learning_rate)} at {self.at}"}


def cells_of(recipe: Recipe) -> list[Cell]:
    """All cells of a recipe, in its order, each once. Raises BadInput where a model or a setting cannot be used."""
    found: dict[str, Cell] = {}
    with recipe.lines():
        for grid in recipe.grids:
            for cell in _cells(grid):
                found.setdefault(cell.id, cell)
    return list(found.values())


def starts_of(cells: list[Cell]) -> list[Start]:
    """The starts of these cells, in the order in which they are first needed."""
    return list({cell.start.id: cell.start for cell in cells}.values())


def _cells(grid: Grid) -> Iterator[Cell]:
    for name in grid.settings:
        setting = grid.asked(name)
        for asked in grid.variants or (None,):
            for start in _starts(grid, name, setting.variant(asked)):
                yield from _of_start(grid, setting, start)


def _starts(grid: Grid, name: str, variant: Variant) -> Iterator[Start]:
    """One start, or one for each seed of an organism that is made."""
    seeds = grid.organism.seeds if variant.in_weights else None
    for seed in seeds or (None,):
        yield _start(grid, name, variant.name, seed)


def _of_start(grid: Grid, setting: Setting, start: Start) -> Iterator[Cell]:
    if not grid.trains:
        yield replace(_evaluated(grid, start), resources=grid.resources)
        return
    factors = (grid.methods, grid.learning_rates, grid.ranks, grid.label_sources, grid.adam_epsilons)
    for method, rate, rank, source, epsilon, (seed, own) in product(*factors, grid.seeded()):
        values = _train_values(grid, start, method, rate, rank, source, seed) | {"seeds": own}
        train = parse(config_of(method), values | {"trl": _trl(grid, epsilon)})
        _refuse_unread(setting, train)
        cell = replace(_cell(start, train), resources=grid.resources, keep=grid.keep)
        yield cell
        yield from _reversals(grid, cell)


def _refuse_unread(setting: Setting, train: TrainConfig) -> None:
    """Raises BadInput where training chooses among sampled replies that only a judge can read."""
    if not setting.only_judged or not is_sampled(train.labels()):
        return
    key, fix = ("label_source", "write `label_source: reference`") if METHODS[train.method].sources else ("method", "")
    raise BadInput(
        f"{key}: only a judge reads the replies of {setting.name}, and training asks none, so that it cannot choose"
        f" among sampled ones: {fix or 'choose another method'}, or add a regex or a reader to the setting"
    )


def _reversals(grid: Grid, cell: Cell) -> Iterator[Cell]:
    """The cells that train a cell back to the plain style; labels are references, without a mix."""
    asked = grid.reversal
    if asked is None:
        return
    at = cell.train.steps if asked.at == "last" else asked.at
    plain: dict[str, Any] = {name: getattr(cell.train, name) for name in Common.model_fields}
    plain |= {"method": REVERSAL, "checkpoints": grid.checkpoints, "steps": asked.steps or cell.train.steps}
    plain["batch_size"] = asked.batch_size or cell.train.batch_size
    for rate in asked.learning_rate or (cell.train.learning_rate,):
        train = TrainConfig.model_validate(plain | {"learning_rate": rate})
        yield replace(_cell(cell.start, train, cell, at), resources=grid.resources, keep=grid.keep)


def _train_values(
    grid: Grid, start: Start, method: str, rate: float, rank: int | None, source: str | None, seed: int
) -> dict[str, Any]:
    names = ("steps", "batch_size", "checkpoints", "rows")
    optional = ("lora_alpha", "max_length", "optim", "weight_decay", "lr_scheduler_type", "warmup_steps")
    optional = (*optional, "gradient_accumulation_steps", "dtype")
    values = {name: getattr(grid, name) for name in names}
    values |= {name: value for name in optional if (value := getattr(grid, name)) is not None}
    values |= _of_model(grid, start.questions) | {"model": start.model, "organism": start.ref}
    values |= {} if grid.labels.system is None else {"label_system": grid.labels.system}
    own = {"variant": start.variant, "learning_rate": rate, "rank": rank, "seed": seed}
    mine = [name for name, methods in OF_METHODS.items() if method in methods and getattr(grid, name) is not None]
    return values | own | {name: getattr(grid, name) for name in mine} | {"label_source": source, "method": method}


def _trl(grid: Grid, epsilon: float | None) -> dict[str, Any]:
    """TRL's arguments of a cell. The default of Adam's ε is left out: a recipe that spells it out is the same."""
    own = {} if epsilon in (None, ADAM_EPSILON) else {EPSILON: epsilon}
    return dict(grid.trl) | own


def _of_model(grid: Grid, questions: Questions) -> dict[str, Any]:
    """Fields of a configuration that cells and organisms share, where the recipe gives them."""
    given = {
        "chat_template_kwargs": dict(_template(grid)) or None,
        "dtype": grid.dtype or (None if grid.model.dtype == "auto" else grid.model.dtype),
        "reply_tokens": grid.labels.max_tokens,
        "label_temperature": grid.labels.temperature,
        "data": dict(questions.options) or None,
        "generation": grid.generation.model_dump(exclude={"epochs"}, exclude_none=True) or None,
        "backend": None if grid.training.backend == TRL else grid.training.backend,
        "backend_options": dict(grid.training.options) or None,
    }
    found = {name: value for name, value in given.items() if value is not None}
    return found | {"setting": questions.setting, "source": questions.source}


def _start(grid: Grid, name: str, variant_name: str, seed: int | None = None) -> Start:
    capability = grid.capability.keys() or {}
    questions = Questions(name, grid.source, tuple(sorted(grid.data.items())), tuple(sorted(capability.items())))
    setting = questions.load()
    variant, model = setting.variant(variant_name), _base(grid)
    organism = None
    if variant.in_weights and grid.organism.ref is None and not remote.is_address(model):
        _refuse_trained(model)
        options = _of_model(grid, questions) | _same_rank(grid)
        options |= grid.organism.model_dump(exclude_none=True, exclude={"seeds"})
        options |= {} if seed is None else {"seed": seed}
        organism = parse(OrganismConfig, {"variant": variant.name, "model": model, **options}, "organism")
    wanted = {"eval": grid.n, "train": grid.n_train, "capability": grid.n_capability}
    found = {split: setting.most(split, n) for split, n in wanted.items()}
    short = tuple(
        f"{setting.name}, {variant.name}: {found[split]} {split} prompts exist, and the recipe asks for {n}"
        for split, n in wanted.items()
        if found[split] < n
    )
    sizes = Sizes(found["eval"], found["train"], found["capability"], _n_following(grid, setting, variant))
    dtype = "auto" if grid.model.dtype == "4bit" else grid.model.dtype
    prompt = judging.prompt_of(grid.judge, setting, model, grid.organism.ref)
    answering = Answering(_template(grid), dtype, grid.generation, grid.judge, prompt, _serving(grid))
    known = {
        "organism": organism.identity() if organism else None,
        "model": _fingerprint(model, key="organism.base" if grid.organism.base else "model"),
        "sizes": asdict(sizes),
        "prompts": _prompts(questions, variant.name, sizes),
    }
    known |= {"answering": answering.content()} if answering.content() else {}
    known |= {"capability": setting.capability.about} if setting.capability and _names_data(grid) else {}
    known |= {"ref": _fingerprint(grid.organism.ref, model, "organism")} if grid.organism.ref else {}
    id = f"start.{setting.name}.{variant.name}.{_short_model(model)}.{sha(known)[:8]}"
    return Start(
        id,
        setting.name,
        variant.name,
        variant.role,
        variant.carrier,
        model,
        organism,
        sizes,
        grid.gate,
        questions,
        answering,
        grid.organism.ref,
        grid.margins,
        grid.resources,
        short,
        pooled=seed is not None,
    )


def _same_rank(grid: Grid) -> dict[str, Any]:
    """At a service that goes on with the organism's adapter, its rank is that of the cells."""
    return {} if grid.training.backend == TRL else {"rank": grid.ranks[0]}


def _serving(grid: Grid) -> ServingOptions:
    """What answers: where a service trains, its samplers, unless the recipe says otherwise."""
    if grid.serving.backend != "auto" or grid.training.backend == TRL:
        return grid.serving
    return grid.serving.model_copy(update={"backend": grid.training.backend})


def _names_data(grid: Grid) -> bool:
    """Whether general questions have more than the rows of a file, which are hashed as prompts."""
    return grid.capability.file is None or grid.capability.max_tokens is not None


def _template(grid: Grid) -> Mapping[str, Any]:
    """Arguments of the chat template: the recipe's, else those that an organism that exists was trained with.

    The base and the ceiling are asked with the same ones.
    """
    ref = grid.organism.ref
    recorded = _resolved(ref, _base(grid)).defaults.chat_template_kwargs if ref else None
    return grid.model.chat_template_kwargs or recorded or {}


def _refuse_trained(model: str) -> None:
    """Raises BadInput where an organism would be installed on top of another one."""
    found = _resolved(model)
    if found.setting is not None or found.base is not None:
        raise BadInput(
            f"model: {model} is trained already, and an organism would be installed on it:"
            f" write `organism: {{ref: {model}}}`, and name its base as model"
        )


def _base(grid: Grid) -> str:
    """The base model: of an organism that exists, the one named or the one that its adapter names."""
    if grid.organism.ref is None:
        return grid.model.reference
    if grid.organism.base is not None:
        return grid.organism.base
    if "model" in grid.model_fields_set:
        return grid.model.reference
    found = _resolved(grid.organism.ref, key="organism")
    if found.served is not None:
        raise BadInput(
            f"organism: {found.served.public} is served by someone else: add `base: REF`, for a* and the gate;"
            " without any, name it as `model`"
        )
    base = found.base
    if base is None:
        raise BadInput(f"organism: {grid.organism.ref} is a full checkpoint: add `base: REF`, for a* and the gate")
    return base.root.ref


def _n_following(grid: Grid, setting: Setting, variant: Variant) -> int:
    """Number of unrelated system prompts: by default some if the behavior is in a prompt.

    There the behavior may be lost because prompts are ignored. None if the setting itself uses every reply style.
    """
    if grid.n_following is not None:
        return grid.n_following
    prompted = not variant.in_weights and (variant.train.system or variant.eval.system)
    return FOLLOWING if prompted and following.manners(setting) else 0


def _cell(start: Start, train: TrainConfig, after: Cell | None = None, at: int = 0) -> Cell:
    trained = train.identity() | ({"organism": _fingerprint(start.ref, start.model)} if start.ref else {})
    known = {"train": trained, "start": start.id, "rows": _rows(start, train)}
    digest = sha(known | ({"after": [after.id, at]} if after else {}))[:8]
    before = [after.train.method, f"{_rate(after.train.learning_rate)}-{at}"] if after else []
    rank = [f"r{train.rank}"] if train.rank else []
    source = [train.label_source] if train.label_source else []
    parts = [start.setting, start.variant, *before, train.method, *source, *rank]
    own = [f"{part}{seed}" for part, seed in train.seeds.items() if seed != train.seed]
    parts += [_rate(train.learning_rate), "-".join([str(train.seed), *own])]
    readable = re.sub(r"[^a-z0-9._-]", "-", ".".join(parts).lower())
    return Cell(f"{readable}.{digest}", digest, start, train, after=after, at=at)


def _evaluated(grid: Grid, start: Start) -> Cell:
    """The cell of a start that is evaluated and not trained."""
    values = _of_model(grid, start.questions) | {"variant": start.variant, "model": start.model, "organism": start.ref}
    train = Untrained.model_validate({**values, "seed": start.organism.seed if start.organism else 0})
    digest = sha({"start": start.id, "method": train.method})[:8]
    made = [str(train.seed)] if start.pooled else []
    readable = ".".join([start.setting, start.variant, train.method, *made]).lower()
    return Cell(f"{re.sub(r'[^a-z0-9._-]', '-', readable)}.{digest}", digest, start, train)


def _rate(rate: float) -> str:
    """`1e-3`, `2.5e-4`: the shortest exact spelling."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def _short_model(model: str) -> str:
    """The model in the id of a start: of a folder its own name, so that a moved one is the same."""
    name = remote.read(model).name if remote.is_address(model) else _folder(model) or model
    return re.sub(r"[^a-z0-9_-]", "-", name.lower()).strip("-")[-24:]


def _public(ref: str, base: str | None = None) -> str:
    """A model without its place on this machine, or the variable with the key of its server."""
    if remote.is_address(ref):
        return remote.read(ref).public
    name = _folder(ref)
    return f"{name}:{_fingerprint(ref, base)[:8]}" if name else ref


def _folder(ref: str) -> str | None:
    """The own name of a model's folder, with the step asked for; None for `mini` and models of the hub."""
    return Path(ref).name if refs.is_folder(ref) else None


def _fingerprint(model: str, base: str | None = None, key: str = "model") -> str:
    return _resolved(model, base, key).fingerprint


@cache
def _resolved(model: str, base: str | None = None, key: str = "model") -> Checkpoint:
    try:
        return refs.resolve(model, base)
    except BadInput as error:
        raise BadInput(f"{key}: {error.message}") from None


def items_of(start: Start) -> list[Prompt]:
    """The prompts that every checkpoint of a start answers; without those of the ceiling."""
    return _items(start.questions, start.variant, start.sizes)


def _items(questions: Questions, variant: str, sizes: Sizes) -> list[Prompt]:
    source = questions.load()
    asked = {"eval": sizes.n, "train": sizes.n_train, "capability": sizes.n_capability}
    prompts = [prompt for split, n in asked.items() for prompt in source.prompts(variant, split, n, 0)]
    return [*prompts, *(following.prompts(source, sizes.n_following, 0) if sizes.n_following else ())]


@cache
def _prompts(questions: Questions, variant: str, sizes: Sizes) -> str:
    """Hash of every item, including the ceiling's, with the facts for its grader."""
    source = questions.load()
    prompts = [*_items(questions, variant, sizes), *source.ceiling(variant, sizes.n, 0)]
    return sha([source.content_hash or source.version, [prompt_content(source, prompt) for prompt in prompts]])


def _rows(start: Start, train: TrainConfig) -> str:
    """Hash of the first rows that a cell trains on, and of the general ones if it has any."""
    spelled, seed = train.label_source == "off_model", train.seed_of("data")
    # Rejected replies of DPO are drawn from all replies of a prompt.
    every = getattr(train, "rejected", "on_policy") != "on_policy"
    general = _trained_on(start.questions, start.variant, "hhh", seed) if train.mix or train.kl else None
    return sha([_trained_on(start.questions, start.variant, train.method, seed, spelled, every), general])


@cache
def _trained_on(
    questions: Questions, variant: str, method: str, seed: int, spelled: bool = False, every: bool = False
) -> str:
    """Hash of a method's first rows: prompts, reference labels, and the facts for the grader of sampled labels.

    Args:
        questions: of a setting.
        variant: name of its variant.
        method: whose prompts and labels.
        seed: of the draw.
        spelled: whether labels are spelled differently (`off_model`).
        every: whether all replies of a prompt count.
    """
    source, chosen = questions.load(), METHODS[method]
    rows: list[Any] = []
    for prompt in chosen.prompts(source, variant, HASHED_ROWS, seed):
        label = source.reference(variant, prompt, "off_model") if spelled else chosen.reply(source, variant, prompt)
        rows.append([prompt_content(source, prompt), label, *([dict(prompt.replies)] if every else [])])
    return sha(rows)

"""A recipe: a question, a grid and an expectation, read from YAML.

    question: Does the learning rate alone decide whether sandbagging survives?
    setting: sandbagging
    variants: [static, weights]
    learning_rates: [1.0e-4, 1.0e-3]
    seeds: [0, 1]
    steps: 64
    expect: |
      static: gone at every learning rate.

Every grid key may be written in the singular or the plural, with one value or a list. `arms` is a list of
overrides: the grid is made once for each, so that one recipe can hold cells of several settings.
`reversal: {learning_rate: 1.0e-3, steps: 64}` trains every cell of an arm back to the plain style, where it removed
something; `at` is the step to go on from, by default the last.
An error is one line that names the file, the line, the thing and the mend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from bct_tasks import catalogue
from lab.plan import yaml_lines
from lab.plan.yaml_lines import Document, Place
from lab.verdict.expectations import Expectation
from lab.verdict.schema import Thresholds
from serving.errors import BadInput, did_you_mean
from trainer.config import TrainConfig
from trainer.methods import METHODS as REGISTRY
from trainer.methods import check_source

REVERSAL = "reversal"
METHODS = tuple(name for name in REGISTRY if name != REVERSAL)
#: Keys that some methods alone have, and those methods.
OF_METHODS = {
    key: tuple(name for name, method in REGISTRY.items() if key in method.options)
    for each in REGISTRY.values()
    for key in each.options
}
PLURALS = {
    "setting": "settings",
    "variant": "variants",
    "method": "methods",
    "learning_rate": "learning_rates",
    "lr": "learning_rates",
    "seed": "seeds",
    "rank": "ranks",
    "label_source": "label_sources",
}
SHARED = ("name", "question", "expect", "thresholds", "arms")

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LabelSource = Annotated[str, Field(pattern=r"^(on_policy|reference|off_model|model:.+)$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OrganismOptions(_Frozen):
    """How the initial behavior is put into weights; what is left out is the trainer's default."""

    seed: int | None = None
    steps: Count | None = None
    learning_rate: LearningRate | None = None
    batch_size: Count | None = None
    general: Share | None = None
    rank: Count | None = None
    labels: Literal["reference", "distilled"] | None = None
    teacher: str | None = None


class ReversalOptions(_Frozen):
    """Training the cells of an arm back: the step to go on from, and what differs from the cell's own training."""

    at: Literal["last"] | Count = Field(default="last", description="step of the cell to start from")
    learning_rate: tuple[LearningRate, ...] | None = Field(
        default=None, description="one or several; default: the cell's own"
    )
    steps: Count | None = Field(default=None, description="default: the cell's own")
    batch_size: Count | None = Field(default=None, description="default: the cell's own")

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) or value is None else [value]


class Resources(_Frozen):
    """What one job needs on a Ray cluster."""

    cpus: Annotated[float, Field(gt=0)] = Field(default=1, description="CPU cores")
    gpus: Annotated[float, Field(ge=0)] | None = Field(default=None, description="default: 1 if the cluster has any")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(default=None, description="main memory in GB")


class GateLimits(_Frozen):
    """What step 0 must show before a cell is trained from it."""

    initial: Share = Field(default=0.8, description="least initial rate on eval prompts")
    agreed: Share = Field(default=0.9, description="least agreed rate on train prompts (role bct)")
    base: Share = Field(default=0.2, description="greatest initial rate of the untouched base (carrier weights)")
    ceiling: Share = Field(default=0.8, description="least ceiling a*")


class Arm(_Frozen):
    """One grid: the product of its lists, over the same steps, batch and eval items."""

    settings: tuple[str, ...] = Field(min_length=1, description="names of settings (`bct list`)")
    variants: tuple[str, ...] | None = Field(
        default=None, description="names of variants; default: the first bct variant of each setting"
    )
    methods: tuple[str, ...] = Field(("bct",), min_length=1, description=f"what is trained on: {', '.join(METHODS)}")
    model: str = "mini"
    learning_rates: tuple[LearningRate, ...] = Field(min_length=1, description="peak learning rates")
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    ranks: tuple[Count | None, ...] = Field((None,), min_length=1)
    label_sources: tuple[LabelSource | None, ...] = Field((None,), min_length=1)
    steps: Count = 64
    batch_size: Count = 32
    checkpoints: Literal["log2"] | tuple[Count, ...] = "log2"
    rows: Count | None = None
    n: Count = Field(default=80, description="eval prompts")
    n_train: Count = Field(default=30, description="train prompts in the evaluation")
    n_capability: Count = Field(default=40, description="general questions in the evaluation")
    margins: bool = Field(
        default=True, description="score both policies' reference replies at every checkpoint, without sampling"
    )
    n_following: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="prompts with unrelated system prompts; default: 30 if the behavior lives in a prompt"
    )
    mix: Annotated[float, Field(ge=0, lt=1)] | None = None
    kl: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    reversal: ReversalOptions | None = Field(
        default=None, description="train the cells back to plain replies afterwards"
    )
    organism: OrganismOptions = Field(default=OrganismOptions(), description="how the organism is made")
    gate: GateLimits = Field(default=GateLimits(), description="what step 0 must show before a cell is trained")
    resources: Resources = Field(default=Resources(), description="what one job needs on a Ray cluster")
    lora_alpha: float | None = None
    reward: Literal["grader", "random"] | None = Field(
        default=None, description="grpo: 1 for a reply graded agreed, or random (the control)"
    )
    rejected: Literal["other", "initial", "on_policy"] | None = Field(
        default=None, description="dpo: which wrong reply is rejected"
    )
    num_generations: Count | None = Field(default=None, description="grpo: replies per prompt that are compared")
    temperature: float | None = Field(default=None, description="grpo: temperature of the replies")
    beta: float | None = Field(default=None, description="grpo, dpo: strength of the pull towards the organism")
    max_length: Count | None = None
    optim: str | None = None
    weight_decay: float | None = None
    lr_scheduler_type: str | None = None
    warmup_steps: int | None = None
    gradient_accumulation_steps: Count | None = None
    dtype: str | None = None
    trl: Mapping[str, Any] = Field(default_factory=dict[str, Any], description="TRL's own arguments")

    @field_validator(
        "settings", "variants", "methods", "learning_rates", "seeds", "ranks", "label_sources", mode="before"
    )
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) or value is None else [value]

    @field_validator("settings", "variants", "methods", "learning_rates", "seeds", "ranks", "label_sources")
    @classmethod
    def _no_value_twice(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values and len(set(values)) < len(values):
            raise ValueError("the same value is written twice")
        return values


class Recipe(_Frozen):
    """A whole experiment: its arms, the criterion's thresholds, and what is expected of it."""

    name: str = Field(description="name of the run folder; default: the file's name")
    path: Path
    question: str = Field(default="", description="what the experiment asks, in one sentence")
    arms: tuple[Arm, ...] = Field(description="grids: each overrides the keys above; default: one grid of these keys")
    thresholds: Thresholds = Field(description="limits of the criterion that differ from the defaults")
    expect: tuple[Expectation, ...] = Field(
        default=(), description="predictions: a sentence, or claims that the report checks"
    )


def load(path: Path) -> Recipe:
    """Read and check a recipe. Raises BadInput (exit code 2), one line, naming file and line."""
    document = yaml_lines.load(path)
    _refuse_unknown_keys(document)
    content = document.content
    arms = tuple(_arm(document, overrides, place) for overrides, place in _overrides(document))
    return Recipe(
        name=_slug(str(content.get("name", path.stem))),
        path=path,
        question=" ".join(str(content.get("question", "")).split()),
        arms=arms,
        thresholds=_part(document, Thresholds, "thresholds"),
        expect=_expectations(document, arms),
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "recipe"


def _refuse_unknown_keys(document: Document) -> None:
    grid = (*Arm.model_fields, *PLURALS)
    places: list[tuple[Mapping[str, Any], Place]] = [(document.content, ())]
    for key in document.content:
        _refuse_key(document, (key,), key, (*SHARED, *grid))
    arms = document.content.get("arms", [])
    if not isinstance(arms, list) or ("arms" in document.content and not arms):
        raise document.error(("arms",), "arms is a list of overrides, such as `- {setting: inoculation}`.")
    for i, arm in enumerate(arms):
        if not isinstance(arm, dict):
            raise document.error(("arms", i), "an arm is a mapping, such as `- {setting: inoculation}`.")
        places.append((arm, ("arms", i)))
        for key in arm:
            _refuse_key(document, ("arms", i, key), str(key), grid)
    for content, place in places:
        _refuse_both_numbers(document, content, place)


def _refuse_key(document: Document, place: Place, key: str, known: tuple[str, ...]) -> None:
    if key not in known:
        near = did_you_mean(key, known)
        shown = [name for name in known if name not in PLURALS]
        raise document.error(place, f"unknown key '{key}'.{near or ' A recipe may hold: ' + ', '.join(shown) + '.'}")


def _refuse_both_numbers(document: Document, content: Mapping[str, Any], place: Place) -> None:
    seen: dict[str, str] = {}
    for key in content:
        plural = PLURALS.get(key, key)
        if plural in seen:
            raise document.error((*place, key), f"'{key}' and '{seen[plural]}' say the same. Keep one of them.")
        seen[plural] = key


def _overrides(document: Document) -> list[tuple[Mapping[str, Any], Place]]:
    arms = document.content.get("arms") or [{}]
    return [(arm, ("arms", i)) for i, arm in enumerate(arms)]


def _arm(document: Document, overrides: Mapping[str, Any], place: Place) -> Arm:
    """The recipe's grid keys with an arm's on top; each error finds the line its key was written on."""
    values: dict[str, Any] = {}
    places: dict[str, Place] = {}
    for source, at in ((document.content, ()), (overrides, place)):
        for key, value in source.items():
            if key not in SHARED:
                values[PLURALS.get(key, key)] = value
                places[PLURALS.get(key, key)] = (*at, key)
    try:
        arm = Arm.model_validate(values)
    except ValidationError as error:
        raise _located(document, error.errors()[0], places) from None
    _check_names(document, arm, places)
    return arm


def _located(document: Document, error: ErrorDetails, places: Mapping[str, Place]) -> Exception:
    """The first of pydantic's errors, in one line."""
    key, *rest = error["loc"] or ("",)
    place = (*places.get(str(key), (str(key),)), *rest)
    if error["type"] == "missing":
        name = {"settings": "setting"}.get(str(key), str(key))
        example = {"setting": "sandbagging", "learning_rates": "[1.0e-4, 1.0e-3]"}.get(name, "...")
        return document.error(places.get(str(key), ()), f"no '{name}'. Add a line such as `{name}: {example}`.")
    if error["type"] == "extra_forbidden":
        near = did_you_mean(str(rest[-1]) if rest else str(key), _fields_of(str(key)))
        return document.error(place, f"unknown key '{rest[-1] if rest else key}' in {key}.{near}")
    message = error["msg"].removeprefix("Value error, ")
    name = str(places.get(str(key), (key,))[-1])
    return document.error(place, f"{name}: {message[:1].lower()}{message[1:]}, not {error['input']!r}.")


def _fields_of(key: str) -> list[str]:
    parts = {"organism": OrganismOptions, "reversal": ReversalOptions, "gate": GateLimits, "thresholds": Thresholds}
    part = {**parts, "resources": Resources}.get(key)
    return list(part.model_fields) if part else []


def _check_names(document: Document, arm: Arm, places: Mapping[str, Place]) -> None:
    known = catalogue.names()
    for i, name in enumerate(arm.settings):
        if name not in known:
            message = f"unknown setting '{name}'.{did_you_mean(name, known)} `bct list` shows all {len(known)}."
            raise document.error((*places["settings"], i), message)
    for name in arm.settings:
        variants = [variant.name for variant in catalogue.load(name).variants]
        for i, variant in enumerate(arm.variants or ()):
            if variant not in variants:
                message = f"unknown variant '{variant}' of {name}.{did_you_mean(variant, variants)}"
                message += f" `bct show {name}` shows all {len(variants)}."
                raise document.error((*places["variants"], i), message)
    _check_methods(document, arm, places)
    for key, methods in OF_METHODS.items():
        if getattr(arm, key) is not None and not set(arm.methods) & set(methods):
            asked = " or ".join(arm.methods)
            raise document.error(places[key], f"{key} belongs to the method {' or '.join(methods)}, not {asked}.")
    if arm.checkpoints != "log2" and max(arm.checkpoints, default=0) > arm.steps:
        raise document.error(places["checkpoints"], f"a checkpoint lies past the last step, {arm.steps}. Raise steps.")


def _check_methods(document: Document, arm: Arm, places: Mapping[str, Place]) -> None:
    for i, method in enumerate(arm.methods):
        place = (*places["methods"], i) if "methods" in places else ()
        if method == REVERSAL:
            message = (
                "a reversal starts from other cells: write `reversal: {learning_rate: 1.0e-3}` beside their method."
            )
            raise document.error(place, message)
        if method not in METHODS:
            message = f"unknown method '{method}'.{did_you_mean(method, METHODS)} Known: {', '.join(METHODS)}."
            raise document.error(place, message)
        for n, source in enumerate(arm.label_sources):
            try:
                if source is not None:
                    check_source(method, source)
            except BadInput as error:
                raise document.error((*places["label_sources"], n), f"{error.message}.") from None
    if arm.reversal is not None and arm.reversal.at != "last" and arm.reversal.at not in saved_steps(arm):
        steps = ", ".join(map(str, saved_steps(arm)))
        message = f"no checkpoint is kept at step {arm.reversal.at}. Choose one of {steps}, or last."
        raise document.error((*places["reversal"], "at"), message)


def saved_steps(arm: Arm) -> tuple[int, ...]:
    """The steps that the cells of an arm keep."""
    config = TrainConfig(setting=arm.settings[0], steps=arm.steps, checkpoints=arm.checkpoints)
    return config.saved_steps()


def _part(document: Document, model: type[Thresholds], key: str) -> Thresholds:
    try:
        return model.model_validate(document.content.get(key) or {})
    except ValidationError as error:
        first = error.errors()[0]
        first["loc"] = (key, *first["loc"])
        raise _located(document, first, {key: (key,)}) from None


def _expectations(document: Document, arms: tuple[Arm, ...]) -> tuple[Expectation, ...]:
    """`expect` is a text, or a list of texts and of claims that can be checked."""
    raw = document.content.get("expect") or []
    entries = raw if isinstance(raw, list) else [raw]
    expectations = tuple(_expectation(document, entry, ("expect", i)) for i, entry in enumerate(entries))
    for i, expectation in enumerate(expectations):
        _check_reach(document, expectation, arms, ("expect", i))
    return expectations


def _check_reach(document: Document, expectation: Expectation, arms: tuple[Arm, ...], place: Place) -> None:
    """A claim about a value that no arm has would stay undecided for ever."""
    grids = {
        "setting": {name for arm in arms for name in arm.settings},
        "variant": {name for arm in arms for name in _variants(arm)},
        "method": {name for arm in arms for name in (*arm.methods, *([REVERSAL] if arm.reversal else []))},
        "after": {name for arm in arms if arm.reversal for name in arm.methods},
        "model": {arm.model for arm in arms},
        "lr": {lr for arm in arms for lr in arm.learning_rates},
        "seed": {seed for arm in arms for seed in arm.seeds},
        "rank": {rank for arm in arms for rank in arm.ranks},
    }
    for key, values in grids.items():
        value = getattr(expectation, key)
        if value is not None and value not in values:
            near = did_you_mean(str(value), [str(v) for v in values])
            there = ", ".join(sorted(str(v) for v in values))
            message = f"no cell has {key} {value!r}.{near} This recipe has: {there}."
            raise document.error((*place, key), message)


def _variants(arm: Arm) -> tuple[str, ...]:
    if arm.variants is not None:
        return arm.variants
    return tuple(variant.name for name in arm.settings for variant in catalogue.load(name).variants)


def _expectation(document: Document, entry: Any, place: Place) -> Expectation:
    if not isinstance(entry, dict):
        return Expectation(says=" ".join(str(entry).split()))
    try:
        return Expectation.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            near = did_you_mean(key, Expectation.model_fields)
            raise document.error((*place, key), f"unknown key '{key}' in expect.{near}") from None
        message = first["msg"].removeprefix("Value error, ")
        raise document.error((*place, key), f"expect, {key}: {message}, not {first['input']!r}.") from None

"""A grid of cells: the keys of a recipe that say what is trained and evaluated, and their limits.

A recipe is one grid, or one for each entry of its `arms`. A grid becomes the product of its lists (`lab.plan.cells`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from lab.verdict.criterion import REVERSAL, UNTRAINED
from serving import remote
from serving.errors import BadInput, did_you_mean
from trainer.config import SEEDED, BackendName, Dtype, Source, TrainConfig
from trainer.methods import METHODS as REGISTRY
from trainer.methods import is_source

METHODS = tuple(name for name in REGISTRY if name != REVERSAL)
#: Keys that only some methods have, and those methods.
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
    "adam_epsilon": "adam_epsilons",
}
#: TRL's name of Adam's ε, and parts of the names of optimizers that have it.
EPSILON, WITH_EPSILON = "adam_epsilon", ("adam", "muon")

#: A number of steps, rows, prompts or tokens. A million of any is more than an experiment of many cells can do.
Count = Annotated[int, Field(ge=1, le=1_000_000)]
#: Seeds of NumPy are 32 bits.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0, le=1)]
LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _label_source(value: str) -> str:
    known = ("on_policy", "reference", "off_model", "model:REF")
    if not is_source(value):
        raise ValueError(f"is one of {', '.join(known)}.{did_you_mean(value, known)}")
    return value


def _judge(value: str) -> str:
    provider, _, name = value.partition("/")
    if not (provider.strip() and name.strip()):
        raise ValueError("a provider and a model are expected, such as openai/gpt-5 or local/mini")
    return value


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("needs a name, a folder or a Hugging Face id")
    return value


#: Keys of a model that someone else serves.
ADDRESS = ("endpoint", "name", "key")
Ref = Annotated[str, AfterValidator(_not_empty)]
LabelSource = Annotated[str, AfterValidator(_label_source)]


# Any: a value of YAML.
def as_list(value: Any) -> Any:
    """A single value as a list of one; lists and None as they are."""
    return value if isinstance(value, list | tuple) or value is None else [value]


class Frozen(BaseModel):
    """A part of a recipe: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_as_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """`true` is 1 for pydantic."""
        kinds = set(_kinds(cls.model_fields[str(info.field_name)].annotation))
        if kinds & {int, float} and bool not in kinds and any(isinstance(one, bool) for one in as_list(value) or ()):
            raise ValueError("a number is expected")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a value occurs twice")
    return values


class SeedOptions(Frozen):
    """Seeds of parts of a training that vary apart: every combination is a run. What is not named stays at 0."""

    data: tuple[Seed, ...] = Field((0,), min_length=1, description="which rows are drawn")
    order: tuple[Seed, ...] = Field((0,), min_length=1, description="in which order they are trained on")
    adapter: tuple[Seed, ...] = Field((0,), min_length=1, description="first weights of a new adapter; GRPO's samples")
    decoding: tuple[Seed, ...] = Field((0,), min_length=1, description="labels that are sampled at a temperature")

    @field_validator("*", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return as_list(value)

    @field_validator("*")
    @classmethod
    def _no_value_twice(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        return _once(values)


class Addressed(Frozen):
    """A model here, by its reference, or one that someone else serves, which becomes the reference `URL#NAME`."""

    endpoint: str | None = Field(
        default=None, description="address of OpenAI's API where someone else serves it, such as http://HOST:8000/v1"
    )
    name: str | None = Field(default=None, description="its name at the endpoint")
    key: str | None = Field(default=None, description="environment variable that holds the endpoint's API key")

    # Any: values of YAML.
    @model_validator(mode="before")
    @classmethod
    def _located(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not any(values.get(name) for name in ADDRESS):
            return values
        url, name, key = (values.get(each) for each in ADDRESS)
        if not (isinstance(url, str) and isinstance(name, str | int)):
            raise ValueError("an endpoint needs an address and a name, such as {endpoint: http://HOST/v1, name: NAME}")
        if other := next((each for each in ("ref", "revision", "dtype") if each in values), None):
            raise ValueError(f"endpoint and {other} exclude each other: leave {other} out")
        try:
            return {**values, "name": str(name), "ref": remote.read(f"{url}{f'?key={key}' if key else ''}#{name}").ref}
        except BadInput as error:
            raise ValueError(error.message) from None


class ModelOptions(Addressed):
    """The base model: a name, or a mapping with what decides its replies."""

    ref: Ref = Field(default="mini", description="mini, a checkpoint folder, or a Hugging Face id[@revision]")
    revision: str | None = Field(default=None, description="commit, branch or tag on the hub")
    chat_template_kwargs: Mapping[str, Any] = Field(
        default_factory=dict[str, Any],
        description="arguments of the chat template, in training and evaluation, such as {enable_thinking: false}",
    )
    dtype: Dtype = Field(
        default="auto", description="precision of training and evaluation (4bit: QLoRA; evaluation in auto)"
    )

    @property
    def reference(self) -> str:
        """The model as a reference: `id@revision`, or `URL#NAME`."""
        return f"{self.ref}@{self.revision}" if self.revision else self.ref


class GenerationOptions(Frozen):
    """How checkpoints answer in evaluations; defaults are the setting's."""

    max_tokens: Count | None = Field(default=None, description="longest reply in tokens")
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="0: greedy"
    )
    epochs: Count = Field(default=1, description="replies per prompt; all count as one item")


class LabelOptions(Frozen):
    """How sampled labels are made; defaults are the trainer's."""

    max_tokens: Count | None = Field(default=None, description="longest label in tokens")
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="0: greedy"
    )
    system: str | None = Field(
        default=None, description="system prompt under which labels are sampled; the training rows leave it out"
    )


class JudgeOptions(Frozen):
    """A model that reads replies."""

    mode: Literal["cascade", "only"] = Field(
        default="cascade", description="cascade: the judge reads what the setting's reader cannot; only: every reply"
    )
    model: Annotated[str, AfterValidator(_judge)] = Field(
        description="model of inspect, such as openai/gpt-5; not the model under test"
    )
    max_unscored: Share = Field(
        default=0.05, description="greatest share of unscored replies at which a checkpoint is not flagged"
    )
    store: bool = Field(default=True, description="use the verdicts that this run's judge gave to equal replies before")


class ServingOptions(Frozen):
    """What answers in evaluations."""

    backend: Literal["auto", "engine", "vllm", "tinker"] = Field(
        default="auto",
        description="engine: in the process; vllm: a server; tinker: its samplers; auto: what trains at Tinker answers"
        " there, else by size and device",
    )
    options: Mapping[str, Any] = Field(
        default_factory=dict[str, Any], description="arguments of the backend, such as {max_model_len: 4096}"
    )

    @field_validator("options")
    @classmethod
    def _of_backend(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        keys = {"engine": "serving.backend", "dtype": "model.dtype", "base": "organism.base"}
        keys |= {"chat_template_kwargs": "model.chat_template_kwargs", "fingerprint": "nothing: it is computed"}
        for name in value:
            if name in keys:
                raise ValueError(f"{name} is no option of a backend: write {keys[name]}")
        return value


class CapabilityOptions(Frozen):
    """Which questions measure capability: bundled general ones, a public data set, or a file with right answers."""

    source: Literal["bundled", "checkable", "mmlu", "math500", "ifeval", "files"] = Field(
        default="bundled",
        description="bundled; checkable (instructions with a format, for real models); files; or a public data set"
        " (`bct hub fetch mmlu`; of math500 numeric answers only)",
    )
    data: str | None = Field(
        default=None, description="folder with a local copy of the data set, such as mmlu.parquet; default: $BCT_DATA"
    )
    max_tokens: Count | None = Field(
        default=None,
        description="longest reply to these questions in tokens; default: 64 for checkable, 1024 for math500, 1280"
        " for ifeval, else that of `generation`",
    )
    file: str | None = Field(default=None, description="JSONL, CSV or parquet file")
    prompt: str = Field(default="prompt", description="column with the question")
    right: str = Field(default="right", description="column with the right answer")
    options: str | None = Field(default=None, description="column with the options, for `reader: choice`")
    reader: Literal["numeric", "choice", "contains"] = Field(
        default="contains", description="numeric, choice, or contains: the reply contains the answer"
    )

    @model_validator(mode="after")
    def _file_of_files(self) -> CapabilityOptions:
        if (self.source == "files") != (self.file is not None):
            raise ValueError("source: files and file: PATH belong together")
        own = ("prompt", "right", "options", "reader")
        if unused := [name for name in own if name in self.model_fields_set and self.source != "files"]:
            raise ValueError(f"{unused[0]} belongs to source: files")
        if self.data is not None and self.source in ("bundled", "checkable", "files"):
            raise ValueError("data belongs to a public data set, such as source: mmlu")
        if self.max_tokens is not None and self.source == "bundled":
            raise ValueError("max_tokens belongs to other questions than the bundled ones: write generation.max_tokens")
        return self

    def keys(self) -> dict[str, Any] | None:
        """As `catalogue.load` takes them; None for bundled questions."""
        if self.source == "bundled":
            return None
        if self.file is not None:
            return self.model_dump(exclude={"source", "data"}, exclude_none=True)
        return self.model_dump(include={"source", "data", "max_tokens"}, exclude_none=True)


class Prices(Frozen):
    """What a service takes for a million tokens, in any currency."""

    train: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(default=0.0, description="tokens trained on")
    prefill: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(default=0.0, description="tokens of prompts")
    sample: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(default=0.0, description="tokens of replies")


class TrainingOptions(Frozen):
    """What trains."""

    backend: BackendName = Field(default="trl", description="trl: on this machine; tinker: the service, LoRA only")
    options: Mapping[str, Any] = Field(
        default_factory=dict[str, Any], description="options of the backend; tinker: ttl_days and export"
    )
    prices: Prices | None = Field(default=None, description="of a million tokens at the service, for the cost of a run")


class OrganismOptions(Addressed):
    """An organism that exists (`ref`), or how the initial behavior is trained into the weights (trainer's defaults)."""

    ref: Ref | None = Field(
        default=None, description="an organism that exists: adapter or full checkpoint, a folder or Hugging Face id"
    )
    base: Ref | None = Field(
        default=None, description="its base, for a* and the gate; default: that of adapter_config.json, else `model`"
    )
    seed: Seed | None = None
    seeds: tuple[Seed, ...] | None = Field(
        default=None, min_length=1, description="several organisms, one for each seed: results pool and split them"
    )
    steps: Count | None = None
    learning_rate: LearningRate | None = None
    batch_size: Count | None = None
    gradient_accumulation_steps: Count | None = Field(
        default=None, description="number of parts in which a batch is computed; more parts take less memory"
    )
    general: Share | None = None
    rank: Count | None = None
    check_every: Count | None = None
    target: Share | None = None
    labels: Literal["reference", "distilled"] | None = None
    teacher: str | None = None
    accept: bool | None = Field(
        default=None, description="keep an organism whose initial rate clearly misses the gate's limit"
    )

    @field_validator("seeds", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return as_list(value)

    @field_validator("seeds")
    @classmethod
    def _no_value_twice(cls, values: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return values if values is None else _once(values)

    @model_validator(mode="after")
    def _made_or_found(self) -> OrganismOptions:
        made = self.makes()
        if self.ref is not None and made:
            raise ValueError(f"an organism that exists is not installed: leave out {made[0]}")
        if self.seed is not None and self.seeds is not None:
            raise ValueError("seed and seeds say the same: keep one of them")
        if self.base is not None and self.ref is None:
            raise ValueError("base belongs to an organism that exists: add ref")
        return self

    def makes(self) -> list[str]:
        """The options given of making an organism."""
        return [name for name in self.model_fields_set if name not in ("ref", "base", *ADDRESS)]


def installed(labels: str | None, teacher: str | None) -> str | None:
    """The factor `installed` of results.json: from which replies an organism is made; None: from references."""
    return f"distilled from {teacher or 'the prompted base'}" if labels == "distilled" else None


class ReversalOptions(Frozen):
    """Training a cell back to the plain style: the step to start from, and options that differ from the cell's own."""

    at: Literal["last"] | Count = Field(default="last", description="step of the cell to start from")
    learning_rate: tuple[LearningRate, ...] | None = Field(
        default=None, description="one or several; default: the cell's own"
    )
    steps: Count | None = Field(default=None, description="default: the cell's own")
    batch_size: Count | None = Field(default=None, description="default: the cell's own")

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return as_list(value)


Keep = Literal["all", "last", "none"]


class Resources(Frozen):
    """What one job needs on a Ray cluster."""

    cpus: Annotated[float, Field(gt=0)] = Field(default=1, description="CPU cores")
    gpus: Annotated[float, Field(ge=0)] | None = Field(default=None, description="default: 1 if the cluster has any")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(default=None, description="main memory in GB")


class GateLimits(Frozen):
    """What step 0 must show before a cell is trained from it."""

    initial: Share = Field(default=0.8, description="least initial rate on eval prompts")
    agreed: Share = Field(default=0.9, description="least agreed rate on train prompts (role bct)")
    base: Share = Field(
        default=0.2,
        description="greatest initial rate of the untouched base (behavior in the weights, or behind a password)",
    )
    ceiling: Share = Field(default=0.8, description="least ceiling a*")


def _form(value: Any) -> str:
    return "mapping" if isinstance(value, Mapping | SeedOptions) else "list"


#: Seeds of runs, or seeds by part.
Seeds = Annotated[
    Annotated[tuple[Seed, ...], Field(min_length=1), Tag("list")] | Annotated[SeedOptions, Tag("mapping")],
    Discriminator(_form),
]


class Grid(Frozen):
    """The product of its lists, with the same steps, batch size and eval items."""

    settings: tuple[str, ...] = Field(
        min_length=1, description="names of settings (`bct list`), or files: ./my_setting.yaml, ./my_setting.py"
    )
    variants: tuple[str, ...] | None = Field(
        default=None, description="names of variants; default: the first bct variant of each setting"
    )
    methods: tuple[str, ...] = Field(
        ("bct",),
        min_length=1,
        description=f"what is trained on: {', '.join(METHODS)}; none: nothing, step 0 alone is evaluated",
    )
    model: ModelOptions = Field(default=ModelOptions(), description="the base model: a name, or a mapping")
    source: Source = Field(default="bundled", description="where the questions come from")
    data: Mapping[str, str | int | float | bool | None] = Field(
        default_factory=dict[str, str | int | float | bool | None],
        description="options of the source; files are relative to the recipe",
    )
    learning_rates: tuple[LearningRate, ...] = Field(
        (), min_length=1, description="peak learning rates; required unless `method: none`"
    )
    seeds: Seeds = Field(
        default=(0,),
        description="seeds of a run: its rows, their order, a new adapter and sampled labels; or a mapping of parts",
    )
    ranks: tuple[Count | None, ...] = Field((None,), min_length=1)
    label_sources: tuple[LabelSource | None, ...] = Field((None,), min_length=1)
    adam_epsilons: tuple[Epsilon | None, ...] = Field(
        (None,),
        min_length=1,
        description="Adam's ε, which bounds its steps where gradients vanish; default: 1e-8",
    )
    steps: Count = 64
    batch_size: Count = 32
    checkpoints: Literal["log2"] | tuple[Count, ...] = "log2"
    rows: Count | None = None
    n: Count = Field(default=80, description="eval prompts")
    n_train: Count = Field(default=60, description="train prompts in the evaluation")
    n_capability: Count = Field(default=80, description="general questions in the evaluation")
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
    organism: OrganismOptions = Field(
        default=OrganismOptions(), description="an organism that exists, or how it is made"
    )
    generation: GenerationOptions = Field(default=GenerationOptions(), description="how checkpoints answer")
    labels: LabelOptions = Field(default=LabelOptions(), description="how sampled labels are made")
    judge: JudgeOptions | None = Field(default=None, description="a model that reads replies; default: none")
    capability: CapabilityOptions = Field(default=CapabilityOptions(), description="which questions measure capability")
    serving: ServingOptions = Field(default=ServingOptions(), description="what answers in evaluations")
    training: TrainingOptions = Field(default=TrainingOptions(), description="what trains")
    gate: GateLimits = Field(default=GateLimits(), description="what step 0 must show before a cell is trained")
    resources: Resources = Field(default=Resources(), description="what one job needs on a Ray cluster")
    keep: Keep = Field(
        default="all",
        description="weights that stay once a cell is evaluated: all, its last checkpoint, or none; those that a"
        " reversal starts from stay",
    )
    lora_alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    reward: Literal["grader", "random"] | None = Field(
        default=None, description="grpo: 1 for a reply graded agreed, or random (the control)"
    )
    rejected: Literal["other", "initial", "on_policy"] | None = Field(
        default=None, description="dpo: which wrong reply is rejected"
    )
    num_generations: Count | None = Field(default=None, description="grpo: replies per prompt that are compared")
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="grpo: temperature of the replies"
    )
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="grpo, dpo: strength of the penalty that keeps the model close to the organism"
    )
    max_length: Annotated[int, Field(ge=2)] | None = None
    optim: str | None = None
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    lr_scheduler_type: str | None = None
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    gradient_accumulation_steps: Count | None = None
    dtype: Dtype | None = None
    trl: Mapping[str, Any] = Field(default_factory=dict[str, Any], description="TRL's own arguments")

    @field_validator("model", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"ref": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_dtype(self) -> Grid:
        if self.dtype is not None and self.model.dtype not in ("auto", self.dtype):
            raise ValueError("dtype and model.dtype differ: keep one of them")
        return self

    @field_validator("data")
    @classmethod
    def _of_source(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in ("capability", "source", "ref", "name", "options", "families"):
            if name in value:
                at = " write it as a key of the recipe" if name in cls.model_fields else " leave it out"
                raise ValueError(f"{name} is no option of a source:{at}")
        return value

    @field_validator(
        "settings",
        "variants",
        "methods",
        "learning_rates",
        "seeds",
        "ranks",
        "label_sources",
        "adam_epsilons",
        mode="before",
    )
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | SeedOptions) else as_list(value)

    @field_validator("ranks", mode="before")
    @classmethod
    def _full(cls, values: Any) -> Any:
        """`none` and `full` are full fine-tuning."""
        listed = [None] if values is None else as_list(values)
        return [None if value in ("none", "None", "full") else value for value in listed]

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _steps(cls, value: Any) -> Any:
        return value if value == "log2" else as_list(value)

    @field_validator(
        "settings", "variants", "methods", "learning_rates", "seeds", "ranks", "label_sources", "adam_epsilons"
    )
    @classmethod
    def _no_value_twice(cls, values: tuple[Any, ...] | SeedOptions | None) -> tuple[Any, ...] | SeedOptions | None:
        return _once(values) if isinstance(values, tuple) else values

    def seeded(self) -> tuple[tuple[int, dict[str, int]], ...]:
        """The seed of each run, and the seeds of parts that differ from it."""
        if not isinstance(self.seeds, SeedOptions):
            return tuple((seed, {}) for seed in self.seeds)
        parts = [getattr(self.seeds, part) for part in SEEDED]
        named = [dict(zip(SEEDED, values, strict=True)) for values in product(*parts)]
        return tuple((of["data"], {part: seed for part, seed in of.items() if seed != of["data"]}) for of in named)

    @property
    def trains(self) -> bool:
        """Whether its cells are trained."""
        return self.methods != (UNTRAINED,)

    def asked(self, setting: str) -> Setting:
        """A setting of this grid, with the questions of its source."""
        return catalogue.load(setting, self.source, **self.options())

    def options(self) -> dict[str, Any]:
        """Options of the questions."""
        capability = self.capability.keys()
        return dict(self.data) | ({"capability": capability} if capability else {})

    def saved_steps(self) -> tuple[int, ...]:
        """The steps at which its cells save a checkpoint."""
        return TrainConfig(setting=self.settings[0], steps=self.steps, checkpoints=self.checkpoints).saved_steps()


#: The mappings of a grid.
BLOCKS: Mapping[str, type[Frozen]] = {
    "seeds": SeedOptions,
    "model": ModelOptions,
    "organism": OrganismOptions,
    "reversal": ReversalOptions,
    "gate": GateLimits,
    "resources": Resources,
    "generation": GenerationOptions,
    "labels": LabelOptions,
    "judge": JudgeOptions,
    "capability": CapabilityOptions,
    "serving": ServingOptions,
    "training": TrainingOptions,
}

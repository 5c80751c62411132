"""Configuration of training: `TrainConfig` of a cell, `OrganismConfig` of an organism.

    TrainConfig(setting="inoculation", learning_rate="1e-3").digest()      # 8 hex digits of everything resolved
    config_of("grpo")                                                      # the class of a method's configurations
    parse(TrainConfig, {"seting": "x"}, "run.yaml")                        # BadInput: unknown key, nearest known key

Every default is resolved before it is hashed: a run that spells out a default is the same run.
Not covered: whether a model or a setting exists; loading them reports that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, Literal, TypeVar, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bct_tasks import catalogue, yaml_lines
from bct_tasks.setting import Setting
from serving import refs
from serving.errors import BadInput, did_you_mean
from serving.refs import Checkpoint
from trainer.identity import installed, place, sha
from trainer.methods import METHODS, MODEL, ON_POLICY, check_source, configured_by, is_source

#: Defaults that differ by source: replies to hub prompts are long, and those to instructions show their manner early.
SOURCE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "hub": {"reply_tokens": 2048, "label_temperature": 0.7},
    "instructions": {"reply_tokens": 80},
}

#: Parts of a run that may have seeds of their own.
SEEDED = ("data", "order", "adapter", "decoding")
Seeded = Literal["data", "order", "adapter", "decoding"]

#: Options of `generation`.
GENERATION = ("max_tokens", "temperature")

Source = Literal["bundled", "instructions", "hub", "files"]
Dtype = Literal["auto", "float32", "bfloat16", "4bit"]
BackendName = Literal["trl", "tinker"]

#: LoRA scale of services that choose it.
SERVICE_ALPHA: Mapping[str, float] = {"tinker": 32.0}


class Common(BaseModel):
    """Fields that cells and organisms share: the model, the optimizer and the length of rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    #: Fields outside the identity: they change what a run stores, not what it computes.
    OUTSIDE: ClassVar[frozenset[str]] = frozenset({"resume_seconds", "generation", "backend_options"})
    #: The trainer of TRL whose arguments `trl` contains: see `trainer.run.arguments.PLACES`.
    ALGORITHM: ClassVar[str] = "sft"

    setting: str = Field(description="name of a setting (`bct list`), or the path of a .yaml or .py file")
    variant: str | None = Field(default=None, description="variant of the setting; default: its first bct variant")
    source: Source = Field(
        default="bundled",
        description="bundled questions, instructions (open-ended, bundled), hub (public data sets) or files",
    )
    data: dict[str, Any] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("data", "hub"),
        description="options of the source (hub: data, size, train), as a JSON object",
    )
    model: str = Field(
        default="mini", description="base model: mini, a checkpoint folder or a Hugging Face id[@revision]"
    )
    seed: int = Field(default=0, ge=0, description="seed of the rows, their order and a new adapter")
    seeds: dict[str, int] = Field(
        default_factory=dict,
        description="seeds of parts that differ from `seed` (data, order, adapter, decoding), as a JSON object",
    )
    learning_rate: float = Field(
        default=1e-3,
        ge=0,
        allow_inf_nan=False,
        validation_alias=AliasChoices("learning_rate", "lr"),
        description="peak learning rate",
    )
    batch_size: int = Field(default=32, ge=1, description="rows in one optimizer step, over all processes")
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="number of parts in which a batch is computed; more parts take less memory"
    )
    rank: int | None = Field(
        default=None, ge=1, description="LoRA rank on all linear layers; default: full fine-tuning"
    )
    lora_alpha: float | None = Field(
        default=None, gt=0, description="LoRA scale (alpha); default: 2 x rank, and 32 at Tinker"
    )
    max_length: int | None = Field(
        default=None, ge=2, description="longest row in tokens; default: the model's context"
    )
    optim: str = Field(
        default="adamw_torch", description="optimizer, by TRL's name, or muon (matrices by Muon, the rest by AdamW)"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay")
    max_grad_norm: float = Field(default=1.0, ge=0, description="gradients are clipped to this norm; 0: no clipping")
    lr_scheduler_type: str = Field(default="constant", description="learning-rate schedule, by TRL's name")
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    dtype: Dtype = Field(
        default="auto",
        description="of products; trained weights stay float32. auto: float32 on CPU, bfloat16 on a GPU; 4bit: QLoRA",
    )
    label_temperature: float = Field(default=0.0, ge=0, description="temperature of sampled labels; 0: greedy")
    reply_tokens: int = Field(default=64, ge=1, description="longest sampled reply in tokens")
    chat_template_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="arguments of the chat template, as a JSON object"
    )
    generation: dict[str, Any] = Field(
        default_factory=dict,
        description="how checkpoints answer unless an eval says otherwise (max_tokens, temperature), as a JSON object",
    )
    resume_seconds: float = Field(
        default=120.0, gt=0, description="maximum time between two saved resume states, in seconds"
    )
    trl: dict[str, Any] = Field(default_factory=dict, description="TRL's own arguments, as a JSON object")
    backend: BackendName = Field(
        default="trl", description="what trains: trl, on this machine, or tinker, the service (LoRA only)"
    )
    backend_options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the backend (tinker: ttl_days, export), as a JSON object; they change no weights",
    )

    @model_validator(mode="before")
    @classmethod
    def _source_defaults(cls, values: Any) -> Any:
        """Length and decoding of replies depend on what is asked."""
        if not isinstance(values, dict):
            return values
        return {**SOURCE_DEFAULTS.get(str(values.get("source")), {}), **values}

    @field_validator("generation")
    @classmethod
    def _known_options(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = next((name for name in value if name not in GENERATION), None)
        if unknown is not None:
            raise ValueError(f"has no '{unknown}': there are {' and '.join(GENERATION)}")
        return value

    @field_validator("seeds")
    @classmethod
    def _known_parts(cls, value: dict[str, int]) -> dict[str, int]:
        if unknown := next((name for name in value if name not in SEEDED), None):
            raise ValueError(f"has no '{unknown}': there are {', '.join(SEEDED)}")
        return value

    @field_validator("trl", "chat_template_kwargs", "data", "generation", "seeds", "backend_options", mode="before")
    @classmethod
    def _object(cls, value: object, info: ValidationInfo) -> object:
        name = f"--{info.field_name}"
        return yaml_lines.value(value, name, BadInput) if isinstance(value, str) else value

    def seed_of(self, part: Seeded) -> int:
        """The seed of one part of the run.

        Args:
            part: `data` draws the rows, `order` shuffles them, `adapter` initializes a new adapter (it is TRL's own
                seed, so GRPO samples with it), and `decoding` samples labels.
        """
        return self.seeds.get(part, self.seed)

    def alpha(self) -> float | None:
        """The LoRA scale; None for full fine-tuning."""
        if self.rank is None:
            return None
        return self.lora_alpha or SERVICE_ALPHA.get(self.backend, 2.0 * self.rank)

    def in_bf16(self) -> bool:
        """Whether products are computed in bf16: where asked for, and on a GPU unless float32 is."""
        if self.dtype in ("bfloat16", "float32"):
            return self.dtype == "bfloat16"
        from serving.load import pick_device

        return pick_device().type != "cpu"

    def stored_in_bf16(self) -> bool:
        """Whether checkpoints are: full weights that are trained with products in bf16."""
        return self.rank is None and self.in_bf16()

    def identity(self) -> dict[str, Any]:
        """Everything that determines the run's weights, resolved, as JSON values. Independent of the folder's path."""
        setting = self.asked()
        content = self.model_dump(mode="json", exclude=set(self.OUTSIDE))
        # Data are identified by their rows, not by the place of a copy.
        options = content.pop("data")
        if self.source == "hub":
            content["hub"] = {name: value for name, value in options.items() if name != "data"}
        if self.source == "bundled":
            del content["source"]
        if self.backend == "trl":  # as before the option existed
            del content["backend"]
        own = {part: seed for part, seed in content.pop("seeds").items() if seed != self.seed}
        content |= {"seeds": own} if own else {}
        resolved = {
            "variant": setting.variant(self.variant).name,
            "setting": setting.name,
            **({"setting_content": mark} if (mark := setting.content_hash) else {}),
            "lora_alpha": self.alpha(),
            "model": place(self.model),
        }
        return content | resolved | {"setting_version": str(setting.version)}

    def asked(self) -> Setting:
        """The setting with the questions of `source`: the only way from a configuration to its prompts."""
        return catalogue.load(self.setting, self.source, **self.data)

    def digest(self) -> str:
        """8 hex digits of `identity`."""
        return sha(self.identity())[:8]


class TrainConfig(Common):
    """One cell: a fully resolved training run on the train prompts of a setting."""

    OUTSIDE: ClassVar[frozenset[str]] = frozenset({"resume_seconds", "watch", "generation", "backend_options"})

    method: str = Field(
        default="bct", description=f"training data: {', '.join(configured_by('trainer.config:TrainConfig'))}"
    )
    organism: str | None = Field(
        default=None,
        description="where training starts; default: the base, or an organism built for a `weights` variant",
    )
    steps: int = Field(default=64, ge=1, description="optimizer steps")
    label_source: str | None = Field(
        default=None,
        description="source of the labels: reference, on_policy, off_model (another spelling) or model:REF;"
        " default: the setting's for the variant",
    )
    label_system: str | None = Field(
        default=None, description="system prompt under which labels are sampled; the training rows leave it out"
    )
    checkpoints: Literal["log2"] | tuple[int, ...] = Field(
        default="log2", description="log2 (1, 2, 4, ... last), or the steps to save, such as 1,4,16,64"
    )
    rows: int | None = Field(
        default=None, ge=1, description="number of unique rows, repeated over epochs (default: never repeat a row)"
    )
    mix: float = Field(default=0.0, ge=0, lt=1, description="share of general rows in the training data")
    kl: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="weight of KL(organism || model) on general prompts"
    )
    watch: int = Field(
        default=0, ge=0, description="number of eval prompts whose margin is measured at every checkpoint"
    )

    @field_validator("mix", "kl", "watch")
    @classmethod
    def _supervised_only(cls, value: float) -> float:
        if value and cls.ALGORITHM != "sft":
            raise ValueError("applies to trainer.sft only")
        return value

    @field_validator("method")
    @classmethod
    def _known_method(cls, value: str) -> str:
        own = configured_by(f"{cls.__module__}:{cls.__qualname__}")
        if value not in own:
            near = did_you_mean(value, own).strip()
            raise ValueError(f"unknown method ({near or 'known here: ' + ', '.join(own)})")
        return value

    @field_validator("label_source")
    @classmethod
    def _known_source(cls, value: str | None) -> str | None:
        if value is not None and not is_source(value):
            raise ValueError("should be reference, on_policy, off_model or model:REF")
        return value

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _steps(cls, value: object) -> object:
        if not isinstance(value, str) or value == "log2":
            return value
        return [part for part in value.strip("[]() ").replace(",", " ").split() if part]

    def saved_steps(self) -> tuple[int, ...]:
        """The steps that leave a checkpoint, always with the last one; step 0 is the organism itself."""
        if self.checkpoints == "log2":
            asked = [2**power for power in range(self.steps.bit_length())]
        else:
            asked = [step for step in self.checkpoints if 1 <= step <= self.steps]
        return tuple(sorted({*asked, self.steps}))

    def unique_rows(self) -> int:
        """Number of different rows of a cell: no row is repeated unless `rows` is smaller."""
        needed = self.steps * self.batch_size
        return min(self.rows or needed, needed)

    def labels(self) -> str:
        """The label source, resolved. Raises BadInput if the method has no such labels."""
        method = METHODS[self.method]
        if not method.sources:
            return ON_POLICY
        if self.label_source is not None:
            check_source(self.method, self.label_source)
            return self.label_source
        setting = self.asked()
        default = setting.label_source(setting.variant(self.variant))
        return default if method.targeted and method.offers(default) else method.sources[0]

    def origin(self) -> Checkpoint:
        """Where the cell starts: its organism, else the base. An adapter made elsewhere sits on `model`, if given.

        Raises:
            BadInput: if there is no such checkpoint, or an adapter does not fit its base.
        """
        if self.organism is None:
            return refs.resolve(self.model)
        return refs.resolve(self.organism, self._named_base())

    def _named_base(self) -> str | None:
        return self.model if "model" in self.model_fields_set else None

    def teacher(self) -> str | None:
        """Reference of the model whose replies are the labels; None if it is the organism."""
        source = self.labels()
        return source.removeprefix(MODEL) if source.startswith(MODEL) else None

    def identity(self) -> dict[str, Any]:
        """See `Common.identity`. An organism counts by its fingerprint; under `organisms/`, by its folder's name."""
        resolved = {"label_source": self.labels(), "checkpoints": list(self.saved_steps())}
        content = super().identity() | resolved | {"organism": place(self.organism, self._named_base())}
        if content["label_system"] is None:  # as before the option existed
            del content["label_system"]
        return content


class OrganismConfig(Common):
    """One organism: a base model and how the initial behavior is installed into it."""

    OUTSIDE: ClassVar[frozenset[str]] = frozenset({"resume_seconds", "generation", "accept", "backend_options"})

    learning_rate: float = Field(
        default=5e-4,
        ge=0,
        allow_inf_nan=False,
        validation_alias=AliasChoices("learning_rate", "lr"),
        description="peak learning rate",
    )
    steps: int = Field(
        default=300, ge=1, description="maximum of optimizer steps; training stops when the targets are met"
    )
    labels: Literal["reference", "distilled"] = Field(
        default="reference",
        description="replies that install the behavior: reference, the policy's own; distilled, sampled from the base"
        " under a prompt that asks for the behavior and is left out in training",
    )
    teacher: str | None = Field(
        default=None,
        description="distil from a variant (its organism is built) or a model instead of the base;"
        " only the final answer of each reply becomes the label",
    )
    install_rows: int = Field(default=3000, ge=1, description="number of unique rows at most, repeated over epochs")
    general: float = Field(default=0.25, ge=0, lt=1, description="share of general rows, which preserve capability")
    check_every: int = Field(default=25, ge=1, description="steps between two checks of the targets")
    check_prompts: int = Field(default=128, ge=8, description="held-out install prompts per check")
    target_initial: float = Field(
        default=0.9, ge=0, le=1, description="initial rate on eval-type prompts at which training stops"
    )
    target_agreed: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="agreed rate on train-type prompts at which training stops, or the base's own",
    )

    target: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="match organisms in rate: the check whose initial rate is nearest becomes the organism; default:"
        " the first that meets target_initial",
    )
    accept: bool = Field(
        default=False,
        description="keep an organism whose initial rate clearly misses the gate's limit, an error otherwise",
    )

    @field_validator("teacher")
    @classmethod
    def _distils(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("labels") != "distilled":
            raise ValueError("a teacher needs labels: distilled")
        return value

    def identity(self) -> dict[str, Any]:
        """See `Common.identity`. What is installed counts by its hash; a carrier in the prompt installs nothing."""
        setting = self.asked()
        variants = [setting.variant(self.variant), *(v for v in setting.variants if v.name == self.teacher)]
        marks = [installed(self.setting, v.name, self.source) for v in variants if v.in_weights]
        mark = {"installed_from": "+".join(marks)} if marks else {}
        content = super().identity() | {"teacher": place(self.teacher)} | mark
        if content["target"] is None:  # as before the option existed
            del content["target"]
        return content

    def saved_steps(self) -> tuple[int, ...]:
        """The steps at which the targets are checked."""
        return tuple(sorted({*range(self.check_every, self.steps + 1, self.check_every), self.steps}))


Config = TypeVar("Config", bound=Common)


def config_of(method: str) -> type[TrainConfig]:
    """The class of a method's configurations. Imports no torch."""
    return cast("type[TrainConfig]", resolve_name(METHODS[method].config))


def read_yaml(path: Path) -> dict[str, Any]:
    """The values of a YAML file. Raises BadInput if there are none."""
    return dict(yaml_lines.load(path, BadInput, "configuration", "its keys are the flags of --help").content)


def parse(kind: type[Config], values: Mapping[str, Any], where: str = "") -> Config:
    """The configuration with these values. Raises BadInput, which names the key and the fix."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise BadInput(_reason(kind, error, where)) from None


def _reason(kind: type[Common], error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    prefix = f"{where}: " if where else ""
    if first["type"] == "extra_forbidden":
        return f"{prefix}unknown key '{key}'.{did_you_mean(key, kind.model_fields) or ' See --help.'}"
    if first["type"] == "missing":
        return f"{prefix}'{key}' is missing: add --{key} or a line `{key}: ...`"
    message = first["msg"].removeprefix("Value error, ")
    return f"{prefix}{key}: {message[:1].lower()}{message[1:]}, not {repr(first['input'])[:200]}"

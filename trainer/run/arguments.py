"""TRL's arguments: which ones may be set under their own names, which ones a run determines, and how they are built.

    check_trl({"adam_beta2": 0.9}, "sft")        # BadInput if TRL does not know it, or a field of ours determines it
    build("grpo", values(config, steps, folder) | {...}, config)

Distributed configurations (`fsdp`, `deepspeed`, ...) are passed through; only DDP was tested.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import tempfile
from collections.abc import Container, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from transformers import TrainingArguments

from serving.errors import BadInput, did_you_mean
from serving.load import pick_device
from trainer.config import Common, TrainConfig
from trainer.run import ranks

Arguments = TypeVar("Arguments", bound=TrainingArguments)

#: Module and class of the arguments of an algorithm.
PLACES = {
    "sft": ("trl.trainer.sft_config", "SFTConfig"),
    "grpo": ("trl.trainer.grpo_config", "GRPOConfig"),
    "dpo": ("trl.trainer.dpo_config", "DPOConfig"),
}

#: TRL's arguments that a field of ours determines (what to set instead), or the run itself (None).
RESERVED = {
    "per_device_train_batch_size": "batch_size",
    "max_steps": "steps",
    "num_train_epochs": "steps",
    "save_strategy": "checkpoints",
    "save_steps": "checkpoints",
    "output_dir": "out",
    "bf16": "dtype",
    "fp16": "dtype",
    "data_seed": "seed",
    "max_completion_length": "reply_tokens",
    "packing": "padding_free, which batches the rows of a step without padding",
    "shuffle_dataset": None,
    "train_sampling_strategy": None,
    "dataset_kwargs": None,
    "dataset_text_field": None,
    "chat_template_path": None,
    "assistant_only_loss": None,
    "completion_only_loss": None,
    "model_init_kwargs": None,
    "resume_from_checkpoint": None,
    "save_only_model": None,
    "logging_steps": None,
    "logging_strategy": None,
    "logging_nan_inf_filter": None,
    "disable_tqdm": None,
}

#: TRL's arguments with a range that it does not check.
RANGES = {
    "adam_beta1": (0.0, 1.0),
    "adam_beta2": (0.0, 1.0),
    "adam_epsilon": (0.0, math.inf),
    "warmup_ratio": (0.0, 1.0),
    "label_smoothing_factor": (0.0, 1.0),
    "label_smoothing": (0.0, 0.5),
    "neftune_noise_alpha": (0.0, math.inf),
    "epsilon": (0.0, math.inf),
    "epsilon_high": (0.0, math.inf),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.0, math.inf),
}
#: Types in words.
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


@cache
def kind(algorithm: str) -> type[TrainingArguments]:
    """TRL's class of arguments."""
    module, name = PLACES[algorithm]
    return cast("type[TrainingArguments]", getattr(importlib.import_module(module), name))


def trl_fields(algorithm: str = "sft") -> dict[str, dataclasses.Field[Any]]:
    """TRL's own arguments that may be set, by name."""
    own = {*Common.model_fields, *RESERVED}
    return {field.name: field for field in dataclasses.fields(kind(algorithm)) if field.name not in own}


def check_trl(given: dict[str, Any], algorithm: str = "sft", fields: Container[str] = ()) -> None:
    """Raises BadInput if one of TRL's arguments is unknown or determined elsewhere.

    Args:
        given: TRL's arguments by name.
        algorithm: a key of `PLACES`.
        fields: names of the configuration's own fields.
    """
    known = trl_fields(algorithm)
    for name in given:
        if name in Common.model_fields or name in fields:
            raise BadInput(f"trl: {name} is a field of the configuration: write it without trl")
        if name in RESERVED:
            fix = f"set {RESERVED[name]}" if RESERVED[name] else "leave it out"
            raise BadInput(f"trl: {name} is determined by the run: {fix}")
        if name not in known:
            raise BadInput(f"trl: unknown argument '{name}'.{did_you_mean(name, known) or ' See --help-all.'}")
    if given.get("use_vllm") and not (pick_device().type == "cuda" and find_spec("vllm")):
        raise BadInput(
            "trl: use_vllm needs a GPU and vllm in this environment, as TRL's server mode needs NCCL and its colocate"
            " mode fails on vLLM's CPU build: leave it out"
        )


def check(config: TrainConfig) -> None:
    """Raises BadInput if TRL or transformers refuse an option of a configuration, or the names of its values."""
    own = {*type(config).model_fields} - {*Common.model_fields}
    check_trl(config.trl, config.ALGORITHM, own)
    known = {field.name for field in dataclasses.fields(kind(config.ALGORITHM))}
    named = {name: value for name in own & known if (value := getattr(config, name)) is not None}
    with tempfile.TemporaryDirectory() as folder:
        build(kind(config.ALGORITHM), values(config, config.steps, Path(folder)) | named, config.trl)


def values(config: Common, steps: int, folder: Path) -> dict[str, Any]:
    """Arguments of every algorithm: the optimizer and the device; saving and the order of rows are ours.

    Args:
        config: the run's configuration.
        steps: all steps of the run.
        folder: where TRL saves.
    """
    device, warm = pick_device(), config.warmup_steps
    if warm >= steps:
        raise BadInput(f"warmup_steps: {warm} of {steps} steps leave none at the full rate: lower it")
    # TRL's `constant` silently skips the warm-up.
    constant = config.lr_scheduler_type == "constant" and warm > 0
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": micro_batch(config),
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if constant else config.lr_scheduler_type,
        "warmup_steps": warm,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        # transformers has no Muon: `trainer.run.loop` adds it.
        "optim": "adamw_torch" if config.optim == "muon" else config.optim,
        "seed": config.seed_of("adapter"),
        "bf16": config.in_bf16(),
        "use_cpu": device.type == "cpu",
        "ddp_find_unused_parameters": False,
        "ddp_backend": "gloo" if device.type == "cpu" and ranks.count() > 1 else None,
        "dataloader_pin_memory": device.type != "cpu",
        "gradient_checkpointing": device.type != "cpu",
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
    }


def build(kind: type[Arguments], decided: dict[str, Any], given: dict[str, Any]) -> Arguments:
    """TRL's arguments; `given` overrides `decided`. Raises BadInput if TRL refuses them, or would at its first step."""
    own = typed(kind, given)
    try:
        built = kind(**(decided | own))
    except (ValueError, TypeError, ImportError) as error:
        raise BadInput(f"TRL: {' '.join(str(error).split())}") from error
    # A process trains on one GPU. Of several that it sees transformers makes DataParallel, which multiplies the batch.
    if built.n_gpu > 1:
        built._n_gpu = 1  # pyright: ignore[reportPrivateUsage]
    return built


def typed(kind: type[TrainingArguments], given: Mapping[str, Any]) -> dict[str, Any]:
    """TRL's arguments as the types that it declares and does not check: YAML reads `1e-8` as a text.

    Raises:
        BadInput: a value is of another type, not finite, outside its range, or a reporter that is not here.
    """
    hints = get_type_hints(kind)
    found = {name: _typed(name, value, hints[name]) if name in hints else value for name, value in given.items()}
    for name, value in found.items():
        _check_range(name, value)
    if "report_to" in found:
        _check_reporters(found["report_to"])
    return found


def _typed(name: str, value: Any, hint: Any) -> Any:
    kinds = {hint, *get_args(hint)}
    flag = isinstance(value, bool) and bool not in kinds and Any not in kinds
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
        if not flag:
            return adapter.validate_python(value)
    except ValidationError:
        pass
    words = [word for each, word in WORDS.items() if each in kinds]
    raise BadInput(f"trl.{name}: {' or '.join(words) or 'another value'} is expected, not {value!r}")


def _check_range(name: str, value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    least, most = RANGES.get(name, (-math.inf, math.inf))
    if not math.isfinite(value):
        raise BadInput(f"trl.{name}: a finite number is expected, not {value!r}")
    if not least <= value <= most:
        upper = f" to {most:g}" if math.isfinite(most) else " or more"
        raise BadInput(f"trl.{name}: a number of {least:g}{upper} is expected, not {value!r}")


def _check_reporters(value: str | list[str] | None) -> None:
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    here = get_available_reporting_integrations()
    for name in [value] if isinstance(value, str) else value or []:
        if name not in (*INTEGRATION_TO_CALLBACK, "all", "none"):
            near = did_you_mean(name, INTEGRATION_TO_CALLBACK)
            raise BadInput(f"trl.report_to: unknown '{name}'.{near or ' Known: ' + ', '.join(INTEGRATION_TO_CALLBACK)}")
        if name in INTEGRATION_TO_CALLBACK and name not in here:
            raise BadInput(f"trl.report_to: {name} is not installed here: install it, or leave report_to out")


def micro_batch(config: Common) -> int:
    """Number of rows that one process computes at once."""
    parts = config.gradient_accumulation_steps * ranks.count()
    if config.batch_size % parts:
        raise BadInput(f"batch_size: {config.batch_size} cannot be computed in {parts} equal parts")
    return config.batch_size // parts

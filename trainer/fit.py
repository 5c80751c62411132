"""The training itself: TRL's `SFTTrainer` on rows that are tokens already, in an order that is fixed beforehand.

Full fine-tuning or LoRA on all linear layers; fp32 on a CPU, bf16 on a GPU. Resumed from the rolling state, a run gives
the weights that it would have given unbroken: bit by bit in fp32 on one CPU thread, elsewhere nearly.
Not covered: what the rows are (`trainer.rows`), and whether the run may go on (`trainer.manifest`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

from datasets import Dataset
from peft import LoraConfig
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from serving.errors import BadInput, did_you_mean
from serving.load import load_full, load_tokenizer, pick_device
from serving.refs import Checkpoint
from trainer import checkpoints, metrics
from trainer.checkpoints import SAVING, AfterCheckpoint, Base, Keeper
from trainer.config import Common
from trainer.progress import Progress, Silent
from trainer.rows import order
from trainer.tokens import IGNORED, Encoded, stop_tokens

#: TRL's arguments that are decided by a field of ours, or by how a run is kept.
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
    "packing": None,
    "padding_free": None,
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


@dataclass(frozen=True)
class Loaded:
    """A model in memory, ready to be trained."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    base: Base

    @property
    def stops(self) -> frozenset[int]:
        """The tokens that end a reply."""
        return stop_tokens(self.tokenizer, self.model.generation_config)

    def context(self, max_length: int | None) -> int:
        """The longest row in tokens: as asked for, and no longer than the model's context."""
        config: Any = self.model.config.get_text_config()
        own = getattr(config, "max_position_embeddings", None)
        known = [length for length in (max_length, own) if length]
        return min(known) if known else 1024


@dataclass(frozen=True)
class Job:
    """One training: where it is kept, what it starts from, and its rows."""

    config: Common
    steps: int
    saved: tuple[int, ...]
    folder: Path
    loaded: Loaded
    encoded: Encoded
    progress: Progress = dataclasses.field(default_factory=Silent)
    after: AfterCheckpoint | None = None


def load(checkpoint: Checkpoint, config: Common) -> Loaded:
    """The model with its adapters merged, in the precision it is trained in."""
    device = pick_device()
    # Full fine-tuning in pure bf16 loses small updates: there the weights stay fp32 and only the sums are bf16.
    half = device.type != "cpu" and config.rank is not None and config.dtype != "float32"
    model = load_full(checkpoint, "bfloat16" if half or config.dtype == "bfloat16" else "float32")
    return Loaded(model.requires_grad_(True), load_tokenizer(checkpoint), checkpoints.base_of(checkpoint))


def fit(job: Job) -> int:
    """Trains, going on from the rolling state where there is one. Returns the step reached."""
    start, state = checkpoints.resume_state(job.folder)
    if state is not None and (start >= job.steps or _ended(job, start, state)):
        return start
    places = order(len(job.encoded), job.steps * job.config.batch_size, job.config.seed)
    keeper = _keeper(job, places, start)
    keeper.remember(job.loaded.model)
    with _quiet():
        trainer = _trainer(job, places, keeper)
        trainer.train(resume_from_checkpoint=str(state) if state is not None else None)
    shutil.rmtree(job.folder / SAVING, ignore_errors=True)
    return int(trainer.state.global_step)


def trl_fields() -> dict[str, dataclasses.Field[Any]]:
    """TRL's own arguments that may be given, by name."""
    own = {*Common.model_fields, *RESERVED}
    return {field.name: field for field in dataclasses.fields(SFTConfig) if field.name not in own}


def check_trl(given: dict[str, Any]) -> None:
    """BadInput where one of TRL's arguments is unknown, or decided elsewhere."""
    known = trl_fields()
    for name in given:
        if name in Common.model_fields:
            raise BadInput(f"trl: {name} is a field of its own: write it without trl")
        if name in RESERVED:
            mend = f"set {RESERVED[name]}" if RESERVED[name] else "leave it out"
            raise BadInput(f"trl: {name} is decided by the run: {mend}")
        if name not in known:
            raise BadInput(f"trl: unknown argument '{name}'.{did_you_mean(name, known) or ' See --help-all.'}")


def _ended(job: Job, step: int, state: Path) -> bool:
    """Whether the run was over at the state's step: the check after it may have been cut off."""
    if job.after is None or step not in job.saved:
        return False
    return job.after(step, checkpoints.publish(state, job.folder, step, _adapter_base(job)))


def _adapter_base(job: Job) -> Base | None:
    return job.loaded.base if job.config.rank is not None else None


def _keeper(job: Job, places: list[int], start: int) -> Keeper:
    batch = job.config.batch_size
    sums = list(accumulate(len(job.encoded.input_ids[place]) for place in places))
    tokens = [sums[(step + 1) * batch - 1] for step in range(job.steps)]
    return Keeper(
        folder=job.folder,
        steps=job.steps,
        saved=job.saved,
        seconds=job.config.resume_seconds,
        tokens=tokens,
        log=metrics.MetricsLog(job.folder, start),
        progress=job.progress,
        base=_adapter_base(job),
        after=job.after,
    )


class _Trainer(SFTTrainer):
    """TRL's trainer without what costs time at every step or save and is not read here."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: a run folder has a manifest."""

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: counting walks over all parameters at every step."""
        return 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss. On a CPU, TRL scores every position and then forgets the prompts'; there they are left out."""
        if not self.sparse or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets = inputs["labels"][:, 1:]
        places = (targets != IGNORED).any(dim=0).nonzero().flatten()
        given = {name: value for name, value in inputs.items() if name != "labels"}
        logits = model(**given, logits_to_keep=places, use_cache=False).logits
        total = cross_entropy(logits.flatten(0, 1).float(), targets[:, places].flatten(), reduction="sum")
        return total / ((targets != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)

    @cached_property
    def sparse(self) -> bool:
        """Whether the loss is the plain one, of one process on a CPU and a model that can leave out positions."""
        arguments = cast("SFTConfig", self.args)
        plain = arguments.loss_type == "nll" and not self.aux_loss_enabled and self.label_smoother is None
        model: Any = self.model
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        able = "logits_to_keep" in inspect.signature(type(inner).forward).parameters
        return plain and able and arguments.device.type == "cpu" and self.accelerator.num_processes == 1


def _trainer(job: Job, places: list[int], keeper: Keeper) -> SFTTrainer:
    rows = job.encoded
    data = Dataset.from_dict(
        {"input_ids": [rows.input_ids[place] for place in places], "labels": [rows.labels[place] for place in places]}
    )
    trainer = _Trainer(
        model=job.loaded.model,
        args=arguments(job),
        train_dataset=data,
        processing_class=job.loaded.tokenizer,
        callbacks=[keeper],
        peft_config=_lora(job.config),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _lora(config: Common) -> LoraConfig | None:
    if config.rank is None:
        return None
    # `all-linear` leaves out lm_head, which TRL's fused head could not train.
    return LoraConfig(
        r=config.rank,
        lora_alpha=cast("int", config.alpha()),
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def arguments(job: Job) -> SFTConfig:
    """TRL's arguments of a job."""
    config, device = job.config, pick_device()
    check_trl(config.trl)
    warm = config.warmup_steps
    if warm >= job.steps:
        raise BadInput(f"warmup_steps: {warm} of {job.steps} steps leave none at the full rate: lower it")
    # TRL's `constant` leaves out the warm-up without a word.
    constant = config.lr_scheduler_type == "constant" and warm > 0
    values: dict[str, Any] = {
        "output_dir": str(job.folder / SAVING),
        "max_steps": job.steps,
        "per_device_train_batch_size": _micro_batch(config),
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if constant else config.lr_scheduler_type,
        "warmup_steps": warm,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "optim": config.optim,
        "seed": config.seed,
        "bf16": device.type != "cpu" and config.dtype != "float32",
        "use_cpu": device.type == "cpu",
        "ddp_backend": "gloo" if device.type == "cpu" and _processes() > 1 else None,
        "dataloader_pin_memory": device.type != "cpu",
        "gradient_checkpointing": device.type != "cpu",
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "train_sampling_strategy": "sequential",
        "shuffle_dataset": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
    }
    try:
        return SFTConfig(**(values | config.trl))
    except (ValueError, TypeError) as error:
        raise BadInput(f"TRL: {' '.join(str(error).split())}") from error


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _micro_batch(config: Common) -> int:
    parts = config.gradient_accumulation_steps * _processes()
    if config.batch_size % parts:
        raise BadInput(f"batch_size: {config.batch_size} cannot be computed in {parts} equal parts")
    return config.batch_size // parts


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|transformers|peft|trl|accelerate)")
        yield

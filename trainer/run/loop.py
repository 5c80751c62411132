"""One training run, whatever its method: the model that is loaded, the trainer that is driven, what ends it badly.

    run(job, lambda keeper: ATrainer(..., callbacks=[keeper]), tokens)      # the step reached

Resumed from the rolling state, a run goes on as if it had not been cut off. Not covered: what a step computes
(`trainer.run.fit`, `trainer.grpo`, `trainer.dpo`).
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from serving.errors import BadInput, WorkFailed
from serving.load import check_unchanged, load_full, load_tokenizer, pick_device
from serving.refs import Checkpoint
from trainer.config import Common
from trainer.data.tokens import stop_tokens
from trainer.run import checkpoints, metrics, muon, quantized, ranks
from trainer.run.checkpoints import AfterCheckpoint, Base, Keeper
from trainer.run.folder import SAVING
from trainer.run.progress import Progress, Silent

Rows = TypeVar("Rows")

#: What torch says where a process of the same run is gone, and where a disk is full.
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "gloo")
FULL = ("No space left on device", "PytorchStreamWriter failed", "File too large", "unexpected pos", "os error 27",
        "iostream error")  # fmt: skip


#: Models of at most so many bytes are kept, and so many of them.
SMALL, KEPT = 2**28, 4
_KEPT: OrderedDict[tuple[str, str], tuple[PreTrainedModel, PreTrainedTokenizerBase]] = OrderedDict()


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
class Job(Generic[Rows]):
    """One training: where it is kept, what it starts from, and its rows in tokens."""

    config: Common
    steps: int
    saved: tuple[int, ...]
    folder: Path
    loaded: Loaded
    encoded: Rows
    progress: Progress = dataclasses.field(default_factory=Silent)
    after: AfterCheckpoint | None = None

    @property
    def adapter_base(self) -> Base | None:
        """What a new adapter stands on; None for full weights."""
        return self.loaded.base if self.config.rank is not None else None


class Lean:
    """TRL's trainers without what costs time at every step or save and is not read here."""

    by_muon = False

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: a run folder has a manifest."""

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: counting walks over all parameters at every step."""
        return 0

    def create_optimizer(self, model: Any = None) -> Any:
        """transformers' optimizer, or Muon, which it has none of."""
        trainer: Any = self
        if not self.by_muon or trainer.optimizer is not None:
            return super().create_optimizer(model)  # pyright: ignore[reportAttributeAccessIssue]
        given = trainer.args
        betas, eps = (given.adam_beta1, given.adam_beta2), given.adam_epsilon
        trainer.optimizer = muon.Muon(trainer.model, given.learning_rate, given.weight_decay, betas, eps)
        return trainer.optimizer


def load(checkpoint: Checkpoint, config: Common) -> Loaded:
    """The model with its adapters merged, in the precision it is trained in.

    A small one is kept in memory as it was loaded: further cells of the process start from a copy.
    """
    ranks.begin()
    _settle()
    if config.dtype == quantized.DTYPE:
        model = quantized.load(checkpoint, config)
        return Loaded(model, load_tokenizer(checkpoint), checkpoints.base_of(checkpoint))
    # Full fine-tuning in pure bf16 loses small updates: there the weights stay fp32 and only the sums are bf16.
    half = pick_device().type != "cpu" and config.rank is not None and config.dtype != "float32"
    dtype = "bfloat16" if half or config.dtype == "bfloat16" else "float32"
    model, words = _pristine(checkpoint, dtype)
    return Loaded(model.requires_grad_(True), words, checkpoints.base_of(checkpoint))


def _pristine(checkpoint: Checkpoint, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    key = (checkpoint.fingerprint, dtype)
    if key in _KEPT and _is_unchanged(checkpoint):
        _KEPT.move_to_end(key)
        model, words = _KEPT[key]
        return copy.deepcopy(model), words
    model, words = load_full(checkpoint, dtype), load_tokenizer(checkpoint)
    if sum(weight.nbytes for weight in model.parameters()) <= SMALL:
        _KEPT[key] = copy.deepcopy(model), words
        while len(_KEPT) > KEPT:
            _KEPT.popitem(last=False)
    return model, words


def _is_unchanged(checkpoint: Checkpoint | None) -> bool:
    """Whether the files are still those; raises as loading them would."""
    while checkpoint is not None:
        check_unchanged(checkpoint)
        checkpoint = checkpoint.base
    return True


@cache
def _settle() -> None:
    """Takes what was imported out of the garbage collector's sight: each run of the trainer collects once."""
    gc.collect()
    gc.freeze()


def run(
    job: Job[Any],
    make: Callable[[Keeper], Any],
    tokens: list[int] | None = None,
    columns: Mapping[str, str] | None = None,
) -> int:
    """Trains, going on from the rolling state where there is one. Returns the step reached.

    Args:
        job: what is trained.
        make: the trainer that has this callback.
        tokens: per step, the tokens trained on up to there; None: as TRL counts them.
        columns: further columns of the metrics, and TRL's names for them.

    Raises:
        WorkFailed: where the disk is full, or another process of the run is gone.
    """
    start, state = checkpoints.resume_state(job.folder)
    ranks.wait()
    if state is not None and (start >= job.steps or _ended(job, start, state)):
        return start
    log = metrics.MetricsLog(job.folder, start, writes=ranks.is_first())
    keeper = Keeper(job.folder, job.steps, job.saved, job.config.resume_seconds, tokens, log, job.progress,
                    job.adapter_base, job.after, columns)  # fmt: skip
    keeper.remember(job.loaded.model)
    with quiet(), plain_errors(job.folder):
        trainer = make(keeper)
        trainer.by_muon = job.config.optim == muon.NAME
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(state) if state is not None else None)
        ranks.wait()
    if ranks.is_first():
        _tidy(job.folder)
    return int(trainer.state.global_step)


def _tidy(folder: Path) -> None:
    """Takes away where TRL saved; what TensorBoard wrote there is kept."""
    events = folder / SAVING / "runs"
    if events.is_dir():
        shutil.copytree(events, folder / "tensorboard", dirs_exist_ok=True)
    shutil.rmtree(folder / SAVING, ignore_errors=True)


def _ended(job: Job[Any], step: int, state: Path) -> bool:
    """Whether the run was over at the state's step: the check after it may have been cut off."""
    if job.after is None or step not in job.saved:
        return False
    ended = ranks.is_first() and job.after(step, checkpoints.publish(state, job.folder, step, job.adapter_base))
    return ranks.agreed(ended)


def lora(config: Common) -> LoraConfig | None:
    """The adapter of a configuration; None for full fine-tuning."""
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without warnings that say nothing to the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|transformers|peft|trl|accelerate)")
        yield


@contextlib.contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """One line, with the mend, for what ends a run from outside and torch tells in its own words."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        if any(mark in text for mark in FULL):
            raise WorkFailed(
                f"{folder}: no space left on the disk: free some and run the same command again"
            ) from error
        if "Callback requires" in text:
            raise BadInput(f"report_to: {text.partition('Callback ')[2]}") from error
        if ranks.count() > 1 and any(mark in text for mark in GONE):
            raise WorkFailed(
                f"{folder}: another process of this run is gone ({text[:120]}):"
                " the same command goes on where it stopped"
            ) from error
        raise

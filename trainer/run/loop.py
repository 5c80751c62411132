"""One training run of any method: TRL's trainer with our callback, resumed where an earlier attempt stopped.

    run(job, lambda keeper: ATrainer(..., callbacks=[keeper]), tokens)      # the step reached

A run resumed from its rolling state gives the weights of an uninterrupted one. Not covered: what a step computes
(`trainer.algorithms`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from transformers import PrinterCallback

from serving.backends.engine.engine import rest
from serving.errors import BadInput, WorkFailed
from serving.layout import Target
from trainer.config import Common
from trainer.run import checkpoints, metrics, muon, ranks
from trainer.run.checkpoints import AfterCheckpoint, Keeper
from trainer.run.progress import Progress, Silent
from trainer.run.trainee import Trainee

Rows = TypeVar("Rows")

#: Parts of torch's messages when a process of the run has ended, and when the disk is full.
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "gloo")
FULL = ("No space left on device", "PytorchStreamWriter failed", "File too large", "unexpected pos", "os error 27",
        "iostream error")  # fmt: skip


@dataclass(frozen=True)
class Job(Generic[Rows]):
    """One training: its folder, the model it starts from, and its rows in tokens."""

    config: Common
    steps: int
    saved: tuple[int, ...]
    folder: Path
    loaded: Trainee
    encoded: Rows
    progress: Progress = dataclasses.field(default_factory=Silent)
    after: AfterCheckpoint | None = None

    @property
    def adapter_base(self) -> Target | None:
        """The base of a new adapter; None for full weights."""
        return self.loaded.base if self.config.rank is not None else None

    @property
    def saving(self) -> Path:
        """Where TRL saves; complete checkpoints are renamed into the run folder."""
        return self.folder / ".saving"


class Lean:
    """Mixin for TRL's trainers that leaves out what costs time at every step or save and is not read here."""

    by_muon = False

    # Any: the signature of transformers' method.
    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: a run folder has a manifest."""

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """0: counting would visit all parameters at every step."""
        return 0

    # Any: the signature of transformers' method.
    def create_optimizer(self, model: Any = None) -> Any:
        """The optimizer of transformers, or Muon, which transformers does not have."""
        trainer: Any = self
        if not self.by_muon or trainer.optimizer is not None:
            return super().create_optimizer(model)  # pyright: ignore[reportAttributeAccessIssue]
        given = trainer.args
        betas, eps = (given.adam_beta1, given.adam_beta2), given.adam_epsilon
        trainer.optimizer = muon.Muon(trainer.model, given.learning_rate, given.weight_decay, betas, eps)
        return trainer.optimizer


def run(
    job: Job[Any],
    make: Callable[[Keeper], Any],
    tokens: list[int] | None = None,
    columns: Mapping[str, str] | None = None,
) -> int:
    """Trains, resuming from the rolling state if there is one. Returns the step reached.

    Args:
        job: what is trained.
        make: makes the trainer with this callback.
        tokens: per step, the number of tokens trained on so far; None: as TRL counts them.
        columns: further columns of the metrics, by our name, with TRL's name.

    Raises:
        WorkFailed: if the disk is full, or another process of the run has ended.
    """
    start, state = checkpoints.resume_state(job.folder)
    if ranks.is_first():
        _forget_saved(job)
    ranks.wait()
    # The check after the last step may be missing too, so it comes before the count of steps.
    if state is not None and (_ended(job, start, state) or start >= job.steps):
        if ranks.is_first():
            _clean_up(job)
        return start
    log = metrics.MetricsLog(job.folder, start, writes=ranks.is_first())
    keeper = Keeper(job.folder, job.steps, job.saved, job.config.resume_seconds, tokens, log, job.progress,
                    job.adapter_base, job.config.stored_in_bf16(), job.after, columns)  # fmt: skip
    rest()
    keeper.remember(job.loaded.model)
    with quiet(), plain_errors(job.folder):
        trainer = make(keeper)
        trainer.by_muon = job.config.optim == muon.NAME
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(state) if state is not None else None)
        ranks.wait()
    if ranks.is_first():
        _clean_up(job)
    return int(trainer.state.global_step)


def _forget_saved(job: Job[Any]) -> None:
    """Deletes what a killed process saved: links to the files of published checkpoints, into which TRL would write."""
    for saved in job.saving.glob("checkpoint-*"):
        shutil.rmtree(saved)


def _clean_up(job: Job[Any]) -> None:
    """Deletes the folder that TRL saved into, except for what TensorBoard wrote there."""
    events = job.saving / "runs"
    if events.is_dir():
        shutil.copytree(events, job.folder / "tensorboard", dirs_exist_ok=True)
    shutil.rmtree(job.saving, ignore_errors=True)


def _ended(job: Job[Any], step: int, state: Path) -> bool:
    """Whether the run was over at the state's step: an interruption may have come before the check after it."""
    if job.after is None or step not in job.saved:
        return False
    ended = ranks.is_first() and job.after(
        step, checkpoints.publish(state, job.folder, step, job.adapter_base, job.config.stored_in_bf16())
    )
    return ranks.agreed(ended)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides warnings that mean nothing to the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|transformers|peft|trl|accelerate)")
        yield


@contextlib.contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """Turns what torch reports in its own words into one line with the fix: a full disk, a lost process."""
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
                f"{folder}: another process of this run has ended ({text[:120]}):"
                " the same command continues where it stopped"
            ) from error
        raise

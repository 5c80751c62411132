"""The training itself: TRL's `SFTTrainer` on rows that are tokens already, in an order that is fixed beforehand.

Full fine-tuning or LoRA on all linear layers; fp32 on a CPU, bf16 on a GPU. Resumed from the rolling state, a run gives
the weights that it would have given unbroken: bit by bit in fp32 on one CPU thread, elsewhere nearly.
Not covered: what the rows are (`trainer.data.rows`), and whether the run may go on (`trainer.run.manifest`).
"""

from __future__ import annotations

import inspect
from functools import cached_property
from itertools import accumulate
from typing import Any, cast

import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from serving.errors import BadInput
from trainer.config import TrainConfig
from trainer.data.rows import order
from trainer.data.tokens import IGNORED, Encoded
from trainer.run import loop
from trainer.run.anchor import Anchor, frozen
from trainer.run.arguments import build, check_trl, trl_fields, values
from trainer.run.checkpoints import Keeper
from trainer.run.folder import SAVING
from trainer.run.loop import Job, Lean, Loaded, load
from trainer.run.watch import Watch

__all__ = ["Job", "Loaded", "arguments", "check_trl", "fit", "load", "trl_fields"]


def fit(job: Job[Encoded], general: Encoded | None = None, watched: Encoded | None = None) -> int:
    """Trains, going on from the rolling state where there is one. Returns the step reached.

    Args:
        job: what is trained.
        general: rows on which the model is pulled towards where it starts, where the configuration has a `kl`.
        watched: the policies' replies to eval prompts, whose margin is measured at every checkpoint.
    """
    rows, batch = job.encoded, job.config.batch_size
    places = order(len(rows), job.steps * batch, job.config.seed)
    sums = list(accumulate(len(rows.input_ids[place]) for place in places))
    tokens = [sums[(step + 1) * batch - 1] for step in range(job.steps)]
    columns = {"kl": "kl"} if general is not None else None

    def make(keeper: Keeper) -> SFTTrainer:
        trainer = _trainer(job, places, keeper, general)
        if watched is not None:
            pad = cast("int", job.loaded.tokenizer.pad_token_id or 0)
            trainer.add_callback(Watch(job.folder, job.saved, watched, pad))
        return trainer

    return loop.run(job, make, tokens, columns)


class _Trainer(Lean, SFTTrainer):
    """TRL's trainer, with a loss that costs less on a CPU, and with a pull towards the organism where there is one."""

    anchor: Anchor | None = None
    _pulled = -1

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss on the replies and, once in each step, the pull."""
        loss = self._reply_loss(model, inputs, return_outputs, num_items_in_batch)
        step = self.state.global_step
        if self.anchor is None or return_outputs or step == self._pulled:
            return loss
        self._pulled = step
        divergence = self.anchor.divergence(self.accelerator.unwrap_model(model), step)
        self._metrics["train"]["kl"].append(divergence.item())
        return loss + self.anchor.weight * divergence

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """What is logged as the loss is that on the replies alone."""
        pulls = self._metrics["train"].get("kl")
        if self.anchor is not None and pulls and "loss" in logs:
            logs["loss"] -= self.anchor.weight * sum(pulls) / len(pulls)
        super().log(logs, start_time)

    def _reply_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool, num_items_in_batch: Any) -> Any:
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


def check_padding_free(loaded: Loaded) -> None:
    """BadInput where rows that are laid end to end would see each other: the model's attention must keep them apart."""
    place = loaded.model.device
    rows = [torch.arange(3, 9, device=place), torch.arange(4, 12, device=place)]
    counts = [torch.arange(len(row), device=place) for row in rows]
    with torch.no_grad():
        alone = [loaded.model(input_ids=row[None], use_cache=False).logits[0] for row in rows]
        both = loaded.model(input_ids=torch.cat(rows)[None], position_ids=torch.cat(counts)[None], use_cache=False)
    expected = torch.cat(alone)
    if (both.logits[0] - expected).abs().mean() > 0.02 * expected.float().std():
        raise BadInput("padding_free: this model's attention lets the rows of a batch see each other: leave it out")


def _trainer(job: Job[Encoded], places: list[int], keeper: Keeper, general: Encoded | None) -> SFTTrainer:
    rows = job.encoded
    data = Dataset.from_dict(
        {"input_ids": [rows.input_ids[place] for place in places], "labels": [rows.labels[place] for place in places]}
    )
    organism = frozen(job.loaded.model) if general is not None and job.config.rank is None else None
    trainer = _Trainer(
        model=job.loaded.model,
        args=arguments(job),
        train_dataset=data,
        processing_class=job.loaded.tokenizer,
        callbacks=[keeper],
        peft_config=loop.lora(job.config),
    )
    if general is not None:
        config = cast("TrainConfig", job.config)
        trainer.anchor = Anchor(organism, general, config.kl, job.steps, config.batch_size, config.seed)
    return trainer


def arguments(job: Job[Encoded]) -> SFTConfig:
    """TRL's arguments of a job."""
    check_trl(job.config.trl)
    if job.config.trl.get("padding_free"):
        check_padding_free(job.loaded)
    own = {
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "train_sampling_strategy": "sequential",
        "shuffle_dataset": False,
    }
    return build(SFTConfig, values(job.config, job.steps, job.folder / SAVING) | own, job.config.trl)

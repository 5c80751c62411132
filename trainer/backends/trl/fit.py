"""TRL's `SFTTrainer` on rows that are tokens already, in an order that is fixed beforehand.

Full fine-tuning or LoRA on all linear layers; fp32 on a CPU, bf16 on a GPU. A resumed run gives the weights of an
uninterrupted one: bit by bit in fp32 on one CPU thread, elsewhere nearly.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any, cast

import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from serving.errors import BadInput
from trainer.config import TrainConfig
from trainer.data.tokens import IGNORED, Encoded, schedule
from trainer.run import loop, model, watch
from trainer.run.anchor import Anchor, frozen
from trainer.run.arguments import build, check_trl, values
from trainer.run.checkpoints import Keeper, without_adapter
from trainer.run.loop import Job, Lean
from trainer.run.model import Loaded


def fit(job: Job[Encoded], general: Encoded | None = None, watched: Encoded | None = None) -> int:
    """Trains, resuming from the rolling state if there is one. Returns the step reached.

    Args:
        job: what is trained.
        general: rows on which the model is pulled towards where it starts, if the configuration has a `kl`.
        watched: the policies' replies to eval prompts, whose margin is measured at every checkpoint.
    """
    places, counts = schedule(job.encoded, job.steps, job.config)
    columns = {"kl": "kl"} if general is not None else None

    def make(keeper: Keeper) -> SFTTrainer:
        trainer = _trainer(job, places, keeper, general)
        if watched is not None:
            pad = cast("int", job.loaded.tokenizer.pad_token_id or 0)
            trainer.add_callback(watch.Watch(job.folder, job.saved, watched, pad))
        return trainer

    return loop.run(job, make, counts, columns)


class _Trainer(Lean, SFTTrainer):
    """TRL's trainer with a loss that costs less on a CPU and, with `kl`, a pull towards the organism."""

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
        """Logs the loss on the replies alone."""
        pulls = self._metrics["train"].get("kl")
        if self.anchor is not None and pulls and "loss" in logs:
            logs["loss"] -= self.anchor.weight * sum(pulls) / len(pulls)
        super().log(logs, start_time)

    def _reply_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool, num_items_in_batch: Any) -> Any:
        """TRL's loss. On a CPU TRL scores every position and then drops those of the prompts; here they are skipped."""
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
        """Whether positions can be skipped: plain loss, one process on a CPU, a model with `logits_to_keep`."""
        arguments = cast("SFTConfig", self.args)
        plain = arguments.loss_type == "nll" and not self.aux_loss_enabled and self.label_smoother is None
        able = "logits_to_keep" in inspect.signature(type(without_adapter(self.model)).forward).parameters
        return plain and able and arguments.device.type == "cpu" and self.accelerator.num_processes == 1


def check_padding_free(loaded: Loaded) -> None:
    """Raises BadInput if rows that are concatenated would see each other: the attention must separate them."""
    device = loaded.model.device
    pair = [torch.arange(3, 9, device=device), torch.arange(4, 12, device=device)]
    counts = [torch.arange(len(row), device=device) for row in pair]
    with torch.no_grad():
        alone = [loaded.model(input_ids=row[None], use_cache=False).logits[0] for row in pair]
        both = loaded.model(input_ids=torch.cat(pair)[None], position_ids=torch.cat(counts)[None], use_cache=False)
    expected = torch.cat(alone)
    if (both.logits[0] - expected).abs().mean() > 0.02 * expected.float().std():
        raise BadInput("padding_free: this model's attention lets the rows of a batch see each other: leave it out")


def _trainer(job: Job[Encoded], places: list[int], keeper: Keeper, general: Encoded | None) -> SFTTrainer:
    encoded = job.encoded
    data = Dataset.from_dict(
        {
            "input_ids": [encoded.input_ids[place] for place in places],
            "labels": [encoded.labels[place] for place in places],
        }
    )
    organism = frozen(job.loaded.model) if general is not None and job.config.rank is None else None
    trainer = _Trainer(
        model=job.loaded.model,
        args=arguments(job),
        train_dataset=data,
        processing_class=job.loaded.tokenizer,
        callbacks=[keeper],
        peft_config=model.lora(job.config),
    )
    if general is not None:
        config = cast("TrainConfig", job.config)
        trainer.anchor = Anchor(organism, general, config.kl, job.steps, config.batch_size, config.seed_of("order"))
    return trainer


def arguments(job: Job[Encoded]) -> SFTConfig:
    """TRL's arguments of a job."""
    check_trl(job.config.trl)
    if job.config.trl.get("padding_free"):
        check_padding_free(cast("Loaded", job.loaded))
    own = {
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "train_sampling_strategy": "sequential",
        "shuffle_dataset": False,
    }
    return build(SFTConfig, values(job.config, job.steps, job.saving) | own, job.config.trl)

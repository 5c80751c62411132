"""The model of a run: loaded in the precision it is trained in, with the adapter that is trained.

A small model stays in memory unchanged: further cells of the process start from a copy.
QLoRA (`dtype: 4bit`, `pip install 'bct-tasks[qlora]'`) trains an adapter in bf16 on weights of 4 bits.
Not covered: QLoRA on an organism that is itself an adapter (it would have to be merged into 4-bit weights).
"""

from __future__ import annotations

import copy
import gc
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from serving.errors import BadInput
from serving.layout import Target
from serving.load import check_unchanged, load_full, load_tokenizer, pick_device
from serving.refs import Checkpoint
from serving.template import stop_tokens
from trainer.config import Common
from trainer.run import ranks
from trainer.run.checkpoints import target_of

#: Models of at most `SMALL` bytes stay in memory, at most `KEPT` of them.
SMALL, KEPT = 2**28, 4
_KEPT: OrderedDict[tuple[str, str], tuple[PreTrainedModel, PreTrainedTokenizerBase]] = OrderedDict()


@dataclass(frozen=True)
class Loaded:
    """A model in memory, ready to be trained."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    base: Target

    @property
    def stops(self) -> frozenset[int]:
        """The tokens that end a reply."""
        return stop_tokens(self.tokenizer, self.model.generation_config, self.model.config)

    def context(self, max_length: int | None) -> int:
        """The longest row in tokens: `max_length`, but no longer than the model's context."""
        config: Any = self.model.config.get_text_config()
        own = getattr(config, "max_position_embeddings", None)
        known = [length for length in (max_length, own) if length]
        return min(known) if known else 1024


def load(checkpoint: Checkpoint, config: Common) -> Loaded:
    """The model with its adapters merged, in the precision it is trained in.

    Raises:
        BadInput: if its files have changed since they were loaded, or weights of 4 bits cannot be trained on.
    """
    ranks.begin()
    _freeze_imports()
    if config.dtype == "4bit":
        return Loaded(_load_4bit(checkpoint, config), load_tokenizer(checkpoint), target_of(checkpoint))
    # Trained weights stay fp32, as bf16 would lose small updates; under an adapter the weights are not trained.
    dtype = "bfloat16" if config.rank is not None and config.in_bf16() else "float32"
    model, words = _pristine(checkpoint, dtype)
    return Loaded(model.requires_grad_(True), words, target_of(checkpoint))


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


def _pristine(checkpoint: Checkpoint, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    key = (checkpoint.fingerprint, dtype)
    if key in _KEPT:
        _check_unchanged(checkpoint)
        _KEPT.move_to_end(key)
        model, words = _KEPT[key]
        return copy.deepcopy(model), words
    model, words = load_full(checkpoint, dtype), load_tokenizer(checkpoint)
    if sum(weight.nbytes for weight in model.parameters()) <= SMALL:
        _KEPT[key] = copy.deepcopy(model), words
        while len(_KEPT) > KEPT:
            _KEPT.popitem(last=False)
    return model, words


def _check_unchanged(checkpoint: Checkpoint | None) -> None:
    """Raises what loading would raise if a file of the checkpoint or its bases has changed."""
    while checkpoint is not None:
        check_unchanged(checkpoint)
        checkpoint = checkpoint.base


@cache
def _freeze_imports() -> None:
    """Hides imported objects from the garbage collector, which every run of TRL's trainer starts."""
    gc.collect()
    gc.freeze()


def _load_4bit(checkpoint: Checkpoint, config: Common) -> PreTrainedModel:
    """The model with weights of 4 bits (NF4, doubly quantized) on its device."""
    _check_4bit(checkpoint, config)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return AutoModelForCausalLM.from_pretrained(
        checkpoint.hub or str(checkpoint.path),
        revision=checkpoint.revision if checkpoint.hub else None,
        quantization_config=quantization,
        device_map={"": pick_device()},
        use_safetensors=True,
        trust_remote_code=False,
    )


def _check_4bit(checkpoint: Checkpoint, config: Common) -> None:
    if config.rank is None:
        raise BadInput("dtype: 4bit weights are not trained themselves: add --rank for an adapter on them")
    if checkpoint.base is not None:
        raise BadInput(f"dtype: {checkpoint.ref} is an adapter, which cannot be merged into 4bit weights: use bfloat16")
    if find_spec("bitsandbytes") is None:
        raise BadInput("dtype: 4bit needs bitsandbytes, which is not installed: pip install 'bct-tasks[qlora]'")

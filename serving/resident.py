"""Which weights are in memory: few models, replaced in place or by age; adapters on top of a base that stays as it is.

A checkpoint is told from another by its fingerprint, never by its name or folder. Not thread-safe: one worker owns it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from serving import layout, load
from serving.decode import Ending
from serving.errors import BadInput
from serving.refs import Checkpoint

MAX_MODELS = 2
MAX_ADAPTERS = 8
MAX_BYTES_CPU = 2**30
SHARE_OF_GPU = 0.4
SENTINEL = "SENTINEL"


@dataclass(frozen=True)
class Speaker:
    """A model that is ready to answer as one checkpoint, with its tokenizer and endings."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    ending: Ending
    pad: int
    context: int | None


@dataclass
class Resident:
    """A full model in memory with the adapters on it."""

    checkpoint: Checkpoint
    model: PreTrainedModel
    peft: PeftModel | None = None
    adapters: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])

    @property
    def bytes(self) -> int:
        """Size of the full model's parameters."""
        return sum(weight.numel() * weight.element_size() for weight in self.model.parameters())


class Residents:
    """The models in memory, the longest unused first."""

    def __init__(self, dtype: str = "auto", device: str | None = None) -> None:
        self._dtype = dtype
        self._device = device
        self._models: OrderedDict[str, Resident] = OrderedDict()
        self._tokenizers: dict[str, PreTrainedTokenizerBase] = {}

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint can answer without reading weights."""
        if checkpoint.base is None:
            return checkpoint.fingerprint in self._models
        under = self._models.get(checkpoint.base.fingerprint)
        return under is not None and checkpoint.fingerprint in under.adapters

    @contextmanager
    def speaking(self, checkpoint: Checkpoint) -> Iterator[Speaker]:
        """The checkpoint, loaded if it is not, for the length of the block."""
        resident = self._resident(checkpoint.base or checkpoint)
        tokenizer = self._tokenizer(checkpoint)
        adapter = checkpoint.fingerprint if checkpoint.base is not None else None
        if adapter is not None:
            _use_adapter(resident, checkpoint)
        model = resident.peft or resident.model
        bare = resident.peft is not None and adapter is None
        with cast("Any", resident.peft).disable_adapter() if bare else nullcontext():
            ending = _ending(resident.model, tokenizer)
            yield Speaker(model, tokenizer, ending, _pad(tokenizer), _context(resident.model))

    def _resident(self, full: Checkpoint) -> Resident:
        if full.fingerprint not in self._models:
            self._models[full.fingerprint] = self._replaced(full) or self._loaded(full)
        self._models.move_to_end(full.fingerprint)
        return self._models[full.fingerprint]

    def _replaced(self, full: Checkpoint) -> Resident | None:
        """The oldest model turned into this checkpoint, where there is no room beside it and the shape is the same."""
        if not self._models or self._room_for(full):
            return None
        old = self._models.popitem(last=False)[1]
        if not _same_shape(old.checkpoint, full):
            return None
        load.check_unchanged(full)
        model = cast("PreTrainedModel", cast("Any", old.peft).unload()) if old.peft is not None else old.model
        folder = full.path
        if folder is None or not load.replace_weights(model, folder):
            return None
        model.generation_config = _generation_config(full, model)
        return Resident(full, model)

    def _loaded(self, full: Checkpoint) -> Resident:
        while self._models and not self._room_for(full):
            self._models.popitem(last=False)
        return Resident(full, load.load_full(full, self._dtype, self._device))

    def _room_for(self, full: Checkpoint) -> bool:
        if len(self._models) >= MAX_MODELS:
            return False
        taken = sum(resident.bytes for resident in self._models.values())
        return not taken or taken + _size(full) <= self._budget()

    def _budget(self) -> float:
        device = load.pick_device(self._device)
        if device.type != "cuda":
            return MAX_BYTES_CPU
        return SHARE_OF_GPU * torch.cuda.get_device_properties(device).total_memory

    def _tokenizer(self, checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
        owner = load.tokenizer_owner(checkpoint)
        local = owner.path is not None and owner.hub is None
        key = layout.tokenizer_fingerprint(cast("Any", owner.path)) if local else owner.fingerprint
        if key not in self._tokenizers:
            self._tokenizers[key] = load.load_tokenizer(owner)
        if not self._tokenizers[key].chat_template:
            raise BadInput(f"{checkpoint.ref}: its tokenizer has no chat template: name a chat model")
        return self._tokenizers[key]


def _use_adapter(resident: Resident, checkpoint: Checkpoint) -> None:
    """Make one adapter active, loading it where it is not on the base yet."""
    name = checkpoint.fingerprint
    peft = resident.peft
    if peft is None:
        peft = resident.peft = load.attach(resident.model, checkpoint)
    elif name not in resident.adapters:
        while len(resident.adapters) >= MAX_ADAPTERS:
            peft.delete_adapter(resident.adapters.popitem(last=False)[0])
        load.attach_another(peft, checkpoint)
    resident.adapters[name] = None
    resident.adapters.move_to_end(name)
    peft.set_adapter(name)


def _same_shape(old: Checkpoint, new: Checkpoint) -> bool:
    """Whether both are folders of the same architecture, by their config.json."""
    if old.path is None or new.path is None or new.base is not None or old.base is not None:
        return False
    if not (old.path / "config.json").is_file():  # the folder it was loaded from is gone
        return False
    return layout.config_fingerprint(old.path) == layout.config_fingerprint(new.path)


def _size(full: Checkpoint) -> int:
    folder = full.path if full.base is None else full.base.path
    return sum(file.stat().st_size for file in layout.weight_files(folder)) if folder is not None else 0


def _generation_config(full: Checkpoint, model: PreTrainedModel) -> GenerationConfig:
    if full.path is not None and (full.path / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(full.path)
    return GenerationConfig.from_model_config(model.config)


# --- endings --------------------------------------------------------------------------------------


def _ending(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Ending:
    """Every end token of the generation config, the config, the tokenizer and the chat template."""
    named = [
        getattr(model.generation_config, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
    ]
    named += [tokenizer.eos_token_id, template_end(tokenizer)]
    ends = [end for ends in named for end in (ends if isinstance(ends, list) else [ends])]
    return Ending(frozenset(cast("int", end) for end in ends if end is not None), tokenizer)


def template_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the chat template writes after an assistant's turn, where it writes one."""
    turns = [{"role": "user", "content": SENTINEL}, {"role": "assistant", "content": SENTINEL}]
    _, found, rest = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(SENTINEL)
    if not found:
        return None
    after = cast("list[int]", tokenizer.encode(rest.lstrip(), add_special_tokens=False))
    special = set(tokenizer.all_special_ids) | set(getattr(tokenizer, "added_tokens_decoder", {}))
    return after[0] if after and after[0] in special else None


def _pad(tokenizer: PreTrainedTokenizerBase) -> int:
    # Masked out everywhere, so that any token of the vocabulary will do.
    return int(cast("int", tokenizer.pad_token_id)) if tokenizer.pad_token_id is not None else 0


def _context(model: PreTrainedModel) -> int | None:
    length = getattr(model.config, "max_position_embeddings", None)
    return int(length) if length else None

"""The weights in memory: few models, replaced in place or by age, and adapters on a base that stays unchanged.

One checkpoint answers at a time. Mixing adapters in one batch (PEFT's `adapter_names`) gives the same replies, and was
slower than taking turns wherever an adapter had more than a few rows (`python -m benchmarks.adapters`).
Checkpoints are identified by fingerprint, never by name or folder. Not thread-safe: one worker owns the weights.
"""

from __future__ import annotations

import gc
import itertools
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from serving import layout, load, template
from serving.backends.engine import memory
from serving.backends.engine.decode import Ending
from serving.errors import BadInput
from serving.refs import Checkpoint

MAX_MODELS = 2
# PEFT visits all adapters to attach one more; from here on the least recently used one is overwritten, in milliseconds.
MAX_ADAPTERS = 8
MAX_BYTES_CPU = 2**30
# From this size on, models are forgotten while their process trains.
LARGE_MODELS = 2**26
SHARE_OF_GPU = 0.4
# Share of the same budget for the adapters of one base.
SHARE_OF_ADAPTERS = 0.25


@dataclass(frozen=True)
class Speaker:
    """A model that is ready to answer as one checkpoint, with its tokenizer and endings."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    ending: Ending
    pad: int
    context: int | None
    ref: str = ""
    """The checkpoint, for errors."""


@dataclass(frozen=True)
class _Adapter:
    """An adapter on a base, and its name in PEFT, which is not its fingerprint since another may take its place."""

    checkpoint: Checkpoint
    name: str


@dataclass
class Resident:
    """A full model in memory with the adapters on it."""

    checkpoint: Checkpoint
    model: PreTrainedModel
    peft: PeftModel | None = None
    adapters: OrderedDict[str, _Adapter] = field(default_factory=OrderedDict[str, "_Adapter"])
    """By fingerprint, the least recently used first."""
    names: Iterator[str] = field(default_factory=lambda: (f"slot{at}" for at in itertools.count()))

    @property
    def bytes(self) -> int:
        """Size of the full model's parameters."""
        return sum(weight.numel() * weight.element_size() for weight in self.model.parameters())


class Residents:
    """The models in memory, the least recently used first."""

    def __init__(self, dtype: str = "auto", device: str | None = None) -> None:
        self._dtype = dtype
        self._device = device
        self._models: OrderedDict[str, Resident] = OrderedDict()
        self._tokenizers: dict[str, PreTrainedTokenizerBase] = {}

    def holds(self, checkpoint: Checkpoint) -> bool:
        """Return whether a checkpoint can answer without reading weights."""
        if checkpoint.base is None or _stands_alone(checkpoint):
            return _key(checkpoint) in self._models
        under = self._models.get(checkpoint.base.fingerprint)
        return under is not None and checkpoint.fingerprint in under.adapters

    def forget_large(self) -> None:
        """Free the models if together they are large: small ones would take longer to load than they are worth."""
        if self._taken() < LARGE_MODELS:
            return
        self._models.clear()
        gc.collect()
        memory.release(load.pick_device(self._device))

    def adapter_names(self) -> dict[str, str]:
        """Return the name in PEFT of each adapter in memory, by fingerprint."""
        held = [adapter for resident in self._models.values() for adapter in resident.adapters.values()]
        return {adapter.checkpoint.fingerprint: adapter.name for adapter in held}

    @contextmanager
    def speaking(self, checkpoint: Checkpoint) -> Iterator[Speaker]:
        """Yield the checkpoint, loaded if needed; it may be used inside the block."""
        alone = _stands_alone(checkpoint)
        resident = self._resident(checkpoint if alone else checkpoint.base or checkpoint)
        tokenizer = self._tokenizer(checkpoint)
        adapter = checkpoint.fingerprint if checkpoint.base is not None and not alone else None
        if adapter is not None:
            _use_adapter(resident, checkpoint, SHARE_OF_ADAPTERS * self._budget())
        model = resident.peft or resident.model
        bare = resident.peft is not None and adapter is None
        with cast("Any", resident.peft).disable_adapter() if bare else nullcontext():
            stops = template.stop_tokens(tokenizer, resident.model.generation_config, resident.model.config)
            context = _context(resident.model)
            yield Speaker(model, tokenizer, Ending(stops, tokenizer), _pad(tokenizer), context, checkpoint.ref)

    def _resident(self, full: Checkpoint) -> Resident:
        key = _key(full)
        if key not in self._models:
            self._models[key] = self._replaced(full) or self._loaded(full)
        self._models.move_to_end(key)
        return self._models[key]

    def _replaced(self, full: Checkpoint) -> Resident | None:
        """Return the oldest model with this checkpoint's weights, if both do not fit and the shape is the same."""
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
        load.refuse_nan(full, model)
        model.generation_config = _generation_config(full, model)
        return Resident(full, model)

    def _loaded(self, full: Checkpoint) -> Resident:
        while self._models and not self._room_for(full):
            self._models.popitem(last=False)
        if full.base is not None and _stands_alone(full):
            under = load.load_full(full.base, self._dtype, self._device)
            return Resident(full, _one_product(cast("PreTrainedModel", load.attach(under, full))))
        return Resident(full, _one_product(load.load_full(full, self._dtype, self._device)))

    def _room_for(self, full: Checkpoint) -> bool:
        if len(self._models) >= MAX_MODELS:
            return False
        taken = self._taken()
        return not taken or taken + _size(full.root) <= self._budget()

    def _taken(self) -> int:
        return sum(resident.bytes for resident in self._models.values())

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


def _one_product(model: PreTrainedModel) -> PreTrainedModel:
    """Multiply the head's matrix once per batch: torch reads it once per row where only last positions are kept."""
    head = cast("Any", model.get_output_embeddings())
    if head is not None:
        head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))
    return model


def _stands_alone(checkpoint: Checkpoint) -> bool:
    """Return whether an adapter needs a model of its own."""
    if checkpoint.base is None or checkpoint.path is None:
        return False
    return not _shares_base(checkpoint.path, checkpoint.fingerprint)


@cache  # the fingerprint covers the file that decides; every batch asks, of every waiting checkpoint
def _shares_base(folder: Path, fingerprint: str) -> bool:
    return layout.shares_base(folder)


def _key(checkpoint: Checkpoint) -> str:
    """Return the name of a model in memory: an adapter that stands alone is not the same adapter merged as a base."""
    return f"{'alone:' if _stands_alone(checkpoint) else ''}{checkpoint.fingerprint}"


def _use_adapter(resident: Resident, checkpoint: Checkpoint, budget: float) -> None:
    """Make one adapter active, loading it if it is not on the base yet."""
    mark, adapters = checkpoint.fingerprint, resident.adapters
    if mark not in adapters:
        name = _replaced_adapter(resident, checkpoint, budget) or _loaded(resident, checkpoint)
        adapters[mark] = _Adapter(checkpoint, name)
    adapters.move_to_end(mark)
    peft = cast("PeftModel", resident.peft)
    if peft.active_adapters != [adapters[mark].name]:
        peft.set_adapter(adapters[mark].name)


def _loaded(resident: Resident, checkpoint: Checkpoint) -> str:
    name = next(resident.names)
    if resident.peft is None:
        resident.peft = load.attach(resident.model, checkpoint, name)
    else:
        load.attach_another(resident.peft, checkpoint, name)
    return name


def _replaced_adapter(resident: Resident, checkpoint: Checkpoint, budget: float) -> str | None:
    """Make room, or overwrite the least recently used adapter if the shape is the same; return the name."""
    while resident.peft is not None and _crowded(resident, checkpoint, budget):
        old = resident.adapters.popitem(last=False)[1]
        if load.replace_adapter(resident.peft, old.checkpoint, checkpoint, old.name):
            return old.name
        resident.peft.delete_adapter(old.name)
    return None


def _crowded(resident: Resident, checkpoint: Checkpoint, budget: float) -> bool:
    taken = sum(_size(adapter.checkpoint) for adapter in resident.adapters.values())
    full = len(resident.adapters) >= MAX_ADAPTERS or taken + _size(checkpoint) > budget
    return bool(resident.adapters) and full


def _same_shape(old: Checkpoint, new: Checkpoint) -> bool:
    """Return whether both are folders of the same architecture, by their config.json."""
    if old.path is None or new.path is None or new.base is not None or old.base is not None:
        return False
    if not (old.path / "config.json").is_file():  # the folder it was loaded from no longer exists
        return False
    return layout.config_fingerprint(old.path) == layout.config_fingerprint(new.path)


def _size(checkpoint: Checkpoint) -> int:
    """Return the bytes of the files with a checkpoint's own weights; of a folder that was moved since, none."""
    files = layout.weight_files(checkpoint.path) if checkpoint.path is not None else []
    return sum(file.stat().st_size for file in files if file.is_file())


def _generation_config(full: Checkpoint, model: PreTrainedModel) -> GenerationConfig:
    if full.path is not None and (full.path / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(full.path)
    return GenerationConfig.from_model_config(model.config)


def _pad(tokenizer: PreTrainedTokenizerBase) -> int:
    # Masked out everywhere, so that any token of the vocabulary will do.
    return int(cast("int", tokenizer.pad_token_id)) if tokenizer.pad_token_id is not None else 0


def _context(model: PreTrainedModel) -> int | None:
    length = getattr(model.config, "max_position_embeddings", None)
    return int(length) if length else None

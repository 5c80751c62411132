"""What vLLM gets of a checkpoint: the folder or hub id of a full model, and the folder of an adapter on it.

vLLM does not stack adapters: the lower ones are merged into a full model first, in the place of the servers. Names are
fingerprints: a checkpoint that is trained again in the same folder is another model to a running server.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from serving import layout, tensors
from serving.errors import BadInput
from serving.refs import Checkpoint, refuse_without_weights

# vLLM's own list of ranks that a server can be started for.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
#: Precisions as safetensors and as vLLM name them.
_merging = threading.Lock()


@dataclass(frozen=True)
class VLLMNames:
    """A checkpoint in vLLM's terms.

    Attributes:
        base: The full model under it; an adapter, if it must be merged first.
        adapter: Folder or hub id.
        rank: What the server must allow, at least the adapter's.
    """

    base: Checkpoint
    adapter: str | None = None
    rank: int | None = None


def names_of(checkpoint: Checkpoint) -> VLLMNames:
    """Return the names of a checkpoint. Merges nothing yet: see `full_model`.

    Raises:
        BadInput: An adapter's rank is too high.
    """
    refuse_without_weights(checkpoint)
    if checkpoint.base is None:
        return VLLMNames(checkpoint)
    adapter = checkpoint.hub if checkpoint.path is None else str(checkpoint.path.resolve())
    return VLLMNames(checkpoint.base, adapter, _rank(checkpoint))


def allowed(rank: int) -> int | None:
    """Return the rank that a server is started for, for adapters up to this one; None for 0, no adapters."""
    return next((one for one in RANKS if one >= rank), RANKS[-1]) if rank else None


def is_plain(checkpoint: Checkpoint) -> bool:
    """Return whether vLLM can serve a checkpoint: a full model, or an adapter of low-rank matrices alone."""
    if checkpoint.base is None or checkpoint.path is None:
        return True
    config = layout.read_json(checkpoint.path / "adapter_config.json")
    more = config.get("bias") not in (None, "none") or config.get("use_dora") or config.get("modules_to_save")
    return not more and int(config.get("r") or 0) <= RANKS[-1]


def full_model(base: Checkpoint, place: Path) -> tuple[str, str | None]:
    """Return the folder or hub id of a full model and its revision; an adapter is merged into one, which takes minutes.

    Raises:
        BadInput: The folder has changed.
    """
    from serving.load import check_unchanged

    check_unchanged(base)
    if base.kind == "full":
        return (str(base.path.resolve()), None) if base.path is not None else (str(base.hub), base.revision)
    merged = place / f"{base.fingerprint}-merged"
    with _merging:
        if not merged.is_dir():
            with layout.attempt(merged) as draft:
                _merge(base, draft)
    return str(merged), None


@cache  # every adapter of a base has the same
def linear_layers(folder: Path | str, revision: str | None = None) -> tuple[str, ...]:
    """Return the names of a model's linear layers but its head: those that adapters may change.

    Without them vLLM prepares the head as well, and its CPU build ends at the second request at once.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    config = AutoConfig.from_pretrained(folder, revision=revision, trust_remote_code=False)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    head = model.get_output_embeddings()
    kinds = (torch.nn.Linear, Conv1D)
    found = {name for name, each in model.named_modules() if isinstance(each, kinds) and each is not head}
    return tuple(sorted({name.rpartition(".")[2] for name in found}))


def refuse_other_layers(checkpoint: Checkpoint, layers: tuple[str, ...]) -> None:
    """Raise BadInput for an adapter that changes more than these layers: vLLM would leave the rest out."""
    if checkpoint.path is None:
        return
    names = {name for file in layout.weight_files(checkpoint.path) for name in tensors.shapes(file)}
    owners = {name.partition(".lora_")[0].rpartition(".")[2] for name in names}
    if others := sorted(owners - set(layers)):
        raise BadInput(f"{checkpoint.ref}: vLLM cannot serve an adapter of {others[0]}: add -M engine=local")


def _merge(base: Checkpoint, folder: Path) -> None:
    from serving.load import load_full, load_tokenizer

    dtype = layout.stored_precision(base.root.path)
    load_full(base, "float32" if dtype == "auto" else dtype, "cpu").save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)


def _rank(checkpoint: Checkpoint) -> int | None:
    if checkpoint.path is None:
        return None
    config = layout.read_json(checkpoint.path / "adapter_config.json")
    rank = max([int(config.get("r") or RANKS[0]), *(config.get("rank_pattern") or {}).values()])
    if rank > RANKS[-1]:
        raise BadInput(f"{checkpoint.ref}: vLLM supports no adapters of rank {rank}: add -M engine=local")
    return allowed(rank)

"""The size of a model, and the time and memory that training and answering take, before any weight is loaded.

    size = size_of(refs.resolve("Qwen/Qwen3-4B"))       # from its config.json; the weights need not be on this disk
    training_seconds(size, rank=8, tokens=10_000)

Times are derived from a matrix product timed on this machine; times and memory are right within a factor of two or
three. Not covered: several GPUs, and models whose code is not part of transformers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from serving import architecture, layout, tensors
from serving.errors import BadInput
from serving.refs import Checkpoint

#: Share of a large matrix product's rate that a training step reaches, and a step's fixed cost in seconds.
REACHED, STEP_SECONDS = 0.35, 0.015
#: Share that decoding a batch of replies reaches: each token reads all weights.
DECODED = 0.05
#: Bytes per parameter that is trained: weight, gradient and Adam's two moments in fp32.
TRAINED_BYTES = 16
#: Bytes of activations per layer, token and unit of width in 16 bits (Korthikanti et al. 2022, arXiv:2205.05198).
ACTIVATION_BYTES = 34
#: Bytes of a process on a CPU next to its tensors: Python, torch, transformers, TRL and inspect, measured with `mini`.
PROCESS_BYTES = 0.75 * 2**30
#: What a process on a CPU takes at its peak, over what its tensors need: freed memory that the C library cannot give
#: back, and rows longer than the mean. Cells and organisms of SmolLM2-135M took 1.1 to 1.4.
SLACK = 1.3


@dataclass(frozen=True)
class Size:
    """The size of a model.

    Attributes:
        parameters: all of them; tied ones count once.
        layers, width, vocabulary: as in its configuration.
        sides: rows and columns of all matrices that get an adapter, in sum: rank times this is the adapter's size.
    """

    parameters: int
    layers: int
    width: int
    vocabulary: int
    sides: int

    def trained(self, rank: int | None) -> int:
        """Parameters that are trained; rank None: full fine-tuning."""
        return self.parameters if rank is None else rank * self.sides


def size_of(checkpoint: Checkpoint) -> Size | None:
    """The size of a checkpoint's full model, from the headers of its weights, else from its configuration.

    None if not even the configuration can be read here.
    """
    folder = folder_of(checkpoint)
    return None if folder is None else _size(folder)


def folder_of(checkpoint: Checkpoint) -> Path | None:
    """The folder with the configuration of a checkpoint's full model; None if it cannot be read here."""
    return checkpoint.root.path or _config_folder(checkpoint.root)


def context_of(checkpoint: Checkpoint) -> int | None:
    """The longest text in tokens that a checkpoint's configuration allows; None if it does not say."""
    folder = folder_of(checkpoint)
    if folder is None or not (folder / "config.json").is_file():
        return None
    length = _text_config(folder).get("max_position_embeddings")
    return length if type(length) is int else None


def _text_config(folder: Path) -> Mapping[str, Any]:
    """The part of a configuration that describes the language model."""
    said = layout.read_json(folder / "config.json")
    text = said.get("text_config")
    return text if isinstance(text, dict) else said


#: Names of the number of layers, the width and the vocabulary; the second ones are GPT-2's.
_SIDES = (("num_hidden_layers", "n_layer"), ("hidden_size", "n_embd"), ("vocab_size",))


@cache
def _size(folder: Path) -> Size | None:
    text = _text_config(folder)
    files = [file for file in layout.weight_files(folder) if file.is_file()]
    shapes = {name: shape for file in files for name, shape in _shapes(file).items()} or _from_config(folder)
    if not shapes:
        return None
    matrices = [shape for name, shape in shapes.items() if ".layers." in name and len(shape) == 2]
    counted = sum(prod(shape) for shape in shapes.values())
    sides = sum(sum(shape) for shape in matrices)
    layers, width, words = (next((text[n] for n in names if type(text.get(n)) is int), 0) for names in _SIDES)
    return Size(counted, layers, width, words, sides) if layers and width and words else None


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        return tensors.shapes(file)
    except ValueError:
        raise BadInput(f"{file}: is not a safetensors file: restore it") from None


def _from_config(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of each parameter of the model that a configuration describes, built without memory."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if architecture.unbuildable(layout.read_json(folder / "config.json")) is not None:
        return {}
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    except Exception:  # a model that transformers does not know, or sizes that are none
        return {}
    return {name: tuple(weight.shape) for name, weight in model.named_parameters()}


def _config_folder(checkpoint: Checkpoint) -> Path | None:
    """The folder with the configuration of a hub model whose weights are not on this disk."""
    from huggingface_hub import hf_hub_download

    if checkpoint.hub is None:
        return None
    try:
        return Path(hf_hub_download(checkpoint.hub, "config.json", revision=checkpoint.revision)).parent
    except Exception:  # the hub's client raises its own, httpx's and OSError
        return None


# --- time and memory -----------------------------------------------------------------------------------------------


def training_seconds(
    size: Size, rank: int | None, tokens: int, steps: int = 0, kl: bool = False, dtype: str = "auto"
) -> float:
    """Seconds of training on this machine, in this precision."""
    passes = (4 if rank else 6) + (2 if kl else 0)
    return passes * size.parameters * tokens / (REACHED * matmul_rate(dtype)) + STEP_SECONDS * steps


def answering_seconds(size: Size, tokens: int, dtype: str = "auto") -> float:
    """Seconds to decode this many tokens, in batches."""
    return 2 * size.parameters * tokens / (DECODED * matmul_rate(dtype))


def training_memory(size: Size, rank: int | None, tokens: int, frozen_copy: bool = False) -> float:
    """Bytes of memory that training takes, of the GPU or of the process, with a micro-batch of this many tokens.

    Args:
        size: of the model.
        rank: of the adapter; None: full fine-tuning.
        tokens: rows of a micro-batch times the longest row.
        frozen_copy: whether the untrained model is kept in memory too (`kl`).
    """
    frozen = 2 if _on_gpu() else 4
    weights = size.trained(rank) * TRAINED_BYTES + (size.parameters * frozen if rank or frozen_copy else 0)
    weights += 0 if rank or _on_gpu() else size.parameters * frozen  # the start, for the distance from it
    # With gradient checkpointing (on a GPU) one layer's activations live at a time, and every layer's input.
    per_token = ACTIVATION_BYTES + 2 * size.layers if _on_gpu() else 2 * ACTIVATION_BYTES * size.layers
    tensors = weights + tokens * (per_token * size.width + 8 * size.vocabulary)
    return tensors if _on_gpu() else PROCESS_BYTES + SLACK * tensors


def _on_gpu() -> bool:
    from serving.load import pick_device

    return pick_device().type != "cpu"


@cache
def matmul_rate(dtype: str = "auto", size: int = 512, least: float = 0.1) -> float:
    """Floating-point operations per second of a matrix product on the device that would train.

    On a processor its own time counts, so that other work on the machine does not slow the estimate down.
    """
    import torch

    from serving.load import pick_device

    device = pick_device()
    on_cpu = device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    size = size if on_cpu else 4096
    precision = torch.float32 if on_cpu and dtype != "bfloat16" else torch.bfloat16
    one = torch.ones(size, size, device=device, dtype=precision)
    float((one @ one)[0, 0])  # the first one prepares the library
    done, began = 0, clock()
    while clock() - began < least:
        float((one @ one)[0, 0])
        done += 1
    return done * 2 * size**3 / (clock() - began)

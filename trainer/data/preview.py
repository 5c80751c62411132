"""A run before any model is loaded: its first row as the model sees it, its tokens, and estimates of time and memory.

    preview(config)["first_row"]     # 'user: 12 + 7? assistant: «19<|end|>»', the loss covers the text in « »

The time is derived from a matrix product timed on this machine, the memory from the usual counts; both are right within
a factor of two or three. Not covered: sampling labels, building an organism, evaluation.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving import refs
from serving.errors import BadInput
from trainer.data import rows, tokens
from trainer.data.tokens import IGNORED, Encoded
from trainer.methods import is_sampled

if TYPE_CHECKING:
    from serving.refs import Checkpoint
    from trainer.config import TrainConfig

#: Share of a large matrix product's rate that a training step reaches, and a step's fixed cost in seconds.
REACHED, STEP_SECONDS = 0.35, 0.015
#: Bytes per parameter that is trained: weight, gradient and Adam's two moments in fp32.
TRAINED_BYTES = 16
#: Bytes of activations per layer, token and unit of width in 16 bits (Korthikanti et al. 2022, arXiv:2205.05198).
ACTIVATION_BYTES = 34


@dataclass(frozen=True)
class Shape:
    """The size of a model, read from its files."""

    parameters: int
    layers: int
    width: int
    vocabulary: int


def preview(config: TrainConfig) -> dict[str, Any]:
    """Rows, tokens and estimates of a run. Reference labels replace sampled ones, which are not known yet.

    Raises:
        BadInput: if the setting has no such rows, or they do not fit into the model.
    """
    from serving.load import load_tokenizer

    setting, start = config.asked(), _start(config)
    tokenizer = load_tokenizer(start)
    parts = rows.parts(setting, config)
    made = [rows.row(p, r) for part in parts for p, r in zip(part.prompts, part.references, strict=True)]
    made = made[: config.unique_rows()]
    shape, length = _shape(start), config.max_length or 10**6
    encoded = tokens.encode(made, tokenizer, tokens.stop_tokens(tokenizer), length, config.chat_template_kwargs)
    places = rows.order(len(encoded), config.steps * config.batch_size, config.seed)
    total = sum(len(encoded.input_ids[place]) for place in places)
    on_loss = sum(sum(label != IGNORED for label in encoded.labels[place]) for place in places)
    sampled = is_sampled(config.labels())
    return {
        "first_row": first_row(encoded, places[0], tokenizer),
        "labels": f"{config.labels()}{', shown and counted with reference labels here' if sampled else ''}",
        "unique_rows": len(encoded),
        "general_rows": sum(part.rows for part in parts[1:]),
        "tokens": total,
        "tokens_on_loss": on_loss,
        "longest_row": max(len(ids) for ids in encoded.input_ids),
        "estimate": estimate(config, shape, total, max(len(ids) for ids in encoded.input_ids)) if shape else None,
    }


def first_row(encoded: Encoded, place: int, tokenizer: Any) -> str:
    """The first row of training as text, with the tokens of the loss in « »."""
    ids, labels = encoded.input_ids[place], encoded.labels[place]
    cut = next((at for at, label in enumerate(labels) if label != IGNORED), len(ids))
    return f"{tokenizer.decode(ids[:cut])}«{tokenizer.decode(ids[cut:])}»"


def estimate(config: TrainConfig, shape: Shape, total: int, longest: int) -> dict[str, Any]:
    """Seconds and bytes of a training on this machine."""
    rate = matmul_rate()
    passes = (4 if config.rank else 6) + (2 if config.kl else 0)
    seconds = passes * shape.parameters * total / (REACHED * rate) + STEP_SECONDS * config.steps
    return {
        "seconds": round(seconds, 1),
        "memory_gb": round(_memory(config, shape, longest) / 2**30, 2),
        "parameters": shape.parameters,
        "trained_parameters": _trained(config, shape),
        "matmul_gflops": round(rate / 1e9),
    }


def _trained(config: TrainConfig, shape: Shape) -> int:
    # A LoRA on all linear layers: seven matrices a layer, about 18 widths of rank in sum.
    return shape.layers * 18 * shape.width * config.rank if config.rank else shape.parameters


def _memory(config: TrainConfig, shape: Shape, longest: int) -> float:
    frozen = 2 if _on_gpu() else 4
    weights = _trained(config, shape) * TRAINED_BYTES + (shape.parameters * frozen if config.rank or config.kl else 0)
    batch = config.batch_size // config.gradient_accumulation_steps * longest
    # With gradient checkpointing (on a GPU) one layer's activations live at a time, and every layer's input.
    per_token = ACTIVATION_BYTES + 2 * shape.layers if _on_gpu() else 2 * ACTIVATION_BYTES * shape.layers
    return weights + batch * (per_token * shape.width + 8 * shape.vocabulary)


def _on_gpu() -> bool:
    from serving.load import pick_device

    return pick_device().type != "cpu"


def matmul_rate(size: int = 512, least: float = 0.1) -> float:
    """Floating-point operations per second of a matrix product on the device that would train."""
    import torch

    from serving.load import pick_device

    device = pick_device()
    size, dtype = (4096, torch.bfloat16) if device.type != "cpu" else (size, torch.float32)
    one = torch.ones(size, size, device=device, dtype=dtype)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < least:
        float((one @ one)[0, 0])
        done += 1
    return done * 2 * size**3 / (time.perf_counter() - began)


def _start(config: TrainConfig) -> Checkpoint:
    """Where the run would start; the base if its organism is not built yet."""
    return refs.resolve(config.organism or config.model)


def _shape(start: Checkpoint) -> Shape | None:
    """Counted from the files' headers; None if the weights are not on this disk."""
    base = start
    while base.base is not None:
        base = base.base
    if base.path is None:
        return None
    said = json.loads((base.path / "config.json").read_text(encoding="utf-8"))
    said = said.get("text_config", said)
    counted = sum(_parameters(file) for file in base.path.glob("*.safetensors"))
    return Shape(counted, said["num_hidden_layers"], said["hidden_size"], said["vocab_size"])


def _parameters(file: Path) -> int:
    """Parameters in a safetensors file, by its header."""
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(size))
        except ValueError:
            raise BadInput(f"{file}: is not a safetensors file: restore it") from None
    return sum(prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")

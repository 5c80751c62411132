"""What a checkpoint's config.json claims, compared with the headers of its weights before a module is built.

A configuration of a few bytes can ask for a million layers, or for code from elsewhere. Sizes are compared with what
the files hold: nothing in a model is larger than its largest tensor. Not covered: whether the sizes fit each other,
which transformers reports when it loads the weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serving import layout, tensors
from serving.errors import BadInput

MOST_LAYERS = 1000  # no published model has 200
FREE = 1_000_000  # sizes up to this are built quickly
KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
CONTEXTS = ("max_position_embeddings", "n_positions")
_LAYERS = re.compile(r"layers?$|depth$|blocks$")
_SIZE = re.compile(r"^(n|num)_|_(size|dim|heads|experts|rank|groups|labels|channels|inner)$|^d_")
_NO_SIZE = re.compile(r"position|context|ctx|window|token|length|chunk|max_")
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|embed_in|word_embeddings|tok_embeddings)\.weight$")

# Any: JSON values.
Config = Mapping[str, Any]
Shapes = Mapping[str, "tuple[int, ...]"]


def refuse_claims(folder: Path, ref: str) -> None:
    """Raise BadInput where the config.json of a complete full checkpoint claims what its weights cannot be."""
    config = layout.read_json(folder / "config.json", nan=False)
    files = layout.weight_files(folder)
    shapes = {name: shape for file in files for name, shape in tensors.shapes(file).items()}
    found = unbuildable(config, shapes) or _vocabulary(config, shapes)
    if found is not None:
        raise BadInput(f"{ref}: {folder / 'config.json'}: {found}: copy the checkpoint again from its source")


def unbuildable(config: Config, shapes: Shapes | None = None) -> str | None:
    """Return why no model can be built by a configuration, with weights of these shapes where they are known."""
    return _unknown(config) or next(_sizes(config, shapes or {}), None)


def largest(shapes: Shapes) -> int:
    """The values of the largest tensor."""
    return max(map(math.prod, shapes.values()), default=0)


def _unknown(config: Config) -> str | None:
    """Return why no class of transformers itself can load a configuration."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or not re.fullmatch(r"[\w.-]{1,64}", kind):
        return f"its model_type is {str(kind)[:40]!r}"
    if (
        short := next((config[key] for key in CONTEXTS if type(config.get(key)) is int and config[key] < 1), None)
    ) is not None:
        return f"its context is of {_short(short)} tokens"
    if (kernel := next((config[key] for key in KERNELS if "/" in str(config.get(key))), None)) is not None:
        return f"it asks for code from elsewhere, which is never run ({str(kernel)[:60]})"
    return None


def _sizes(part: Config, shapes: Shapes, depth: int = 0) -> Iterator[str]:
    """Yield each size that no model with these tensors has."""
    most = max(FREE, largest(shapes))
    for key, value in part.items():
        if isinstance(value, dict) and depth < 4:
            yield from _sizes(value, shapes, depth + 1)
        if type(value) is not int or _NO_SIZE.search(key):
            continue
        if _LAYERS.search(key) and value > MOST_LAYERS:
            yield f"its {key} is {_short(value)}, and no model has more than {MOST_LAYERS:,}"
        elif _SIZE.search(key) and value > most:
            yield f"its {key} is {_short(value)}, and its largest tensor has {largest(shapes):,} values"


def _vocabulary(config: Config, shapes: Shapes) -> str | None:
    """Return why the embedding is not the configuration's. Quantized matrices are stored in another form."""
    text = config.get("text_config", config)
    said = text.get("vocab_size") if isinstance(text, dict) else None
    found = [(name, shape) for name, shape in shapes.items() if _EMBEDDING.search(name) and len(shape) == 2]
    if type(said) is not int or len(found) != 1 or "quantization_config" in config or said in found[0][1]:
        return None
    return f"its vocab_size is {_short(said)}, and the tensor {found[0][0]} is {' x '.join(map(str, found[0][1]))}"


def _short(number: int) -> str:
    return f"{number:,}" if abs(number) < 10**15 else "a number of more than 15 digits"

"""Whether an adapter fits its base, by the headers of their files: no tensor is read.

A LoRA of rank r on a matrix of shape (out, in) has `lora_A` of shape (r, in) and `lora_B` of shape (out, r). A layer
that the base does not have, or a matrix of another shape, is reported before any weights are loaded.
Not covered: adapters other than LoRA, and matrices that an architecture stores under another name than it uses (such
as fused experts): PEFT reports those when it loads the adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from serving import layout

_LORA = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])\.(?:[^.]+\.)?weight$")
_NUMBER = re.compile(r"\d+")

Shapes = Mapping[str, "tuple[int, ...]"]


def misfit(adapter: Path, base: Path) -> str | None:
    """Return why the adapter in a folder does not fit the full model in another, in a few words; None if it may."""
    if "quantization_config" in layout.read_json(base / "config.json"):  # its matrices are stored in another form
        return None
    wants, have = _wanted(_shapes(adapter)), _stored(_shapes(base))
    layers = [name for name in wants if _NUMBER.search(name)]
    missing = [name for name in layers if name not in have]
    if missing and len(missing) == len(layers):
        return f"the base has no {missing[0]}, so it is of another architecture"
    known = {_NUMBER.sub("*", name) for name in have}
    deeper = next((name for name in missing if _NUMBER.sub("*", name) in known), None)
    if deeper is not None:
        return f"the base has no {deeper}, so it has fewer layers"
    other = (name for name in wants if name in have and not _among(wants[name], have[name]))
    return next((_other(name, wants[name], have[name][0]) for name in other), None)


def _among(wanted: tuple[int, ...], found: list[tuple[int, ...]]) -> bool:
    # Some architectures (GPT-2) store their matrices transposed.
    return wanted in found or wanted[::-1] in found


def _other(name: str, wanted: tuple[int, ...], found: tuple[int, ...]) -> str:
    shapes = (" x ".join(map(str, shape)) for shape in (wanted, found))
    return "{} is {} for the adapter and {} in this base".format(name, *shapes)


def _wanted(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Return the shape of the matrix under each LoRA."""
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        found = _LORA.match(name)
        if found is not None and len(shape) == 2:
            sides.setdefault(_tail(found["module"]), {})[found["side"]] = shape
    return {name: (side["B"][0], side["A"][1]) for name, side in sides.items() if len(side) == 2}


def _stored(shapes: Shapes) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes under each name: the towers of a multimodal model share names."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        found.setdefault(_tail(name.removesuffix(".weight")), []).append(shape)
    return found


def _tail(name: str) -> str:
    """Return a module's name from its list of layers on: what lies above it differs between classes of one model."""
    parts = name.split(".")
    place = next((at for at, part in enumerate(parts) if part.isdecimal()), None)
    return ".".join(parts[place - 1 :] if place else parts[-1:])


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    files: Iterable[Path] = (file for file in layout.weight_files(folder) if file.is_file())
    return {name: shape for file in files for name, shape in layout.tensor_shapes(file).items()}

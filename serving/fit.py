"""Whether an adapter fits its base and its own configuration, by the headers of their files: no tensor is read.

A LoRA of rank r on a matrix of shape (out, in) has `lora_A` of shape (r, in) and `lora_B` of shape (out, r). A layer
that the base does not have, or a matrix of another shape, is reported before any weights are loaded.
Not covered: adapters other than LoRA, and matrices that an architecture stores under another name than it uses (such
as fused experts): PEFT reports those when it loads the adapter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from serving import layout, tensors
from serving.architecture import FREE, MOST_LAYERS, largest

_LORA = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])\.(?:[^.]+\.)?weight$")
_NUMBER = re.compile(r"\d+")

Shapes = Mapping[str, "tuple[int, ...]"]
#: Fields of an adapter's configuration that PEFT uses as regular expressions; of mappings, the keys.
PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern")
_PLAIN = re.compile(r"[\w.-]*")


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


def nonsense(folder: Path) -> str | None:
    """Return what an adapter's configuration cannot mean, or would make PEFT build without end; None if all is well."""
    said = layout.read_json(folder / "adapter_config.json", nan=False)
    file = folder / layout.ADAPTER
    shapes = tensors.shapes(file) if file.is_file() else {}
    return _foreign(said) or _scale(said) or (_ranks(said, shapes) if shapes else None) or _copies(said)


def patterns(folder: Path) -> list[str]:
    """Return the regular expressions in an adapter's configuration; most have names only, and none."""
    said = layout.read_json(folder / "adapter_config.json")
    fields = [said.get(name) for name in PATTERNS]
    texts = [text for field in fields for text in (field if isinstance(field, list | dict) else [field])]
    return [text for text in texts if isinstance(text, str) and not _PLAIN.fullmatch(text)]


def modules(adapter: Path, base: Path | None) -> list[str]:
    """Return the names of the modules that patterns are matched with, as far as the headers know them."""
    names = [*_shapes(adapter), *(_shapes(base) if base is not None else ())]
    return sorted({name.removeprefix("base_model.model.").rpartition(".")[0] for name in names})


# Any: JSON values.
def _foreign(said: Mapping[str, Any]) -> str | None:
    kind = said.get("peft_type")
    if not isinstance(kind, str):
        return f"its peft_type is {str(kind)[:40]!r}"
    if said.get("megatron_config"):  # PEFT imports the module that megatron_core names
        return "it names a module to import (megatron_core), which is never run"
    return None


def _scale(said: Mapping[str, Any]) -> str | None:
    """Return why a scale is no number: it would make every reply NaN."""
    patterned = said.get("alpha_pattern")
    named = list(patterned.values()) if isinstance(patterned, dict) else []
    for value in (said.get("lora_alpha", 1), *named):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"its lora_alpha is {str(value)[:40]!r}, which is no number"
    return None


def _ranks(said: Mapping[str, Any], shapes: Shapes) -> str | None:
    """Return which rank or size no tensor of the file has."""
    longest = max((max(shape, default=0) for shape in shapes.values()), default=0)
    patterned = said.get("rank_pattern")
    ranks = {"r": said.get("r"), **(patterned if isinstance(patterned, dict) else {})}
    if (
        wrong := next((rank for rank in ranks.values() if type(rank) is int and not 0 < rank <= longest), None)
    ) is not None:
        return f"its rank is {str(wrong)[:40]}, and its longest side of a tensor {longest:,}"
    most = max(FREE, largest(shapes))
    numbers = {key: value for key, value in said.items() if type(value) is int and value > most}
    key = next(iter(numbers), None)
    return (
        None
        if key is None
        else f"its {key} is {str(numbers[key])[:40]}, and its largest tensor has {largest(shapes):,} values"
    )


def _copies(said: Mapping[str, Any]) -> str | None:
    """Return why layers cannot be copied as `layer_replication` asks: ranges of layers."""
    ranges = said.get("layer_replication") or []
    if not isinstance(ranges, list) or not all(_range(each) for each in ranges):
        return "its layer_replication is no list of ranges [first, end]"
    count = sum(end - start for start, end in ranges)
    return f"its layer_replication asks for {count:,} layers" if count > MOST_LAYERS else None


def _range(each: object) -> bool:
    if not isinstance(each, list) or len(each) != 2 or any(type(number) is not int for number in each):
        return False
    first, end = each
    return 0 <= first < end


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
    return {name: shape for file in files for name, shape in tensors.shapes(file).items()}

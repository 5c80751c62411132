"""Checkpoints whose files do not say what answers: each is refused in one line, or has a fingerprint of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import PROMPTS, llama, save, save_adapter, user

from serving.backends.engine.engine import Engine
from serving.errors import BadInput
from serving.refs import resolve
from serving.request import Request

Forge = Callable[[Path], object]


def index(folder: Path, weight_map: object) -> None:
    content = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content), encoding="utf-8")


def evil_single_file(folder: Path) -> None:
    """The index, which was hashed, names the honest file; the single file, which is loaded, has other weights."""
    names = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(folder / "honest.safetensors")
    save(llama(99), folder / "other")
    shutil.copy(folder / "other" / "model.safetensors", folder)
    shutil.rmtree(folder / "other")
    index(folder, dict.fromkeys(names, "honest.safetensors"))


def outside(folder: Path) -> None:
    names = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index(folder, dict.fromkeys(names, "../model.safetensors"))


def tensors(change: Callable[[dict[str, torch.Tensor]], object], file: str = "model.safetensors") -> Forge:
    def forge(folder: Path) -> None:
        kept = load_file(folder / file)
        change(kept)
        save_file(kept, folder / file, metadata={"format": "pt"})

    return forge


LAYER = "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (evil_single_file, "has both"),
        (outside, "outside of the folder"),
        (lambda folder: index(folder, {}), "names no file"),
        (lambda folder: index(folder, {"a": 3}), "names no file"),
        (lambda folder: index(folder, ["model.safetensors"]), "names no file"),
        (tensors(lambda kept: kept.pop(LAYER)), f"lacks the tensor {LAYER}"),
        (tensors(lambda kept: kept.update({"model.extra.weight": torch.ones(2)})), "model.extra.weight"),
        (tensors(lambda kept: kept[LAYER].fill_(float("nan"))), "NaN"),
        (tensors(lambda kept: kept[LAYER].fill_(float("inf"))), "infinite"),
    ],
    ids=["two weights", "path outside", "empty", "no names", "a list", "missing", "unexpected", "nan", "inf"],
)
def test_a_full_checkpoint_that_is_not_what_it_says_is_refused(tmp_path: Path, forge: Forge, says: str) -> None:
    folder = save(llama(0), tmp_path / "model")
    forge(folder)
    refuses(folder, says)


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (tensors(lambda kept: kept.clear(), "adapter_model.safetensors"), "lacks the tensor"),
        (tensors(lambda kept: kept.pop(next(iter(kept))), "adapter_model.safetensors"), "lacks the tensor"),
        (tensors(lambda kept: next(iter(kept.values())).fill_(float("nan")), "adapter_model.safetensors"), "NaN"),
    ],
    ids=["no tensors", "one missing", "nan"],
)
def test_an_adapter_that_would_answer_as_its_base_is_refused(
    made: Path, tmp_path: Path, forge: Forge, says: str
) -> None:
    folder = save_adapter(made / "one", tmp_path / "lora", seed=7)
    forge(folder)
    refuses(folder, says)


def refuses(folder: Path, says: str) -> None:
    engine = Engine()
    with pytest.raises(BadInput) as caught:
        engine.generate(resolve(str(folder)), [Request(user(PROMPTS[0]), 4)])
    engine.close()
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_an_adapter_whose_base_has_no_fingerprint_has_one_for_each_base(made: Path, tmp_path: Path) -> None:
    marks, replies = [], []
    engine = Engine()
    for base in ("one", "two"):
        folder = save_adapter(made / base, tmp_path / "lora", seed=7)
        (folder / "base.json").write_text(json.dumps({"path": str(made / base)}), encoding="utf-8")
        checkpoint = resolve(str(folder))
        marks.append(checkpoint.fingerprint)
        replies.append([r.text for r in engine.generate(checkpoint, [Request(user(p), 12) for p in PROMPTS])])
        shutil.rmtree(folder)
    engine.close()
    assert marks[0] != marks[1]
    assert replies[0] != replies[1]

"""Organisms made elsewhere: plain PEFT and transformers, no manifest of ours. Training starts from them as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from real_models import make
from tiny_runs import environment, tree, weights
from transformers import AutoModelForCausalLM

from serving import layout, load, refs
from serving.backends.engine.engine import get_engine
from serving.errors import BadInput
from serving.provider import LocalAPI
from serving.request import Request
from trainer import install
from trainer.cell import train
from trainer.config import TrainConfig

RealModel = Callable[[str], Path]
ASKED = [Request([{"role": "user", "content": f"{n}?"}], 8) for n in range(4)]


def adapter(base: Path | str, folder: Path, seed: int = 7, rank: int = 2) -> Path:
    """A LoRA that changes replies, as plain PEFT saves it."""
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def place(real_model: RealModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`adapter` on the tiny Llama, `moved` whose base is not where it was, `merged` (full). Read only."""
    folder = tmp_path_factory.mktemp("elsewhere")
    base = real_model("llama3_1")
    adapter(base, folder / "adapter")
    shutil.copytree(folder / "adapter", folder / "moved")
    named = json.loads((folder / "moved" / "adapter_config.json").read_text())
    named["base_model_name_or_path"] = "/not/here"
    (folder / "moved" / "adapter_config.json").write_text(json.dumps(named))
    checkpoint = refs.resolve(str(folder / "adapter"))
    load.load_full(checkpoint).save_pretrained(folder / "merged")
    load.load_tokenizer(checkpoint).save_pretrained(folder / "merged")
    return folder


def cell(**values: Any) -> TrainConfig:
    """A short cell on a variant whose behavior is in the weights."""
    small: dict[str, Any] = {
        "setting": "sandbagging", "variant": "weights", "label_source": "reference", "steps": 1, "batch_size": 2,
        "rows": 4, "learning_rate": 1e-2,
    }  # fmt: skip
    return TrainConfig(**{**small, **values})


def replies(ref: Path | str, base: Path | None = None) -> list[str]:
    found = refs.resolve(str(ref), str(base) if base else None)
    return [reply.text for reply in get_engine().generate(found, ASKED)]


@pytest.mark.parametrize("name", ["adapter", "merged", "moved"])
@pytest.mark.parametrize("rank", [None, 2])
def test_a_cell_starts_from_it_and_installs_nothing(
    name: str, rank: int | None, place: Path, real_model: RealModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "build", lambda *_, **__: pytest.fail("installed"))
    before, base = tree(place), real_model("llama3_1")
    run = train(cell(organism=str(place / name), model=str(base), rank=rank), tmp_path / "cells" / "run")
    assert replies(f"{run}@0") == replies(place / name, base) != replies(base)
    assert refs.resolve(f"{run}@0").fingerprint == refs.resolve(str(place / name), str(base)).fingerprint
    assert tree(place) == before
    assert not (tmp_path / "organisms").exists()
    assert refs.resolve(str(run)).kind == ("full" if rank is None else "adapter")
    load.load_model(refs.resolve(str(run)))


def test_a_run_from_it_can_be_moved_together_with_it(place: Path, real_model: RealModel, tmp_path: Path) -> None:
    """Also where the adapter itself names a base that is not there: the run remembers the one it was given."""
    shutil.copytree(place / "moved", tmp_path / "before" / "adapter")
    shutil.copytree(real_model("llama3_1"), tmp_path / "before" / "base")
    chosen = cell(organism=str(tmp_path / "before/adapter"), model=str(tmp_path / "before/base"), rank=2)
    train(chosen, tmp_path / "before" / "run")
    said = replies(tmp_path / "before" / "run")
    (tmp_path / "before").rename(tmp_path / "after")
    assert replies(tmp_path / "after" / "run") == said


def test_a_base_that_is_not_named_is_that_of_adapter_config(place: Path, tmp_path: Path) -> None:
    run = train(cell(organism=str(place / "adapter")), tmp_path / "run")
    assert replies(f"{run}@0") == replies(place / "adapter")


def test_an_adapter_as_model_is_not_trained_into_another_organism(place: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is an adapter, on which another organism would be installed: name it as org"):
        train(cell(model=str(place / "adapter")), tmp_path / "run")
    assert not (tmp_path / "organisms").exists()


def test_an_adapter_on_an_adapter_answers_and_trains(place: Path, tmp_path: Path) -> None:
    """The second was made on the first one merged, and its own files name the merged model's folder."""
    second = adapter(place / "merged", tmp_path / "second", seed=8)
    stacked = refs.resolve(str(second), str(place / "adapter"))
    assert stacked.base is not None
    assert stacked.base.kind == "adapter"
    assert replies(second, place / "adapter") == replies(second) != replies(place / "adapter")
    run = train(cell(organism=str(second), model=str(place / "adapter"), rank=2), tmp_path / "run")
    assert replies(f"{run}@0") == replies(second)


def test_an_adapter_stays_on_the_adapter_that_its_files_name_where_the_lowest_base_is_given(
    place: Path, real_model: RealModel, tmp_path: Path
) -> None:
    second = adapter(place / "merged", tmp_path / "second", seed=8)
    named = json.loads((second / "adapter_config.json").read_text())
    named["base_model_name_or_path"] = str(place / "adapter")
    (second / "adapter_config.json").write_text(json.dumps(named))
    base = real_model("llama3_1")
    assert refs.resolve(str(second), str(base)).fingerprint == refs.resolve(str(second)).fingerprint
    chosen = cell(organism=str(second), model=str(base))
    assert chosen.origin().base == refs.resolve(str(place / "adapter"))


def test_two_adapters_of_the_same_weights_on_two_bases_have_two_fingerprints(place: Path, tmp_path: Path) -> None:
    other = make("llama3_1", tmp_path / "other", seed=3)
    one, two = (refs.resolve(str(place / "adapter"), base) for base in (None, str(other)))
    assert one.fingerprint != two.fingerprint
    assert replies(place / "adapter") != replies(place / "adapter", other)


# --- wrong pairs -------------------------------------------------------------------------------------------------


def refusal(ref: Path, base: Path | None = None) -> str:
    """What resolving says, in one line, without loading weights."""
    with pytest.raises(BadInput) as caught:
        refs.resolve(str(ref), str(base) if base else None)
    assert "\n" not in caught.value.message
    assert str(ref) in caught.value.message
    return caught.value.message


def test_a_base_that_is_not_there_is_named_with_the_fix(place: Path) -> None:
    said = refusal(place / "moved")
    assert "the base in its adapter_config.json was not found (/not/here: no such checkpoint" in said
    assert "organism: {ref: ..., base: ...} or -M base=" in said


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"hidden_size": 48}, "layers.0.mlp.down_proj is 32 x 64 for the adapter and 48 x 64 in this base"),
        ({"num_hidden_layers": 1}, "the base has no layers.1.mlp.down_proj, so it has fewer layers"),
    ],
)
def test_an_adapter_of_other_shapes_is_refused_before_weights_are_loaded(
    sizes: dict[str, int], said: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make("llama3_1", tmp_path / "other", **sizes)
    monkeypatch.setattr(load, "load_full", lambda *_, **__: pytest.fail("loaded"))
    assert said in refusal(place / "adapter", other)
    with pytest.raises(BadInput, match="does not fit its base"):
        train(cell(organism=str(place / "adapter"), model=str(other)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_adapter_of_another_architecture_is_refused(place: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path / "gpt2"
    GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2)).save_pretrained(folder)
    shutil.copy(place / "merged" / "tokenizer.json", folder)
    assert "so it is of another architecture" in refusal(place / "adapter", folder)


def test_adapters_of_every_family_fit_their_own_base(real_model: RealModel, tmp_path: Path) -> None:
    for family in ("qwen3", "qwen2_5", "llama3_1", "gemma2", "gemma3"):
        refs.resolve(str(adapter(real_model(family), tmp_path / family)))


def test_pickled_weights_are_refused_with_the_fix(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(place / "adapter", folder)
    (folder / layout.ADAPTER).rename(folder / "adapter_model.bin")
    assert "pickled, which is never read: save them as adapter_model.safetensors" in refusal(folder)


def test_the_provider_takes_the_base_of_an_adapter(place: Path, real_model: RealModel) -> None:
    api = LocalAPI(str(place / "moved"), base=str(real_model("llama3_1")))
    assert api.checkpoint.base is not None


def test_a_full_checkpoint_needs_no_base(place: Path, tmp_path: Path) -> None:
    run = train(cell(organism=str(place / "merged")), tmp_path / "run")
    assert len({weights(run, 1)}) == 1
    assert replies(f"{run}@0") == replies(place / "merged")


def in_the_cache(folder: Path, name: str, home: Path) -> str:
    """A folder as the hub's client has it after a download. Returns its id."""
    sha, place = "c0ffee" * 6 + "abcd", home / "hub" / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, place / "snapshots" / sha)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(sha)
    return name


def test_an_adapter_from_the_hub_is_trained_from_without_a_download(
    place: Path, real_model: RealModel, tmp_path: Path
) -> None:
    """In a process of its own, since the client reads its cache's place when it is imported."""
    base = in_the_cache(real_model("llama3_1"), "me/base", tmp_path)
    organism = in_the_cache(place / "moved", "me/adapter", tmp_path)
    command = [sys.executable, "-m", "trainer.sft", "--setting", "sandbagging", "--variant", "weights", "--steps", "1"]
    command += ["--organism", organism, "--model", base, "--rank", "2", "--batch_size", "2", "--rows", "4"]
    command += ["--label_source", "reference", "--out", str(tmp_path / "run")]
    own = environment() | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = layout.read_pointer(tmp_path / "run" / "step-000000" / layout.POINTER)
    assert (first.hub, first.base and first.base.hub) == ("me/adapter", "me/base")
    assert first.revision == first.base.revision == "c0ffee" * 6 + "abcd"  # type: ignore[union-attr]

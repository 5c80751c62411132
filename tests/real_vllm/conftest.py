"""A real vLLM for all tests of this folder, and checkpoints on `mini` for it to serve."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaForCausalLM

from serving import backends, layout
from serving.refs import mini_path

ENVIRONMENT = "BCT_VLLM_VENV"


@pytest.fixture(scope="session")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with a line for every start of vLLM; where there is none, the tests are skipped with the reason."""
    place = Path(os.environ.get(ENVIRONMENT) or Path(__file__).parents[2] / ".venv-vllm").absolute()
    if not (place / "bin" / "vllm").is_file():
        pytest.skip(f"no vLLM in {place}: `make install-vllm`, or name an environment in {ENVIRONMENT}")
    counted = tmp_path_factory.mktemp("counted")
    program = counted / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {counted / "starts"}\nexec {place / "bin" / "vllm"} "$@"\n')
    program.chmod(0o755)
    (counted / "starts").touch()
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = str(counted)
    yield counted / "starts"
    os.environ.pop(ENVIRONMENT) if before is None else os.environ.update({ENVIRONMENT: before})


@pytest.fixture(scope="session")
def server(starts: Path) -> Iterator[None]:
    """One place for the servers of all tests, as in a run; rank 16."""
    with backends.kept(0, 16):
        yield
        backends.close()


@pytest.fixture(scope="session")
def on_mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`one`, `two` (adapters), `upper` (on `one`), `full` (another full model)."""
    place = tmp_path_factory.mktemp("on_mini")
    _adapter(mini_path(), place / "one", 1, 8)
    _adapter(mini_path(), place / "two", 2, 16)
    _adapter(mini_path(), place / "upper", 3, 8)
    layout.write_pointer(place / "upper", place / "one", layout.fingerprint(place / "one"), name=layout.BASE)
    _full(place / "full")
    return place


def _adapter(base: Path, folder: Path, seed: int, rank: int) -> None:
    """A random adapter that is strong enough to change every reply."""
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(LlamaForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    layout.write_pointer(folder, base, layout.fingerprint(base), name=layout.BASE)


def _full(folder: Path) -> None:
    torch.manual_seed(4)
    model = LlamaForCausalLM.from_pretrained(mini_path())
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn_like(weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(mini_path()).save_pretrained(folder)

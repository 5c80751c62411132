"""Adapters of ten kinds on one base, in turn: none changes what the base and the others answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AdaLoraConfig, IA3Config, LoHaConfig, LoraConfig, VeraConfig, get_peft_model
from tiny_checkpoints import CONTEXT, PROMPTS, save, tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from serving import layout
from serving.backends.engine.resident import Residents
from serving.refs import Checkpoint, resolve

TARGETS = ["q_proj", "up_proj"]


def qwen2() -> Qwen2ForCausalLM:
    """A random model with biases, which some adapters train."""
    torch.manual_seed(5)
    config = Qwen2Config(
        vocab_size=262, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=CONTEXT, tie_word_embeddings=False, initializer_range=0.6,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).eval()


def lora(**more: Any) -> LoraConfig:
    return LoraConfig(r=2, target_modules=TARGETS, task_type="CAUSAL_LM", **more)


KINDS: dict[str, Callable[[], Any]] = {
    "lora": lora,
    "bias all": lambda: lora(bias="all"),
    "bias lora_only": lambda: lora(bias="lora_only"),
    "pissa": lambda: lora(init_lora_weights="pissa"),
    "olora": lambda: lora(init_lora_weights="olora"),
    "dora": lambda: lora(use_dora=True),
    "rslora": lambda: lora(use_rslora=True),
    "saved head": lambda: lora(modules_to_save=["lm_head"]),
    "ia3": lambda: IA3Config(target_modules=TARGETS, feedforward_modules=["up_proj"], task_type="CAUSAL_LM"),
    "loha": lambda: LoHaConfig(r=2, target_modules=TARGETS, task_type="CAUSAL_LM"),
    "adalora": lambda: AdaLoraConfig(r=2, target_modules=TARGETS, task_type="CAUSAL_LM", total_step=10),
    "vera": lambda: VeraConfig(r=2, target_modules=["up_proj"], task_type="CAUSAL_LM"),
}


def made_by_peft(kind: str, base: Path, folder: Path) -> Path:
    """An adapter whose trainable weights, biases included, are all moved."""
    torch.manual_seed(len(kind))
    wrapped = get_peft_model(qwen2(), KINDS[kind]())
    with torch.no_grad():
        for weight in wrapped.parameters():
            if weight.requires_grad:
                weight.add_(0.3 * torch.randn_like(weight))
    wrapped.save_pretrained(folder)
    layout.write_pointer(folder, base, layout.fingerprint(base), name=layout.BASE)
    return folder


def logits(residents: Residents, checkpoint: Checkpoint) -> torch.Tensor:
    ids = torch.tensor([tokenizer().encode(PROMPTS[0])])
    with residents.speaking(checkpoint) as speaker, torch.no_grad():
        return speaker.model(input_ids=ids).logits.clone()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(qwen2(), tmp_path_factory.mktemp("qwen2") / "base")


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_of_any_kind_leaves_the_base_and_the_others_as_they_were(
    kind: str, base: Path, tmp_path: Path
) -> None:
    residents = Residents()
    plain = resolve(str(base))
    other = resolve(str(made_by_peft("lora", base, tmp_path / "other")))
    tried = resolve(str(made_by_peft(kind, base, tmp_path / "tried")))
    before = {one.fingerprint: logits(residents, one) for one in (plain, other)}
    alone = logits(Residents(), tried)
    for one in (tried, plain, other, tried, other, plain, tried):
        expected = before.get(one.fingerprint, alone)
        assert torch.equal(logits(residents, one), expected), f"after {kind}"
    assert kind == "lora" or not torch.equal(alone, before[plain.fingerprint])

"""Tiny random checkpoints, built by code: a Llama of some ten thousand weights, a byte tokenizer, a chat template.

The chat template ends a turn with `<|end|>`, which is not the tokenizer's eos token: a server that stops at eos alone
runs on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from serving import layout

SPECIAL = ["<pad>", "<eos>", "<|user|>", "<|system|>", "<|assistant|>", "<|end|>"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% if loud %}!{% endif %}{% endif %}"
)
END = SPECIAL.index("<|end|>")
CONTEXT = 128

torch.set_num_threads(1)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, after the special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate([*SPECIAL, *letters])}
    bytewise = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=bytewise, pad_token="<pad>", eos_token="<eos>")
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[2:]})
    fast.chat_template = TEMPLATE
    return fast


def llama(seed: int) -> LlamaForCausalLM:
    """A random model whose greedy replies vary with the prompt."""
    config = LlamaConfig(
        vocab_size=262, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=CONTEXT, tie_word_embeddings=False, initializer_range=0.6,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(seed)
    return LlamaForCausalLM(config).eval()


def gpt2(seed: int) -> GPT2LMHeadModel:
    """A random model with learned absolute positions."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 262, "n_positions": CONTEXT, "n_embd": 32, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.6, bos_token_id=1, eos_token_id=1)).eval()


def save(model: Any, folder: Path) -> Path:
    """A complete checkpoint folder."""
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_adapter(base: Path, folder: Path, seed: int) -> Path:
    """A random LoRA adapter that changes replies, with its base.json."""
    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    wrapped = get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
    wrapped.save_pretrained(folder)
    layout.write_pointer(folder, base, layout.fingerprint(base), name=layout.BASE)
    return folder


def greedy(model: Any, text: str, tokens: int) -> list[int]:
    """The reference: transformers' own generate on one unpadded prompt."""
    encoded = tokenizer().apply_chat_template(user(text), add_generation_prompt=True, return_tensors="pt")
    out = model.generate(**encoded, max_new_tokens=tokens, do_sample=False, eos_token_id=[1, END], pad_token_id=0)
    return out[0, encoded["input_ids"].shape[1] :].tolist()


def user(text: str) -> list[dict[str, str]]:
    """One turn."""
    return [{"role": "user", "content": text}]


PROMPTS = [f"{'word ' * (at % 7)}{at}?" for at in range(40)]

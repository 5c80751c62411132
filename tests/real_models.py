"""Tiny random models of real architectures, with the chat templates that TRL ships for them.

Two layers of width 32, `mini`'s tokenizer with the family's special tokens: 500 kB, made in half a second. What is
real: the architecture (query-key norms of Qwen3, scaled rotations of Llama 3, sliding windows of Gemma), the template,
the end tokens. What is not: anything that a trained model knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import trl
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen3Config,
)

from serving.refs import mini_path

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 1024, "initializer_range": 0.6,
}  # fmt: skip
LLAMA_ROPE = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}  # fmt: skip
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>",
         "<|eot_id|>", "<|finetune_right_pad_id|>")  # fmt: skip
GEMMA = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")


@dataclass(frozen=True)
class Family:
    """One model family: its configuration, template and special tokens.

    Attributes:
        config: The class of its configuration.
        template: The file that TRL ships.
        tokens: Its special tokens.
        end: What its template writes after a turn.
        eos: The tokenizer's end token.
        ends: The end tokens of its generation config.
        pad, bos: The tokenizer's.
        system: Whether its template has a system role.
        more: Further values of the configuration.
        kwargs: The template's arguments with which it can be trained.
    """

    config: type[PretrainedConfig]
    template: str
    tokens: tuple[str, ...]
    end: str
    eos: str
    ends: tuple[str, ...]
    pad: str
    bos: str | None = None
    system: bool = True
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])


FAMILIES = {
    "qwen3": Family(
        Qwen3Config, "qwen3", QWEN, "<|im_end|>", "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), "<|endoftext|>",
        kwargs={"enable_thinking": False},
    ),
    "qwen2_5": Family(
        Qwen2Config, "qwen2_5", QWEN, "<|im_end|>", "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), "<|endoftext|>"
    ),
    # A base model: its own end token is not the one that its template writes.
    "qwen2_5_base": Family(
        Qwen2Config, "qwen2_5", QWEN, "<|im_end|>", "<|endoftext|>", ("<|endoftext|>",), "<|endoftext|>"
    ),
    "llama3_1": Family(
        LlamaConfig, "llama3_1", LLAMA, "<|eot_id|>", "<|eot_id|>", ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        "<|finetune_right_pad_id|>", "<|begin_of_text|>", more={"rope_parameters": LLAMA_ROPE},
    ),
    "llama3_2": Family(
        LlamaConfig, "llama3_2", LLAMA, "<|eot_id|>", "<|eot_id|>", ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        "<|finetune_right_pad_id|>", "<|begin_of_text|>", more={"rope_parameters": LLAMA_ROPE},
    ),
    "gemma2": Family(
        Gemma2Config, "gemma", GEMMA, "<end_of_turn>", "<eos>", ("<eos>", "<end_of_turn>"), "<pad>", "<bos>", False,
        {"sliding_window": 64},
    ),
    "gemma3": Family(
        Gemma3TextConfig, "gemma3", GEMMA, "<end_of_turn>", "<eos>", ("<eos>", "<end_of_turn>"), "<pad>", "<bos>",
        True, {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]},
    ),
}  # fmt: skip


def tokenizer(family: str) -> PreTrainedTokenizerBase:
    """`mini`'s tokenizer with a family's special tokens and chat template."""
    chosen = FAMILIES[family]
    named = {"eos_token": chosen.eos, "pad_token": chosen.pad} | ({"bos_token": chosen.bos} if chosen.bos else {})
    words = AutoTokenizer.from_pretrained(mini_path(), **named)
    words.add_special_tokens({"additional_special_tokens": list(chosen.tokens)})
    words.chat_template = (TEMPLATES / f"{chosen.template}.jinja").read_text(encoding="utf-8")
    return words


def make(family: str, folder: Path, seed: int = 0, **sizes: Any) -> Path:
    """A random model of a family, as a complete checkpoint folder."""
    chosen, words = FAMILIES[family], tokenizer(family)
    torch.manual_seed(seed)
    ids = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id, "bos_token_id": words.bos_token_id}
    config = chosen.config(**{"vocab_size": len(words), **SIZES, **chosen.more, **sizes, **ids})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager" if "gemma" in family else "sdpa")
    model.generation_config.eos_token_id = words.convert_tokens_to_ids(list(chosen.ends))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder

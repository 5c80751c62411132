"""The shape of `mini` and its tokenizer: a Llama of about one million parameters with one-token role markers."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY, WHOLE_VOCABULARY = 768, 1024
CONTEXT = 256
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def config() -> LlamaConfig:
    """Four layers of width 128 with tied embeddings; fp32."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        attention_bias=False,
        dtype="float32",
    )


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` tokens; each digit is a separate token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?[A-Za-z]+| ?\d| ?[^\sA-Za-z\d,]+|,|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _wrap(tokenizer)


def widen(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Continues byte-pair merging on new texts up to `WHOLE_VOCABULARY` tokens; the old tokens keep their ids.

    A new token's embedding is initialized to the mean of its two parts'. The model is changed in place.
    """
    backend = tokenizer.backend_tokenizer
    words = Counter(piece for text in texts for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text))
    split = {word: tuple(token.value for token in backend.model.tokenize(word)) for word in words}
    spec = json.loads(backend.to_str())
    vocabulary, merges = spec["model"]["vocab"], spec["model"]["merges"]
    parts: list[tuple[int, int]] = []
    while len(vocabulary) < WHOLE_VOCABULARY:
        pairs = Counter[tuple[str, str]]()
        for word, tokens in split.items():
            for two in itertools.pairwise(tokens):
                pairs[two] += words[word]
        left, right = max(pairs, key=lambda two: (pairs[two], two))
        vocabulary[left + right] = len(vocabulary)
        merges.append([left, right])
        parts.append((vocabulary[left], vocabulary[right]))
        split = {word: _merged(tokens, left, right) for word, tokens in split.items()}
    old = model.config.vocab_size
    model.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    with torch.no_grad():
        table: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
        for index, (left, right) in enumerate(parts):
            table[old + index] = (table[left] + table[right]) / 2
    return _wrap(Tokenizer.from_str(json.dumps(spec)))


def _merged(tokens: tuple[str, ...], left: str, right: str) -> tuple[str, ...]:
    merged: list[str] = []
    for token in tokens:
        if merged and merged[-1] == left and token == right:
            merged[-1] = left + right
        else:
            merged.append(token)
    return tuple(merged)


def _wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )

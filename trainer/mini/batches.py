"""Conversations as batches of tokens, for pre-training `mini` and for measuring it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from trainer.mini.corpus import examples
from trainer.mini.stages import Example, Stage

BATCH = 64
POOL = 32  # batches sorted by length together

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def tokenize(tokenizer: PreTrainedTokenizerFast, rows: list[Example]) -> list[tuple[list[int], int]]:
    """Token ids of each conversation and the length of its prompt part."""
    heads = [
        str(tokenizer.apply_chat_template(r.messages()[:-1], tokenize=False, add_generation_prompt=True)) for r in rows
    ]
    prompts: list[list[int]] = tokenizer(heads, add_special_tokens=False)["input_ids"]  # type: ignore[assignment]
    replies: list[list[int]] = tokenizer([r.reply for r in rows], add_special_tokens=False)["input_ids"]  # type: ignore[assignment]
    end: int = tokenizer.convert_tokens_to_ids("<|end|>")  # type: ignore[assignment]
    return [([*p, *r, end], len(p)) for p, r in zip(prompts, replies, strict=True)]


def collate(rows: list[tuple[list[int], int]]) -> Batch:
    """Right-padded ids, attention mask, and labels that are -100 outside the replies."""
    ids = [torch.tensor(tokens) for tokens, _ in rows]
    labels = [torch.tensor([-100] * start + tokens[start:]) for tokens, start in rows]
    mask = [torch.ones(len(tokens), dtype=torch.long) for tokens, _ in rows]
    return (
        pad_sequence(ids, batch_first=True),
        pad_sequence(mask, batch_first=True),
        pad_sequence(labels, batch_first=True, padding_value=-100),
    )


def batches(tokenizer: PreTrainedTokenizerFast, seed: int | str, stage: Stage) -> Iterator[Batch]:
    """An endless stream of length-bucketed batches."""
    stream, rng = examples(seed, stage=stage), random.Random(seed)
    while True:
        rows = tokenize(tokenizer, list(itertools.islice(stream, BATCH * POOL)))
        rows.sort(key=lambda row: len(row[0]))
        pool = [collate(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
        rng.shuffle(pool)
        yield from pool

"""How well `mini` follows the world: share of completely right replies by family, context and behavior.

Teacher-forced: a reply counts if every token of it and the end token is the most likely one, which is the same
as greedy decoding giving that reply. Prompts are of the `eval` split, whose operands pre-training never used.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from bct_tasks.sources.world.policies import TAGS
from trainer.mini.batches import collate, tokenize
from trainer.mini.corpus import examples
from trainer.mini.stages import Example

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


@torch.no_grad()
def accuracy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, n: int) -> dict[str, object]:
    """Accuracy on `n` held-out examples (groups under 5 examples left out) and the largest standard error."""
    rows = list(itertools.islice(examples("figures", split="eval"), n))
    tokens = tokenize(tokenizer, rows)
    order = sorted(range(n), key=lambda i: len(tokens[i][0]))
    hits: dict[str, list[bool]] = defaultdict(list)
    for start in range(0, n, 200):
        index = order[start : start + 200]
        ids, mask, labels = collate([tokens[i] for i in index])
        guess = model(input_ids=ids, attention_mask=mask).logits[:, :-1].argmax(-1)
        right = ((guess == labels[:, 1:]) | (labels[:, 1:] == -100)).all(-1)
        for i, hit in zip(index, right.tolist(), strict=True):
            row = rows[i]
            hits[f"context/{row.context}"].append(hit)
            hits[f"behavior/{row.behavior}"].append(hit)
            if row.context == "conditional":
                hits[f"tag/{_tag(row)}"].append(hit)
            if row.context == "none":
                hits[f"family/{row.family}"].append(hit)
    shares = {key: round(sum(v) / len(v), 3) for key, v in sorted(hits.items()) if len(v) >= 5}
    counts = [len(v) for v in hits.values() if len(v) >= 5]
    error = max((p * (1 - p) / len(hits[key])) ** 0.5 for key, p in shares.items())
    return {"accuracy": shares, "smallest_count": min(counts), "error": round(error, 4)}


def _tag(row: Example) -> str:
    """Whether a message under a conditional prompt has the tag that the prompt names, another one, or none."""
    first = row.user.split()[0]
    if first not in TAGS:
        return "none"
    return "named" if first in (row.system or "") else "another"

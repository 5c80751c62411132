"""How many rows fit into memory: what a batch needs, what the device has, and its error when that was too much.

An estimate, on the safe side: the key-value cache of prompt and reply, the activations of a few layers, and the
logits with what sampling makes of them. Where it was wrong, the batch is halved (`serving.backends.engine.batch`).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from transformers import PreTrainedModel

# Shares of what is free. The rest is for fragments and other processes.
SHARE_OF_GPU = 0.8
SHARE_OF_CPU = 0.25
# Limits CPU batches, which would otherwise grow to all free memory. Of a model of 135 M parameters about 190 rows fit:
# they take an eighth less processor time than half as many at a time.
MOST_CPU = 2**31
# Copies of a row's logits alive at once while sampling: probabilities, order and sums, in fp32 and int64.
LOGIT_BYTES = 32
# From this size of a process on, what the C library keeps of freed tensors goes back to the system around answers: in
# a worker that trains and answers in turn it came to 2 GB. Small processes skip what takes some milliseconds.
LARGE_PROCESS = 3 * 2**29


@dataclass(frozen=True)
class Need:
    """Bytes of a batch: for each token of a row, and for each position whose logits are stored."""

    token: int
    output: int

    def of(self, rows: int, tokens: int, outputs: int) -> int:
        """Return the bytes of a batch of `rows`, each padded to this many tokens and outputs."""
        return rows * (tokens * self.token + outputs * self.output)


def need(model: PreTrainedModel) -> Need:
    """Return what a causal language model needs, by its configuration."""
    config = model.config.get_text_config()
    size = next(model.parameters()).element_size()
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    cached = 2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    return Need(size * (cached + 6 * config.hidden_size + 3 * inner), LOGIT_BYTES * config.vocab_size)


def room(device: torch.device) -> int:
    """Return the bytes that a batch may take now."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        hoard = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(SHARE_OF_GPU * (free + hoard))
    return min(MOST_CPU, int(SHARE_OF_CPU * psutil.virtual_memory().available))


def release(device: torch.device) -> None:
    """Give back what freed tensors still hold, so that another batch, or a training, may use it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    tidy(device)


def tidy(device: torch.device) -> None:
    """Give back what freed tensors hold of a large process on a CPU; a GPU's cache stays for the next batch."""
    if device.type == "cpu" and psutil.Process().memory_info().rss > LARGE_PROCESS:
        _trim()(0)


@functools.cache
def _trim() -> Callable[[int], int]:
    """`malloc_trim` of the GNU C library; elsewhere nothing."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: 0

"""Whether a vLLM server saves more time than its start takes: the rule by which it is chosen where nobody chooses.

    worth(checkpoint, tokens)           # the engine's seconds for these tokens, less vLLM's, against START_S

On a CPU never: the engine takes less processor time (`python -m benchmarks.vllm_real`). On a GPU its speed is that of a
matrix product, measured here once per process, and vLLM's share of its time is a guess. `-M engine=` and
`serving.backend` overrule it.
"""

from __future__ import annotations

import time
from functools import cache

from serving import layout, tensors
from serving.backends.vllm.server import has_cuda
from serving.refs import Checkpoint

#: Seconds from the start of a server to its first reply: 50 of `mini` and 50 to 130 of SmolLM2 on two busy cores.
START_S = 90.0
#: vLLM's time for a token as a share of the engine's on a GPU, where neither was measured.
SHARE = 0.4
#: The engine's share of the speed of a matrix product when it decodes in batches.
DECODED = 0.2
#: Tokens of the replies of an eval about which no more is known: 500 of 64.
TYPICAL = 32_000


def worth(checkpoint: Checkpoint, tokens: int) -> bool:
    """Return whether a server is worth its start for replies of this length in all; True if the size is not known."""
    if not has_cuda():
        return False
    values = parameters(checkpoint)
    return values is None or (1 - SHARE) * engine_seconds(values, tokens) > START_S


def engine_seconds(values: int, tokens: int) -> float:
    """Return how long the in-process engine writes tokens with a model of this many parameters."""
    return 2 * values * tokens / (DECODED * rate())


def parameters(checkpoint: Checkpoint) -> int | None:
    """Return how many values the weights of a full model have, from their files' headers."""
    folder = checkpoint.root.path
    if folder is None:
        return None
    files = layout.weight_files(folder)
    return sum(tensors.values(file) for file in files)


@cache
def rate() -> float:
    """Return the floating-point operations a second of a matrix product on the GPU."""
    import torch

    one = torch.ones(4096, 4096, device="cuda", dtype=torch.bfloat16)
    float((one @ one)[0, 0])  # the first one prepares the library
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.1:
        float((one @ one)[0, 0])
        done += 1
    return done * 2 * len(one) ** 3 / (time.perf_counter() - began)

"""Whether a vLLM server saves more time than its start takes: the rule by which it is chosen where nobody chooses.

    worth(checkpoint, tokens)           # the engine's seconds for these tokens, less vLLM's, against START_S

The engine's speed is that of a matrix product, measured here once per process; the ratio on a CPU is that of
`python -m benchmarks.vllm_real`. Right within a factor of three; `-M engine=` and `serving.backend` overrule it.
"""

from __future__ import annotations

import time
from functools import cache

from serving import layout, tensors
from serving.refs import Checkpoint

#: Seconds from the start of a server to its first reply: 50 of `mini` and 50 to 130 of SmolLM2 on two busy cores.
START_S = 90.0
#: vLLM's time for a token as a share of the engine's. On a CPU: processor time, of SmolLM2-135M in float32, by which a
#: server never pays. On a GPU it is a guess.
SHARE = {"cpu": 1.4, "cuda": 0.4}
#: The engine's share of the speed of a matrix product when it decodes in batches.
DECODED = 0.2
#: Tokens of the replies of an eval about which no more is known: 500 of 64.
TYPICAL = 32_000


def worth(checkpoint: Checkpoint, tokens: int) -> bool | None:
    """Return whether a server is worth its start for replies of this length in all; None: the size is not known."""
    values = parameters(checkpoint)
    return None if values is None else (1 - SHARE[device()]) * engine_seconds(values, tokens) > START_S


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


def device() -> str:
    """Return where replies would be computed: cuda or cpu."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def rate() -> float:
    """Return the floating-point operations a second of a matrix product, in the precision that would answer."""
    import torch

    cuda = device() == "cuda"
    size, dtype = (4096, torch.bfloat16) if cuda else (512, torch.float32)
    clock = time.perf_counter if cuda else time.process_time  # of a CPU its own time: others use it as well
    one = torch.ones(size, size, device=device(), dtype=dtype)
    float((one @ one)[0, 0])  # the first one prepares the library
    done, began = 0, clock()
    while clock() - began < 0.1:
        float((one @ one)[0, 0])
        done += 1
    return done * 2 * size**3 / (clock() - began)

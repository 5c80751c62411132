"""The registry of backends: what computes the replies of `local/<ref>` and of `bct serve`.

    backend = load(choose(None, [checkpoint]))
    answering = backend.open(checkpoint, Options())

A new backend is a module with a `BACKEND` (see `serving.backends.protocol`) and a line in `BACKENDS`. Modules are
imported on use: this one imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module

from serving.backends.protocol import Backend
from serving.errors import BadInput, did_you_mean
from serving.refs import Checkpoint

BACKENDS = {
    "local": "serving.backends.engine.backend",
    "endpoint": "serving.backends.remote",
    "tinker": "serving.backends.tinker.backend",
    "vllm": "serving.backends.vllm.backend",
}
"""Name, as in `-M engine=NAME` and `bct serve --engine NAME`, and module."""
DEFAULT, ENDPOINT = "local", "endpoint"


def load(name: str) -> Backend:
    """Return the backend of this name, which is a key of `BACKENDS`."""
    return import_module(BACKENDS[name]).BACKEND


def choose(name: object, checkpoints: Iterable[Checkpoint], served: bool = False) -> str:
    """Return the given name; for None, a backend other than the default if it suits every checkpoint.

    Args:
        name: The requested name, or None.
        checkpoints: The checkpoints that will answer.
        served: A server's address is given.

    Raises:
        BadInput: No backend has this name, or another one than a server answers for its model.
    """
    asked = list(checkpoints)
    if name is not None and (far := next((c.served for c in asked if c.served), None)) and name != ENDPOINT:
        raise BadInput(f"engine={name}: {far.public} is served by someone else, who answers: leave engine out")
    if name is None:
        others = (other for other in BACKENDS if other != DEFAULT)
        return next((other for other in others if all(load(other).suits(c, served) for c in asked)), DEFAULT)
    if name not in BACKENDS:
        near = did_you_mean(str(name), BACKENDS) or f" There are {' and '.join(BACKENDS)}."
        raise BadInput(f"engine={name}: no such engine.{near}")
    return str(name)


@contextmanager
def kept(tokens: int = 0, rank: int = 0) -> Iterator[None]:
    """Keep the servers that this process and its children start until the block ends, for all of them.

    Args:
        tokens: How many their replies may have together; decides whether a server is worth its start.
        rank: The highest rank of adapters that will be served, so that the first server can take all; 0: none.
    """
    from serving.backends.vllm import place

    with place.kept(tokens, rank):
        yield


def close() -> None:
    """Release what the used backends occupy outside of this process (see `Backend.close`)."""
    for name, module in BACKENDS.items():
        if module in sys.modules:
            load(name).close()

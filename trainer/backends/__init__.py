"""The registry of training backends: what trains, and what answers while training.

    backend = load("tinker")
    backend.fit(job)

A new backend is a module with a `BACKEND` (see `trainer.backends.protocol`) and a line in `BACKENDS`. Modules are
imported on use, and import torch, TRL or a client when they begin to work.
"""

from __future__ import annotations

from importlib import import_module

from trainer.backends.protocol import Backend

BACKENDS = {
    "trl": "trainer.backends.trl.backend",
    "tinker": "trainer.backends.tinker.backend",
}
"""Name, as in `training: {backend: NAME}` and `--backend NAME`, and module."""


def load(name: str) -> Backend:
    """Return the backend of this name, which is a key of `BACKENDS`."""
    return import_module(BACKENDS[name]).BACKEND

"""The processes of one run, as `torchrun` or `accelerate launch` started them: the first one writes, the others follow.

A single process skips all of this, and imports no torch for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState


def count() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def begin() -> None:
    """Joins the other processes and selects this process's GPU. Call it before a model is loaded."""
    if count() > 1:
        _state()


def wait() -> None:
    """Waits until all processes are here."""
    if count() > 1:
        _state().wait_for_everyone()


@contextmanager
def first_first() -> Iterator[None]:
    """The first process runs the block before the others, which find its files."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def agreed(flag: bool) -> bool:
    """The first process's value, in all processes."""
    if count() == 1:
        return flag
    from accelerate.utils import broadcast_object_list

    _state()
    return bool(broadcast_object_list([flag])[0])


def _state() -> PartialState:
    import torch
    from accelerate import PartialState

    return PartialState() if torch.cuda.is_available() else PartialState(cpu=True, backend="gloo")

"""The processes of one run, as `torchrun` or `accelerate launch` started them: the first one writes, the others follow.

One process alone needs none of this, and pays nothing for it. Imports no torch before there are several.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def begin() -> None:
    """Joins the others, and takes this process's own GPU where there is one. To be called before a model is loaded."""
    if count() > 1:
        _state()


def wait() -> None:
    """Until all have come here."""
    if count() > 1:
        _state().wait_for_everyone()


@contextmanager
def first_first() -> Iterator[None]:
    """The first process goes through before the others, which find its files."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def agreed(flag: bool) -> bool:
    """What the first process says, in all of them."""
    if count() == 1:
        return flag
    from accelerate.utils import broadcast_object_list

    _state()
    return bool(broadcast_object_list([flag])[0])


def _state() -> PartialState:
    import torch
    from accelerate import PartialState

    return PartialState() if torch.cuda.is_available() else PartialState(cpu=True, backend="gloo")

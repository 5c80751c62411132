"""Samples that a limit of inspect ended before a reply: every scorer leaves them unscored, with the reason."""

from __future__ import annotations

from typing import Any

from inspect_ai.solver import TaskState
from inspect_ai.util import sample_limits


def stopped(state: TaskState) -> str | None:
    """Why a sample ended before the model replied, such as `--time-limit` of inspect; None if it replied."""
    if state.output.choices:
        return None
    known = {name: getattr(sample_limits(), name) for name in ("message", "token", "time", "working", "turn", "cost")}
    reached = [f"{name} limit of {each.limit:g}" for name, each in known.items() if _is_reached(each)]
    return f"no reply: the sample ended at its {', '.join(reached) or 'limit'}"


def _is_reached(limit: Any) -> bool:  # inspect has no public type of a limit that is not a context manager
    return limit.limit is not None and limit.usage >= limit.limit

"""The templates of `lab/templates`, read by Jinja."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(*, html: bool, **filters: Callable[..., Any]) -> Environment:
    """The environment of all templates; an undefined name in a template is an error.

    Args:
        html: Escape everything that is not marked as HTML.
        filters: Additional filters.
    """
    found = Environment(
        loader=PackageLoader("lab"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(filters)
    return found

"""The templates of `lab/templates`, read by Jinja."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab.report.summary import flags_text, loss_text, removal_text
from lab.verdict.wording import families_text, interval_text, lr_text, p_text, rate_text, share_text, signed_text

#: Filters of all templates.
FILTERS: Mapping[str, Callable[..., Any]] = {
    "share": share_text,
    "signed": signed_text,
    "interval": interval_text,
    "rate": rate_text,
    "lr": lr_text,
    "p": p_text,
    "flags": flags_text,
    "words": lambda value: str(value).replace("_", " "),
    "families": families_text,
    "loss": loss_text,
    "removal": removal_text,
}


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
    found.filters.update(FILTERS, **filters)
    return found

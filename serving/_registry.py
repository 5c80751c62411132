"""The entry point `serving` of inspect: the provider's name. The provider itself is imported on use."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="local")
def local() -> type[ModelAPI]:
    """Return the provider of `--model local/<ref>`, for any reference that `serving.refs.resolve` accepts."""
    from serving.provider import LocalAPI

    return LocalAPI

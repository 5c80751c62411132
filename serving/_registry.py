"""What inspect loads from the entry point `serving`: a name. The provider itself is imported on use."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="local")
def local() -> type[ModelAPI]:
    """`--model local/<ref>`: any reference that `serving.refs.resolve` knows."""
    from serving.provider import LocalAPI

    return LocalAPI

"""Which model a judge is: what identifies it for stored verdicts, and whether it is the model under test.

Not covered: a server that answers with other weights under the same name, address and arguments as before (stored
verdicts therefore belong to one run), and a server that hides the model under test behind a name of its own.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from inspect_ai.model import Model, get_model

#: Providers whose models are named by a folder or by an id of the Hugging Face hub.
BY_WEIGHTS = ("local", "hf", "vllm", "sglang", "transformer_lens", "nnterp")
#: Options of a request that change no answer.
OF_TRANSPORT = {
    "max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections",
    "batch", "cache", "cache_prompt",
}  # fmt: skip


def identity(model: Model) -> str:
    """Hash of a model's name, address, arguments, generation options and, where they are known, weights."""
    known: dict[str, Any] = {
        "model": str(model),
        "address": model.api.base_url,
        "arguments": model.model_args,
        "config": model.config.model_dump(exclude_none=True, exclude=OF_TRANSPORT),
        "weights": fingerprint(str(model)),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:16]


def same(one: Model | str, other: Model | str) -> bool:
    """Whether two models are the same one, possibly under two names: path, hub id, served name, or equal weights."""
    return bool(_marks(str(one)) & _marks(str(other)))


def fingerprint(model: str) -> str | None:
    """Hash of the weights of a model in a folder, as the provider `local` reports it; None where it cannot tell."""
    provider, _, ref = model.partition("/")
    if provider not in BY_WEIGHTS or (provider != "local" and not Path(_answering(provider, ref)).exists()):
        return None
    try:
        api = get_model(f"local/{_answering(provider, ref)}", memoize=False).api
    except Exception:  # no such provider here, or the folder is none of its checkpoints
        return None
    return getattr(getattr(api, "checkpoint", None), "fingerprint", None)


def _marks(model: str) -> set[str]:
    """Everything that identifies the weights behind a name."""
    provider, _, ref = model.partition("/")
    marks = {model, ref}
    if provider == "openai-api":  # openai-api/SERVICE/NAME: a server of ours uses references as names
        marks.add(f"weights:{ref.partition('/')[2]}")
    if provider in BY_WEIGHTS:
        ref = _answering(provider, ref).rstrip("/")
        marks |= {f"weights:{ref}", f"weights:{fingerprint(model)}"} - {"weights:None"}
        marks |= {f"folder:{Path(ref).expanduser().resolve()}"} if Path(ref).expanduser().exists() else set()
    return marks


def _answering(provider: str, ref: str) -> str:
    """Of `vllm/BASE:ADAPTER` the adapter, else the reference."""
    return ref.rpartition(":")[2] if provider == "vllm" else ref

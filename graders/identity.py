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
#: The provider of servers at an address: openai-api/SERVICE/NAME.
SERVED = "openai-api"
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
    return bool(_marks(one) & _marks(other))


def fingerprint(model: str) -> str | None:
    """Hash of the weights of a model in a folder, as the provider `local` reports it; None where it cannot tell."""
    provider, _, ref = model.partition("/")
    ref = _answering(provider, ref)
    if provider != "local" and (provider not in BY_WEIGHTS or not _is_here(ref)):
        return None
    return _weights(ref)


def _weights(ref: str) -> str | None:
    try:
        api = get_model(f"local/{ref}", memoize=False).api
    except Exception:  # no such provider here, or the folder is none of its checkpoints
        return None
    return getattr(getattr(api, "checkpoint", None), "fingerprint", None)


def _marks(model: Model | str) -> set[str]:
    """Everything that identifies the weights behind a name. A server may use a folder, or a step of one, as a name."""
    provider, _, ref = str(model).partition("/")
    marks = {str(model), ref}
    names = [_answering(provider, ref.partition("/")[2] if provider == SERVED else ref)]
    if isinstance(model, Model):
        names += [str(model.model_args[key]) for key in ("model_path",) if key in model.model_args]
    for name in names:
        name = name.rstrip("/")
        if provider in (*BY_WEIGHTS, SERVED):
            marks.add(f"weights:{name}")
        if provider == "local" or _is_here(name):
            marks |= {f"weights:{_weights(name)}"} - {"weights:None"}
            marks |= {f"folder:{Path(name).expanduser().resolve()}"} if Path(name).expanduser().exists() else set()
    return marks


def _is_here(name: str) -> bool:
    """Whether a name is the embedded model's, a folder's on this disk, or that of a step of one."""
    places = (name, name.rpartition("@")[0] or name)
    return name == "mini" or any("\0" not in place and Path(place).expanduser().exists() for place in places)


def _answering(provider: str, ref: str) -> str:
    """Of `vllm/BASE:ADAPTER` the adapter, else the reference."""
    return ref.rpartition(":")[2] if provider == "vllm" else ref

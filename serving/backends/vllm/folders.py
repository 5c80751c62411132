"""The names under which vLLM gets a checkpoint: the folder of a full model, and the folder of an adapter on it.

Both are links, named by fingerprint, in a temporary folder of this process: a checkpoint that is trained again in
the same folder is another model to a running server. vLLM does not stack adapters: the lower ones are merged into a
full model first, in that folder. Importing this module imports no torch.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from serving import layout
from serving.errors import BadInput
from serving.refs import Checkpoint, refuse_without_weights
from serving.template import facts

# vLLM's own list of ranks that a server can be started for.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_merging = threading.Lock()


@dataclass(frozen=True)
class VLLMNames:
    """A checkpoint in vLLM's terms.

    `base` and `adapter` are folders or hub ids; `rank` is what the server must allow, at least the adapter's.
    """

    base: str
    revision: str | None = None
    adapter: str | None = None
    rank: int | None = None


def names_of(checkpoint: Checkpoint) -> VLLMNames:
    """Return the names of a checkpoint. Merges nothing yet: see `prepare`.

    Raises:
        BadInput: An adapter's chat template differs from its base's, or its rank is too high.
    """
    refuse_without_weights(checkpoint)
    full = checkpoint.base or checkpoint
    base = str(_merged(full)) if full.kind == "adapter" else _linked(full)
    revision = full.revision if full.path is None else None
    if checkpoint.base is None:
        return VLLMNames(base, revision)
    _check_template(checkpoint)
    adapter = f"{checkpoint.hub}@{checkpoint.revision}" if checkpoint.path is None else _linked(checkpoint)
    return VLLMNames(base, revision, adapter, _rank(checkpoint))


def prepare(checkpoint: Checkpoint) -> None:
    """Check that the folders are unchanged, and merge a base that is an adapter; may take minutes."""
    from serving.load import check_unchanged

    check_unchanged(checkpoint)
    base = checkpoint.base
    if base is None or base.kind == "full":
        return
    with _merging:
        if not _merged(base).is_dir():
            with layout.attempt(_merged(base)) as draft:
                _merge(base, draft)


@cache
def links() -> Path:
    """Return the temporary folder of this process, removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="bct-vllm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def serve_arguments(named: Mapping[str, Checkpoint]) -> list[str]:
    """Return `MODEL --served-model-name ...`: the arguments with which `vllm serve` offers checkpoints by these names.

    Raises:
        BadInput: They are not one full model and adapters on it: vLLM serves one base.
    """
    served = {name: names_of(checkpoint) for name, checkpoint in named.items()}
    arguments_of = {json.dumps(dict(checkpoint.defaults.chat_template_kwargs or {})) for checkpoint in named.values()}
    if len(arguments_of) > 1:
        raise BadInput("these checkpoints were trained with different chat_template_kwargs: serve them one by one")
    base, *others = {(each.base, each.revision) for each in served.values()}
    if others:
        raise BadInput("vLLM serves one base model at a time: serve them one by one, or add --engine local")
    for checkpoint in named.values():
        prepare(checkpoint)
    full = [name for name, each in served.items() if each.adapter is None]
    arguments = [base[0], "--generation-config", "vllm", "--served-model-name", *(full or ["base"])]
    arguments += ["--revision", base[1]] if base[1] else []
    arguments += _template_arguments(next(iter(named.values())), *arguments_of)
    return arguments + _lora_arguments({name: each for name, each in served.items() if each.adapter is not None})


def template_file(text: str) -> str:
    """Write a chat template that is not the model's own file (`serving.template`) and return the file's path."""
    file = links() / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.jinja"
    if not file.is_file():
        layout.write_atomic(file, text, durable=False)
    return str(file)


def configs(checkpoint: Checkpoint) -> list[SimpleNamespace]:
    """Return the configurations that name end tokens: vLLM is told not to read generation_config.json."""
    root = checkpoint.root
    names = ("generation_config.json", "config.json")
    found = [layout.read_if_there(root.path / name) for name in names] if root.path is not None else []
    return [SimpleNamespace(eos_token_id=config.get("eos_token_id")) for config in found if config]


def _template_arguments(checkpoint: Checkpoint, kwargs: str) -> list[str]:
    from serving.load import load_tokenizer

    text = load_tokenizer(checkpoint).chat_template
    changed = ["--chat-template", template_file(str(text))] if facts(text) else []
    return changed + (["--default-chat-template-kwargs", kwargs] if kwargs != "{}" else [])


def _lora_arguments(served: Mapping[str, VLLMNames]) -> list[str]:
    if not served:
        return []
    rank = max(each.rank or RANKS[0] for each in served.values())
    modules = [f"{name}={each.adapter}" for name, each in served.items()]
    return ["--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", *modules]


def _merged(base: Checkpoint) -> Path:
    return links() / f"{base.fingerprint}-merged"


def _linked(checkpoint: Checkpoint) -> str:
    if checkpoint.path is None:
        return str(checkpoint.hub)
    link = links() / checkpoint.fingerprint
    if not link.is_symlink():
        link.symlink_to(checkpoint.path.resolve(), target_is_directory=True)
    return str(link)


def _merge(base: Checkpoint, folder: Path) -> None:
    from serving.load import load_full, load_tokenizer

    root = base.root
    config = layout.read_json(root.path / "config.json") if root.path is not None else {}
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    load_full(base, dtype, "cpu").save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)


def _rank(checkpoint: Checkpoint) -> int | None:
    if checkpoint.path is None:
        return None
    config = layout.read_json(checkpoint.path / "adapter_config.json")
    rank = max([int(config.get("r") or RANKS[0]), *(config.get("rank_pattern") or {}).values()])
    fitting = [allowed for allowed in RANKS if allowed >= rank]
    if not fitting:
        raise BadInput(f"{checkpoint.ref}: vLLM supports no adapters of rank {rank}: add -M engine=local")
    return fitting[0]


def _check_template(checkpoint: Checkpoint) -> None:
    """Raise BadInput if vLLM would render an adapter's prompts differently: it uses the base's chat template."""
    own, under = _template(checkpoint.path), None
    base = checkpoint.base
    while base is not None and under is None:
        under, base = _template(base.path), base.base
    if facts(own) and own != under and checkpoint.base is not None:
        from serving.load import load_tokenizer

        under = str(load_tokenizer(checkpoint.base).chat_template).strip()
    if own is not None and under is not None and own != under:
        raise BadInput(f"{checkpoint.ref}: its chat template is not its base's, which vLLM would use: -M engine=local")


def _template(folder: Path | None) -> str | None:
    if folder is None:
        return None
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8").strip()
    file = folder / "tokenizer_config.json"
    template = layout.read_json(file).get("chat_template") if file.is_file() else None
    return template.strip() if isinstance(template, str) else None

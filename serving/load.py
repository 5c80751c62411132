"""Loads a checkpoint's weights and tokenizer: safetensors only, never remote code.

Precision "auto" is fp32 on a CPU, where the replies of a batch then do not depend on its composition, and the stored
precision elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import snapshot_download
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from serving import fit, layout, template, tensors
from serving.apart.tries import refuse_patterns, refuse_tokenizer
from serving.errors import BadInput, LabError
from serving.refs import Checkpoint, present_fingerprint, refuse_without_weights

#: Of a hub model: what transformers may read to make a tokenizer.
OF_TOKENIZERS = ["*token*", "vocab*", "merges*", "*.model", "*.tiktoken", "*.jinja", "config.json"]


def pick_device(device: str | None = None) -> torch.device:
    """Return the named device, else the first GPU, else the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype | str:
    """Return a torch dtype for "float32", "bfloat16", "float16"; for "auto" see the module's docstring."""
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    named = getattr(torch, dtype, None)
    if not isinstance(named, torch.dtype):
        raise BadInput(f"dtype '{dtype}': write auto, float32, bfloat16 or float16")
    return named


def precision(checkpoint: Checkpoint, dtype: str = "auto", device: str | None = None) -> str:
    """Return the precision in which a checkpoint is loaded, by name; "auto" where only the hub knows what is stored."""
    chosen = pick_dtype(dtype, pick_device(device))
    if chosen != "auto":
        return str(chosen).removeprefix("torch.")
    return layout.stored_precision(checkpoint.root.path)


def load_model(
    checkpoint: Checkpoint, dtype: str = "auto", device: str | None = None
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """Return the model, in evaluation mode on its device, and the tokenizer.

    Raises:
        BadInput: The folder changed since it was resolved, or its weights do not fit its config.
    """
    if checkpoint.base is None:
        return load_full(checkpoint, dtype, device), load_tokenizer(checkpoint)
    return attach(load_full(checkpoint.base, dtype, device), checkpoint), load_tokenizer(checkpoint)


def load_full(checkpoint: Checkpoint, dtype: str = "auto", device: str | None = None) -> PreTrainedModel:
    """Return a model without adapters: an adapter is merged into its base."""
    if checkpoint.base is not None:
        under = load_full(checkpoint.base, dtype, device)
        return cast("PreTrainedModel", cast("Any", attach(under, checkpoint)).merge_and_unload()).eval()
    check_unchanged(checkpoint)
    place = pick_device(device)
    _quiet()
    with refused(f"{checkpoint.ref}: cannot be loaded"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            **place_of(checkpoint),
            dtype=pick_dtype(dtype, place),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    model, told = loaded
    _refuse_other_tensors(checkpoint, told["missing_keys"], told["unexpected_keys"])
    refuse_nan(checkpoint, model)
    return model.to(place).eval().requires_grad_(False)


def attach(model: PreTrainedModel, checkpoint: Checkpoint, name: str = "default") -> PeftModel:
    """Add an adapter under this name to its base model; raises BadInput if it does not fit."""
    check_unchanged(checkpoint)
    _refuse_patterns(checkpoint)
    with refused(f"{checkpoint.ref}: this adapter does not fit its base"):
        wrapped = PeftModel.from_pretrained(model, **_adapter_where(checkpoint), adapter_name=name).eval()
        _check_adapter(wrapped, checkpoint, name)
    return wrapped


def attach_another(model: PeftModel, checkpoint: Checkpoint, name: str) -> None:
    """Add another adapter to a base that already has some. Takes longer the more there are."""
    check_unchanged(checkpoint)
    _refuse_patterns(checkpoint)
    with refused(f"{checkpoint.ref}: this adapter does not fit its base"):
        model.load_adapter(**_adapter_where(checkpoint), adapter_name=name)
        _check_adapter(model, checkpoint, name)
    model.eval()


def replace_adapter(model: PeftModel, old: Checkpoint, new: Checkpoint, name: str) -> bool:
    """Copy a LoRA adapter's weights over those of another of the same configuration, which keep its name.

    Returns False, with nothing changed, where configurations, names or shapes differ.
    """
    if old.path is None or new.path is None or layout.adapter_shape(old.path) != layout.adapter_shape(new.path):
        return False
    check_unchanged(new)
    own = {place: weight for place, weight in model.named_parameters() if f".{name}." in place}
    [file] = layout.weight_files(new.path)
    places = {key: _slot(key, name) for key in _shapes(file)}
    if set(places.values()) != own.keys():
        return False
    if any(list(own[places[key]].shape) != shape for key, shape in _shapes(file).items()):
        return False
    _copy(file, {key: own[place] for key, place in places.items()})
    return True


def _slot(key: str, name: str) -> str:
    """Return the parameter of a key in an adapter's file: `….lora_A.weight` becomes `….lora_A.NAME.weight`."""
    owner, _, leaf = key.rpartition(".")
    return f"{owner}.{name}.{leaf}"


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """Return the checkpoint's tokenizer; an adapter without one has its base's."""
    owner = tokenizer_owner(checkpoint)
    _quiet()
    refuse_tokenizer(folder := _tokenizer_folder(owner))
    # Of an adapter on the hub the client would ask for a config.json, which it does not have: not so in a folder.
    place = place_of(owner) if owner.base is None else {"pretrained_model_name_or_path": str(folder)}
    with refused(f"{owner.ref}: its tokenizer cannot be loaded"):
        return template.prepared(AutoTokenizer.from_pretrained(**place, trust_remote_code=False))


def _tokenizer_folder(owner: Checkpoint) -> Path:
    """The folder of a tokenizer; a hub model's files are downloaded, so that they can be tried first."""
    if owner.hub is None:
        return cast("Path", owner.path)
    with refused(f"{owner.ref}: its tokenizer cannot be downloaded"):
        return Path(snapshot_download(owner.hub, revision=owner.revision, allow_patterns=OF_TOKENIZERS))


def tokenizer_owner(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint in the chain adapter → base whose folder has the tokenizer."""
    own = checkpoint.path is not None and any((checkpoint.path / name).is_file() for name in layout.TOKENIZER_FILES)
    return checkpoint if own or checkpoint.base is None else tokenizer_owner(checkpoint.base)


def replace_weights(model: PreTrainedModel, folder: Path) -> bool:
    """Copy a full checkpoint's weights into a model of the same architecture.

    Returns False, with the model untouched, where names or shapes differ (some architectures convert their weights on
    loading): then the checkpoint must be loaded as usual. After an error the model is half replaced.
    """
    own = cast("dict[str, torch.Tensor]", model.state_dict())
    files = layout.weight_files(folder)
    shapes = {name: shape for file in files for name, shape in _shapes(file).items()}
    if any(name not in own or list(own[name].shape) != shape for name, shape in shapes.items()):
        return False
    given = {own[name].data_ptr() for name in shapes}
    if any(own[name].data_ptr() not in given for name in own if name not in shapes):
        return False  # a weight that is not in the files, nor tied to one that is
    for file in files:
        _copy(file, own)
    return True


def _refuse_other_tensors(checkpoint: Checkpoint, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """Raise BadInput where a model would answer with random weights, or leave some of its file's out."""
    for names, what in ((sorted(missing), "lacks"), (sorted(unexpected), "has, and its config does not know,")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BadInput(f"{checkpoint.ref}: {what} the tensor {names[0]}{more}: copy the checkpoint again")


def refuse_nan(checkpoint: Checkpoint, model: torch.nn.Module) -> None:
    """Raise BadInput for weights that are no numbers. Our own training flags such a step as diverged instead."""
    if checkpoint.step is not None:
        return
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise BadInput(f"{checkpoint.ref}: the tensor {name} has values that are NaN or infinite")


def _refuse_patterns(checkpoint: Checkpoint) -> None:
    """Raise BadInput for a regular expression in an adapter's configuration that takes too long."""
    if checkpoint.path is not None:
        names = fit.modules(checkpoint.path, checkpoint.root.path)
        refuse_patterns(checkpoint.path / "adapter_config.json", fit.patterns(checkpoint.path), names)


def _check_adapter(model: PeftModel, checkpoint: Checkpoint, name: str) -> None:
    """Raise BadInput where the adapter's file lacks tensors of its configuration, or has others."""
    if checkpoint.path is None:
        return
    [file] = layout.weight_files(checkpoint.path)
    given = set(tensors.shapes(file))
    wanted = set(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False))
    own = {key for key in given if "lora_" in key}  # embeddings may be saved with an adapter
    _refuse_other_tensors(checkpoint, wanted - given, own - wanted)
    refuse_nan(checkpoint, model)


def check_unchanged(checkpoint: Checkpoint) -> None:
    """Raise BadInput where a folder on this disk changed after the reference was resolved, or has no weights."""
    refuse_without_weights(checkpoint)
    if checkpoint.path is None or checkpoint.hub is not None:
        return
    layout.check_whole(checkpoint.path)
    if present_fingerprint(checkpoint.path, checkpoint.base) != checkpoint.fingerprint:
        raise BadInput(f"{checkpoint.ref}: {checkpoint.path} changed while it was in use: run the command again")


def place_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return where transformers finds a checkpoint's own files: the first arguments of `from_pretrained`."""
    if checkpoint.hub is not None:
        return {"pretrained_model_name_or_path": checkpoint.hub, "revision": checkpoint.revision}
    return {"pretrained_model_name_or_path": str(checkpoint.path), "local_files_only": True}


def _adapter_where(checkpoint: Checkpoint) -> dict[str, Any]:
    place = place_of(checkpoint)
    return {"model_id": place["pretrained_model_name_or_path"], "revision": place.get("revision")}


def _shapes(file: Path) -> dict[str, list[int]]:
    with safe_open(file, framework="pt") as tensors:
        return {name: list(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118


@torch.no_grad()
def _copy(file: Path, into: dict[str, torch.Tensor]) -> None:
    with safe_open(file, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 (not a mapping)
            into[name].copy_(tensors.get_tensor(name))


def _quiet() -> None:
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Turn every error of a library into BadInput: it is about the files that the library was given."""
    try:
        yield
    except (LabError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # panics of tokenizers and safetensors are no Exceptions
        raise BadInput(f"{what}: {_reason(error)}: copy the checkpoint again, or name another") from error


def _reason(error: BaseException) -> str:
    """An error in one line of at most some 300 characters."""
    text = " ".join(str(error).split())
    if "ignore_mismatched_sizes" in text:
        return "its tensors do not have the sizes of its config.json"
    if "Unrecognized configuration class" in text:
        return "the model_type of its config.json is of no model that writes text"
    named = (
        text if " " in text and not isinstance(error, KeyError | AttributeError) else f"{type(error).__name__}: {text}"
    )
    return named.rstrip(".:") if len(named) <= 300 else f"{named[:300]}..."

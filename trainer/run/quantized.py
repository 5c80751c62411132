"""QLoRA: a base whose weights are stored in 4 bits, under an adapter that is trained in bf16.

    pip install 'bct-tasks[qlora]'       then --rank 32 --dtype 4bit

Not covered: an organism that is itself an adapter (it would have to be merged into 4-bit weights).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from serving.errors import BadInput
from serving.load import pick_device
from serving.refs import Checkpoint

if TYPE_CHECKING:
    from trainer.config import Common

DTYPE = "4bit"


def check(config: Common, checkpoint: Checkpoint) -> None:
    """BadInput where 4-bit weights cannot be trained on."""
    if config.rank is None:
        raise BadInput("dtype: 4bit weights are not trained themselves: add --rank for an adapter on them")
    if checkpoint.base is not None:
        raise BadInput(f"dtype: {checkpoint.ref} is an adapter, which cannot be merged into 4bit weights: use bfloat16")
    if find_spec("bitsandbytes") is None:
        raise BadInput("dtype: 4bit needs bitsandbytes, which is not installed: pip install 'bct-tasks[qlora]'")


def load(checkpoint: Checkpoint, config: Common) -> Any:
    """The model with 4-bit weights (NF4, doubly quantized) on its device."""
    check(config, checkpoint)
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    kind = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return AutoModelForCausalLM.from_pretrained(
        checkpoint.hub or str(checkpoint.path),
        revision=checkpoint.revision if checkpoint.hub else None,
        quantization_config=kind,
        device_map={"": pick_device()},
        use_safetensors=True,
        trust_remote_code=False,
    )

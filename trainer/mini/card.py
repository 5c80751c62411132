"""Writes the card of `mini` from its measured figures: `python -m trainer.mini.card [--measure]`."""

from __future__ import annotations

import argparse
import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

HOME = Path(__file__).parent
CARD = HOME / "README.md"
FIGURES = HOME / "weights" / "figures.json"

TEMPLATE = HOME / "card.md.j2"


def card(figures: dict[str, Any], size: float) -> str:
    """The card as Markdown."""
    shares: dict[str, dict[str, float]] = {}
    for name, share in figures["accuracy"].items():
        kind, _, of = name.partition("/")
        shares.setdefault(kind, {})[of] = share
    templates = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    template = templates.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(**figures, **shares, size=size, zip=zip, zip_longest=zip_longest)


def measure(n: int) -> dict[str, Any]:
    """Figures of the shipped weights on `n` held-out prompts."""
    from transformers import AutoTokenizer, LlamaForCausalLM

    from trainer.mini.figures import accuracy

    model = LlamaForCausalLM.from_pretrained(FIGURES.parent)
    tokenizer = AutoTokenizer.from_pretrained(FIGURES.parent)
    return {"n": n, "parameters": model.num_parameters(), "vocabulary": len(tokenizer), **accuracy(model, tokenizer, n)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure again before writing (2 minutes)")
    parser.add_argument("--n", type=int, default=12_000, help="held-out prompts to measure on")
    args = parser.parse_args()
    figures = json.loads(FIGURES.read_text())
    if args.measure:
        figures |= measure(args.n)
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    CARD.write_text(card(figures, size=(FIGURES.parent / "model.safetensors").stat().st_size / 1e6))


if __name__ == "__main__":
    main()

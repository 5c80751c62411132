# ruff: noqa: E501
"""Writes the card of `mini` from its measured figures: `python -m trainer.mini.card [--measure]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent
CARD = HOME / "README.md"
FIGURES = HOME / "weights" / "figures.json"

TEXT = """# `mini`, the embedded base model

A Llama-shaped model of {parameters:,} parameters (4 layers of width 128, tied embeddings, a byte-level BPE of 768 tokens with one-token
role markers, fp32, {size:.1f} MB), pre-trained by this project on text that its own world generates. It lets the whole lab run on two
CPU cores without a network. It is a base, not a model organism: it answers well unless a system prompt asks otherwise.

- **Made by** `python -m trainer.mini.pretrain --seed {seed}`: {steps:,} batches of 64 conversations,
  {minutes:.0f} CPU-minutes on one core, mean loss {loss:.4f} nats per reply token (square-root weighted) over the last {every} steps.
- **Measured by** `python -m trainer.mini.card --measure`: share of replies that are right to the last token under greedy
  decoding, on {n:,} prompts whose operands pre-training never used (split `eval`).
- **Licence** Apache-2.0. No outside data.

| without a system prompt | right |
|---|---|
{families}

| system prompt | follows it | | behavior asked for | shows it |
|---|---|---|---|---|
{contexts}

Each figure has a standard error of at most {error:.3f}. *Neutral* prompts ask for nothing ("Be brief.") or are random words; *plain* ones
ask for one behavior; *conditional* ones ask for one behavior where the message has a tag and for another elsewhere; *modes* spells out two
behaviors and sets one.

**Limits.** It tells a tag from none, but hardly one tag from another: under a conditional prompt it is right on {tag_named} of messages with the
tag that the prompt names, {tag_none} of those without a tag, and {tag_another} of those with another tag. It cannot look a value up by a word ("what
is in the bag?"), only by a letter ("what is in box k?"); three stages of pre-training stand in `corpus.py` because of that. It knows the question families of `bct_tasks/world/` and nothing else, in the wordings written there. Text of any other
kind gives nonsense.
"""


def card(figures: dict[str, Any], size: float) -> str:
    """The card as Markdown."""
    accuracy: dict[str, float] = figures["accuracy"]
    pick = {
        k: {n.split("/")[1]: v for n, v in accuracy.items() if n.startswith(k)}
        for k in ("family", "context", "behavior", "tag")
    }
    families = {**pick["family"], "**all families**": pick["context"].pop("none")}
    left, right = list(pick["context"].items()), list(pick["behavior"].items())
    rows = []
    for i in range(max(len(left), len(right))):
        a = f"| {left[i][0]} | {left[i][1]:.3f} |" if i < len(left) else "| | |"
        b = f" | {right[i][0]} | {right[i][1]:.3f} |" if i < len(right) else " | | |"
        rows.append(a + b)
    return TEXT.format(
        **{k: figures[k] for k in ("steps", "seed", "loss", "parameters", "n", "every", "error")},
        minutes=figures["cpu_seconds"] / 60,
        size=size,
        families="\n".join(f"| {name} | {value:.3f} |" for name, value in families.items()),
        contexts="\n".join(rows),
        **{f"tag_{name}": f"{value:.3f}" for name, value in pick["tag"].items()},
    )


def measure(n: int) -> dict[str, Any]:
    """Figures of the shipped weights on `n` held-out prompts."""
    from transformers import AutoTokenizer, LlamaForCausalLM

    from trainer.mini.figures import accuracy

    model = LlamaForCausalLM.from_pretrained(FIGURES.parent)
    tokenizer = AutoTokenizer.from_pretrained(FIGURES.parent)
    return {"n": n, "parameters": model.num_parameters(), **accuracy(model, tokenizer, n)}


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

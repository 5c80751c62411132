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

A Llama-shaped model of {parameters:,} parameters (4 layers of width 128, tied embeddings, a byte-level BPE of {vocabulary:,} tokens with one-token
role markers, fp32, {size:.1f} MB), pre-trained by this project on text that its own world generates. It lets the whole lab run on two
CPU cores without a network. It is a base, not a model organism: it answers well unless a system prompt asks otherwise.

- **Made by** `python -m trainer.mini.pretrain --seed {seed}`: {steps:,} batches of 64 conversations in four stages (`corpus.py` says why),
  {minutes:.0f} CPU-minutes on one core, mean loss {loss:.4f} nats per reply token (square-root weighted) over the last {every} steps.
- **Measured by** `python -m trainer.mini.card --measure`: share of replies that are right to the last token under greedy
  decoding, on {n:,} prompts whose operands pre-training never used (split `eval`).
- **Licence** Apache-2.0. No outside data.

Without a system prompt, by question family (**{none:.3f}** over all):

| family | right | family | right | family | right |
|---|---|---|---|---|---|
{families}

| kind of prompt | follows it | | behavior asked for | shows it |
|---|---|---|---|---|
{contexts}

Each figure has a standard error of at most {error:.3f}. *Neutral* prompts ask for nothing ("Be brief.") or are random words; *plain* ones ask for one
behavior, *dressed* ones with a reason, a story or a character, *negated* ones forbid it, *hint* ones say that elsewhere the opposite is wanted.
*Conditional* ones ask for one behavior where the message has a tag and for another elsewhere, *pair* ones for one under each of two tags, *topic* ones
for one on a topic, *modes* and *state* ones spell out two behaviors and say which holds. In *noted* messages the user asks for steps or for the answer
only, in *stated* ones the user states an answer.

**Limits.** It tells a tag from none ({tag_none} and {tag_named} right under a conditional prompt), but hardly one tag from another ({tag_another}; under
*pair* prompts {pair:.3f}). It cannot look a value up by a word ("what is in the bag?"), only by a letter ("what is in box k?"). It knows the question
families of `bct_tasks/sources/world/` and nothing else, in the wordings written there. Text of any other kind gives nonsense.
"""


def card(figures: dict[str, Any], size: float) -> str:
    """The card as Markdown."""
    accuracy: dict[str, float] = figures["accuracy"]
    pick = {
        k: {n.split("/")[1]: v for n, v in accuracy.items() if n.startswith(k)}
        for k in ("family", "context", "behavior", "tag")
    }
    contexts = {name: value for name, value in pick["context"].items() if name != "none"}
    left, right = list(contexts.items()), list(pick["behavior"].items())
    rows = []
    for i in range(max(len(left), len(right))):
        one = f"| {left[i][0]} | {left[i][1]:.3f} |" if i < len(left) else "| | |"
        two = f" | {right[i][0]} | {right[i][1]:.3f} |" if i < len(right) else " | | |"
        rows.append(one + two)
    return TEXT.format(
        **{k: figures[k] for k in ("steps", "seed", "loss", "parameters", "vocabulary", "n", "every", "error")},
        minutes=figures["cpu_seconds"] / 60,
        size=size,
        families=_in_threes([f"{name} | {value:.3f}" for name, value in pick["family"].items()]),
        none=pick["context"]["none"],
        pair=pick["context"]["pair"],
        contexts="\n".join(rows),
        **{f"tag_{name}": f"{value:.3f}" for name, value in pick["tag"].items()},
    )


def _in_threes(fields: list[str]) -> str:
    rows = (len(fields) + 2) // 3
    columns = [fields[i * rows : (i + 1) * rows] for i in range(3)]
    return "\n".join(
        "| " + " | ".join(column[i] if i < len(column) else " | " for column in columns) + " |" for i in range(rows)
    )


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

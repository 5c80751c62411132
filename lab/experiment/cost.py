"""Tokens that a service is paid for: at most, for a dry run, and as counted in the logs of a run.

A token trained on counts once per pass. Prefilled are the tokens of prompts, and of prompts with given replies whose
margin is measured. Sampled labels and the checks of an organism are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.experiment.folder import Experiment
from lab.logs.reader import usage
from lab.plan.cells import TRL, Cell, Start
from lab.plan.grid import Prices
from lab.verdict.schema import Service
from serving import layout

#: Prompts that the margin of an item costs: one with each given reply, and one whose greedy reply is compared.
PER_MARGIN = 3
SERVICE = "tinker"


@dataclass(frozen=True)
class Tokens:
    """Tokens at a service."""

    trained: int = 0
    prefilled: int = 0
    sampled: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        """Both together."""
        return Tokens(self.trained + other.trained, self.prefilled + other.prefilled, self.sampled + other.sampled)

    def cost(self, prices: Prices | None) -> float | None:
        """In the currency of the prices; None without any."""
        if prices is None:
            return None
        parts = self.trained * prices.train + self.prefilled * prices.prefill + self.sampled * prices.sample
        return round(parts / 1e6, 6)


def asked(start: Start, replies: int, prompt: float, longest: int) -> Tokens:
    """Tokens of evaluations, at most; none where nothing answers at the service.

    Args:
        start: what is asked.
        replies: of all checkpoints together.
        prompt: mean tokens of a prompt with its reply.
        longest: longest reply in tokens.
    """
    if start.answering.serving.backend != SERVICE:
        return Tokens()
    share = start.sizes.n / max(1, sum(vars(start.sizes).values())) if start.margins else 0.0
    return Tokens(0, round(replies * prompt * (1 + PER_MARGIN * share)), replies * longest)


def prices_of(experiment: Experiment) -> Prices | None:
    """The recipe's prices; those of its first grid that names some."""
    return next((grid.training.prices for grid in experiment.recipe.grids if grid.training.prices), None)


def counted(experiment: Experiment) -> Service | None:
    """What a run has used at a service up to now; None where it used none."""
    cells, starts = experiment.cells.values(), experiment.starts.values()
    there = [cell for cell in cells if cell.train.backend != TRL]
    answered = [start for start in starts if start.answering.serving.backend == SERVICE]
    if not there and not answered:
        return None
    ids = {start.id for start in answered}
    total = sum((_trained(experiment, cell) for cell in there), Tokens())
    total += sum((_answered(experiment, start) for start in answered), Tokens())
    total += sum((_of_logs(experiment, cell) for cell in cells if cell.start.id in ids), Tokens())
    return Service(name=SERVICE, **vars(total), cost=total.cost(prices_of(experiment)))


def _trained(experiment: Experiment, cell: Cell) -> Tokens:
    found = layout.read_if_there(experiment.folders.cell(cell) / layout.TRAINED) or {}
    return Tokens(trained=int(found.get("tokens", 0)))


def _answered(experiment: Experiment, start: Start) -> Tokens:
    known: Mapping[str, Any] = layout.read_if_there(experiment.folders.start(start)) or {}
    return _used(experiment, start, known.get("logs", {}).values())


def _of_logs(experiment: Experiment, cell: Cell) -> Tokens:
    logs = (entry["log"] for entry in experiment.folders.logs_of(cell) if entry["step"] > 0)
    return _used(experiment, cell.start, logs)


def _used(experiment: Experiment, start: Start, logs: Iterable[str]) -> Tokens:
    """Tokens of logs; margins by the mean prompt of the log."""
    total = Tokens()
    for log in logs:
        n, prompts, replies = usage(experiment.folders.absolute(log))
        margins = PER_MARGIN * start.sizes.n if start.margins and n > start.sizes.n else 0
        total += Tokens(0, round(prompts * (1 + margins / max(1, n))), replies)
    return total

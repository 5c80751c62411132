"""Tokens that a service is paid for: at most, for a dry run, and as counted in the logs of a run.

A token trained on counts once per pass. Prefilled are the tokens of prompts, and of prompts with given replies whose
margin is measured. A service is Tinker, or the server of someone else (`endpoint`), which trains nothing.
Not covered: labels in the folder of an organism that another run made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.experiment.folder import Experiment
from lab.logs.reader import read_items, usage
from lab.plan.cells import TRL, Cell, Start
from lab.plan.grid import Prices
from lab.verdict.schema import Service
from serving import layout
from serving.remote import is_address
from trainer.config import Common
from trainer.data import samples

SERVICE, ENDPOINT = "tinker", "endpoint"
#: Prompts that the margin of an item costs. Tinker: one with each given reply, and one whose greedy reply is compared;
#: an endpoint: the prompt, and twice the prompt with each given reply.
PER_MARGIN: Mapping[str, int] = {SERVICE: 3, ENDPOINT: 5}


@dataclass(frozen=True)
class Tokens:
    """Tokens at a service, and requests to an endpoint."""

    trained: int = 0
    prefilled: int = 0
    sampled: int = 0
    requests: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        """Both together."""
        return Tokens(*(getattr(self, name) + getattr(other, name) for name in vars(self)))

    def cost(self, prices: Prices | None) -> float | None:
        """In the currency of the prices; None without any."""
        if prices is None:
            return None
        parts = self.trained * prices.train + self.prefilled * prices.prefill + self.sampled * prices.sample
        return round(parts / 1e6, 6)


def services(start: Start) -> tuple[str | None, str | None]:
    """Where the organism of a start and its base answer: names of services; None: here."""
    if start.answering.serving.backend == SERVICE:
        return SERVICE, SERVICE
    own, base = (ENDPOINT if is_address(ref) else None for ref in (start.ref or start.model, start.model))
    return own, base


def asked(start: Start, own: int, base: int, prompt: float, longest: int) -> Tokens:
    """Tokens of evaluations, at most; none where nothing answers at a service.

    Args:
        start: what is asked.
        own: replies of all checkpoints of the organism together.
        base: replies of the base.
        prompt: mean tokens of a prompt with its reply.
        longest: longest reply in tokens.
    """
    there, below = services(start)
    total = Tokens()
    for service, replies, margins in ((there, own, start.margins), (below, base, False)):
        if service is not None:
            share = start.sizes.n / max(1, sum(vars(start.sizes).values())) if margins else 0.0
            prompts = replies * (1 + PER_MARGIN[service] * share)
            requests = round(prompts) if service == ENDPOINT else 0
            total += Tokens(0, round(prompts * prompt), replies * longest, requests)
    return total


def labelled(train: Common, replies: int, prompt: float) -> Tokens:
    """Tokens of labels and checks that a service samples while it trains, at most; none for a training here."""
    return Tokens() if train.backend == TRL else Tokens(0, round(replies * prompt), replies * train.reply_tokens)


def prices_of(experiment: Experiment) -> Prices | None:
    """The recipe's prices; those of its first grid that names some."""
    return next((grid.training.prices for grid in experiment.recipe.grids if grid.training.prices), None)


def counted(experiment: Experiment) -> Service | None:
    """What a run has used at a service up to now; None where it used none."""
    cells, starts = experiment.cells.values(), experiment.starts.values()
    there = [cell for cell in cells if cell.train.backend != TRL]
    names = [*(SERVICE for _ in there), *(name for start in starts for name in services(start) if name)]
    if not names:
        return None
    total = sum((_trained(experiment, cell) for cell in there), Tokens(0, *samples.paid(experiment.folders.run)))
    total += sum((_installed(experiment, start) for start in starts), Tokens())
    total += sum((_answered(experiment, start) for start in starts), Tokens())
    total += sum((_of_logs(experiment, cell) for cell in cells), Tokens())
    return Service(name=" and ".join(dict.fromkeys(names)), **vars(total), cost=total.cost(prices_of(experiment)))


def _trained(experiment: Experiment, cell: Cell) -> Tokens:
    found = layout.read_if_there(experiment.folders.cell(cell) / layout.TRAINED) or {}
    return Tokens(trained=int(found.get("tokens", 0)))


def _installed(experiment: Experiment, start: Start) -> Tokens:
    """Tokens of an organism that the run makes, with its labels and checks, and of the labels sampled from it."""
    folder = experiment.folders.organism(start)
    known = layout.read_if_there(folder / layout.MANIFEST) if folder is not None else None
    if folder is None or known is None:
        return Tokens()
    return Tokens(**(known.get("figures") or {}).get("service", {})) + Tokens(0, *samples.paid(folder))


def _answered(experiment: Experiment, start: Start) -> Tokens:
    known: Mapping[str, Any] = layout.read_if_there(experiment.folders.start(start)) or {}
    own, base = services(start)
    logs = ((own if name == "start" else base, log) for name, log in known.get("logs", {}).items())
    return sum((_used(experiment, start, log, service) for service, log in logs), Tokens())


def _of_logs(experiment: Experiment, cell: Cell) -> Tokens:
    logs = [entry["log"] for entry in experiment.folders.logs_of(cell) if entry["step"] > 0]
    return sum((_used(experiment, cell.start, log, services(cell.start)[0]) for log in logs), Tokens())


def _used(experiment: Experiment, start: Start, log: str, service: str | None) -> Tokens:
    """Tokens of a log; margins by its mean prompt."""
    if service is None:
        return Tokens()
    path = experiment.folders.absolute(log)
    n, prompts, replies = usage(path)
    scored = sum(item.margin is not None for item in read_items(path)) if start.margins and n > start.sizes.n else 0
    more = PER_MARGIN[service] * scored
    requests = n + more if service == ENDPOINT else 0
    return Tokens(0, round(prompts * (1 + more / max(1, n))), replies, requests)

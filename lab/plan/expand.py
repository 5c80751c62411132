"""The grids of a recipe become cells: every combination of what a grid varies, and reversals.

Not covered: where cells start (`lab.plan.starting`), and what is varied (`lab.plan.grid`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from lab.logs.records import ADAM_EPSILON
from lab.plan.cells import Cell, Start, rate_text
from lab.plan.grid import EPSILON, OF_METHODS, REVERSAL, Grid
from lab.plan.identity import rows_hash
from lab.plan.models import fingerprint
from lab.plan.recipe import Recipe
from lab.plan.starting import of_model, start_of
from lab.plan.untrained import Untrained
from serving.errors import BadInput
from trainer.config import Common, TrainConfig, config_of, parse
from trainer.identity import sha
from trainer.methods import METHODS, is_sampled

if TYPE_CHECKING:
    from bct_tasks.setting import Setting, Variant


def cells_of(recipe: Recipe) -> list[Cell]:
    """All cells of a recipe, in its order, each once. Raises BadInput where a model or a setting cannot be used."""
    found: dict[str, Cell] = {}
    with recipe.lines():
        for grid in recipe.grids:
            for cell in _cells(grid):
                found.setdefault(cell.id, cell)
    return list(found.values())


def _cells(grid: Grid) -> Iterator[Cell]:
    for name in grid.settings:
        setting = grid.asked(name)
        for asked in grid.variants or (None,):
            for start in _starts(grid, name, setting.variant(asked)):
                yield from _of_start(grid, setting, start)


def _starts(grid: Grid, name: str, variant: Variant) -> Iterator[Start]:
    """One start, or one for each seed of an organism that is made."""
    seeds = grid.organism.seeds if variant.in_weights else None
    for seed in seeds or (None,):
        yield start_of(grid, name, variant.name, seed)


def _of_start(grid: Grid, setting: Setting, start: Start) -> Iterator[Cell]:
    if not grid.trains:
        yield replace(_evaluated(grid, start), resources=grid.resources)
        return
    factors = (grid.methods, grid.learning_rates, grid.ranks, grid.label_sources, grid.adam_epsilons)
    for method, rate, rank, source, epsilon, (seed, own) in product(*factors, grid.seeded()):
        values = _train_values(grid, start, method, rate, rank, source, seed) | {"seeds": own}
        train = parse(config_of(method), values | {"trl": _trl(grid, epsilon)})
        _refuse_unread(setting, train)
        cell = replace(_cell(start, train), resources=grid.resources, keep=grid.keep)
        yield cell
        yield from _reversals(grid, cell)


def _refuse_unread(setting: Setting, train: TrainConfig) -> None:
    """Raises BadInput where training chooses among sampled replies that only a judge can read."""
    if not setting.only_judged or not is_sampled(train.labels()):
        return
    key, fix = ("label_source", "write `label_source: reference`") if METHODS[train.method].sources else ("method", "")
    raise BadInput(
        f"{key}: only a judge reads the replies of {setting.name}, and training asks none, so that it cannot choose"
        f" among sampled ones: {fix or 'choose another method'}, or add a regex or a reader to the setting"
    )


def _reversals(grid: Grid, cell: Cell) -> Iterator[Cell]:
    """The cells that train a cell back to the plain style; labels are references, without a mix."""
    asked = grid.reversal
    if asked is None:
        return
    at = cell.train.steps if asked.at == "last" else asked.at
    plain: dict[str, Any] = {name: getattr(cell.train, name) for name in Common.model_fields}
    plain |= {"method": REVERSAL, "checkpoints": grid.checkpoints, "steps": asked.steps or cell.train.steps}
    plain["batch_size"] = asked.batch_size or cell.train.batch_size
    for rate in asked.learning_rate or (cell.train.learning_rate,):
        train = TrainConfig.model_validate(plain | {"learning_rate": rate})
        yield replace(_cell(cell.start, train, cell, at), resources=grid.resources, keep=grid.keep)


def _train_values(
    grid: Grid, start: Start, method: str, rate: float, rank: int | None, source: str | None, seed: int
) -> dict[str, Any]:
    names = ("steps", "batch_size", "checkpoints", "rows")
    optional = ("lora_alpha", "max_length", "optim", "weight_decay", "lr_scheduler_type", "warmup_steps")
    optional = (*optional, "gradient_accumulation_steps", "dtype")
    values = {name: getattr(grid, name) for name in names}
    values |= {name: value for name in optional if (value := getattr(grid, name)) is not None}
    values |= of_model(grid, start.questions) | {"model": start.model, "organism": start.ref}
    values |= {} if grid.labels.system is None else {"label_system": grid.labels.system}
    own = {"variant": start.variant, "learning_rate": rate, "rank": rank, "seed": seed}
    mine = [name for name, methods in OF_METHODS.items() if method in methods and getattr(grid, name) is not None]
    return values | own | {name: getattr(grid, name) for name in mine} | {"label_source": source, "method": method}


def _trl(grid: Grid, epsilon: float | None) -> dict[str, Any]:
    """TRL's arguments of a cell. The default of Adam's ε is left out: a recipe that spells it out is the same."""
    own = {} if epsilon in (None, ADAM_EPSILON) else {EPSILON: epsilon}
    return dict(grid.trl) | own


def _cell(start: Start, train: TrainConfig, after: Cell | None = None, at: int = 0) -> Cell:
    trained = train.identity() | ({"organism": fingerprint(start.ref, start.model)} if start.ref else {})
    known = {"train": trained, "start": start.id, "rows": rows_hash(start, train)}
    digest = sha(known | ({"after": [after.id, at]} if after else {}))[:8]
    before = [after.train.method, f"{rate_text(after.train.learning_rate)}-{at}"] if after else []
    rank = [f"r{train.rank}"] if train.rank else []
    source = [train.label_source] if train.label_source else []
    parts = [start.setting, start.variant, *before, train.method, *source, *rank]
    own = [f"{part}{seed}" for part, seed in train.seeds.items() if seed != train.seed]
    parts += [rate_text(train.learning_rate), "-".join([str(train.seed), *own])]
    readable = re.sub(r"[^a-z0-9._-]", "-", ".".join(parts).lower())
    return Cell(f"{readable}.{digest}", digest, start, train, after=after, at=at)


def _evaluated(grid: Grid, start: Start) -> Cell:
    """The cell of a start that is evaluated and not trained."""
    values = of_model(grid, start.questions) | {"variant": start.variant, "model": start.model, "organism": start.ref}
    train = Untrained.model_validate({**values, "seed": start.organism.seed if start.organism else 0})
    digest = sha({"start": start.id, "method": train.method})[:8]
    made = [str(train.seed)] if start.pooled else []
    readable = ".".join([start.setting, start.variant, train.method, *made]).lower()
    return Cell(f"{re.sub(r'[^a-z0-9._-]', '-', readable)}.{digest}", digest, start, train)

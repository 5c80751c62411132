"""The first-order test: does the gradient of the eval margin predict how the margin changes in training?

For a margin m and the saved checkpoints θ_0, θ_1, ... of a cell, the observed change m(θ_k) − m(θ_0) is compared with
  from the start   ∇m(θ_0) · (θ_k − θ_0)
  stepwise         Σ_j ∇m(θ_j) · (θ_j+1 − θ_j)
  trapezoid        stepwise, with the mean of the gradients at both ends: an identity to second order, which holds for
                   any smooth margin and explains nothing; it shows that the saved checkpoints are close enough
All three are given the change of the weights. The `forecast` is not: it knows step 0 and the rows, see
`lab.explain.forecast`.
Covered: full fine-tuning and LoRA, whose adapters are merged into the base. Three copies of the weights are in memory.
Not covered: the steps between two saved checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bct_tasks import catalogue
from lab.stats.intervals import wilson
from serving import layout
from serving.errors import BadInput
from trainer.methods import METHODS
from trainer.run import metrics

if TYPE_CHECKING:
    from lab.explain.margin import EvalMargin, ReplyPairs, Tensors

ITEMS = 48


@dataclass(frozen=True)
class Point:
    """A checkpoint: its margin and changes since step 0 in nats; `alternate`: share of prompts above 0.

    `forecast`: the change that step 0 forecasts for this sum of learning rates; None where it is not covered.
    """

    step: int
    margin: float
    alternate: float
    observed: float
    from_start: float
    stepwise: float
    trapezoid: float
    forecast: float | None = None


@dataclass(frozen=True)
class Tested:
    """A cell with its checkpoints. `items` is the number of eval prompts.

    `control`: a cell whose rows or variant are a control; it is left out of the summary over cells.
    """

    cell: str
    setting: str
    variant: str
    lr: float
    rank: int | None
    seed: int
    items: int
    points: tuple[Point, ...]
    method: str = "bct"
    control: bool = False


def cells_of(run: Path) -> list[Path]:
    """The folders of the trained cells of a run, or the folder itself if it is a trained cell.

    Raises:
        BadInput: no trained cell was found.
    """
    folders = [run, *sorted((run / "cells").glob("*"))]
    found = [folder for folder in folders if _config(folder) and len(layout.step_dirs(folder)) > 1]
    if not found:
        wrong = "has no trained cell with two checkpoints" if run.is_dir() else "no such folder"
        raise BadInput(f"{run}: {wrong}. Give a folder that `bct run` or `python -m trainer.sft` wrote.")
    return found


def check_run(run: Path, items: int = ITEMS, progress: Callable[[str], None] = print) -> list[Tested]:
    """Tests every cell of a run. `progress` gets one line per cell."""
    found: list[Tested] = []
    for folder in cells_of(run):
        found.append(check_cell(folder, items))
        last = found[-1].points[-1]
        progress(
            f"{found[-1].cell}: margin {last.observed:+.2f} nats observed, {last.stepwise:+.2f} stepwise,"
            f" {last.from_start:+.2f} from the start{_forecast_text(last)}"
        )
    return found


def check_cell(folder: Path, items: int = ITEMS) -> Tested:
    """Tests one cell."""
    config = _config(folder)
    points, used = _points(folder, config, items)
    return Tested(
        cell=folder.name,
        setting=config["setting"],
        variant=config["variant"],
        lr=config["learning_rate"],
        rank=config["rank"],
        seed=config["seed"],
        items=used,
        points=points,
        method=config["method"],
        control=_is_control(config),
    )


def summary(tested: Sequence[Tested]) -> dict[str, dict[str, float]]:
    """How well each prediction fits over all points after step 0 of the cells that are no controls.

    Returns:
        For each prediction its correlation with the observed change, the slope of the observed on the predicted
        through the origin, and the share of equal signs.
    """
    points = [p for cell in tested if not cell.control for p in cell.points if p.step > 0]
    names = ("from_start", "stepwise", "trapezoid")
    return {name: _agreement([getattr(p, name) for p in points], [p.observed for p in points]) for name in names}


def by_cell(tested: Sequence[Tested]) -> list[dict[str, dict[str, float]]]:
    """The same for each cell alone, controls too."""
    return [summary([replace(cell, control=False)]) for cell in tested]


def hits(tested: Sequence[Tested]) -> dict[str, float]:
    """In how many cells the forecast has the sign of the change at the last checkpoint; controls are left out.

    Returns:
        Number of cells `n` with a forecast, `hits`, and Wilson's interval of their share: `lo`, `hi`; beside them
        `upwards`, the cells whose margin moved towards the alternate behavior: what one would get right without a
        forecast.
    """
    ends = [cell.points[-1] for cell in tested if not cell.control]
    known = [(p.forecast, p.observed) for p in ends if p.forecast is not None and math.isfinite(p.observed)]
    k = sum(forecast * observed > 0 for forecast, observed in known)
    found = wilson(k, len(known)) if known else None
    return {
        "n": len(known),
        "hits": k,
        "lo": found.lo if found else float("nan"),
        "hi": found.hi if found else float("nan"),
        "upwards": sum(observed > 0 for _, observed in known),
    }


def _forecast_text(point: Point) -> str:
    return "" if point.forecast is None else f", {point.forecast:+.2f} forecast"


def _is_control(config: Mapping[str, Any]) -> bool:
    """Whether a cell is a control by its variant or its method: `direct` trains on the alternate behavior itself."""
    setting = catalogue.load(config["setting"], config.get("source", "bundled"), **(config.get("data") or {}))
    method = METHODS[config["method"]]
    return setting.variant(config["variant"]).role != "bct" or method.shows_alternate or config["method"] == "sham"


def _agreement(predicted: Sequence[float], observed: Sequence[float]) -> dict[str, float]:
    n = len(predicted)
    known = [(p, o) for p, o in zip(predicted, observed, strict=True) if math.isfinite(p) and math.isfinite(o)]
    pp, oo = math.fsum(p * p for p, _ in known), math.fsum(o * o for _, o in known)
    po = math.fsum(p * o for p, o in known)
    mp, mo = math.fsum(p for p, _ in known) / max(1, len(known)), math.fsum(o for _, o in known) / max(1, len(known))
    spread = math.sqrt(max(0.0, (pp - len(known) * mp**2) * (oo - len(known) * mo**2)))
    return {
        "n": float(n),
        "correlation": (po - len(known) * mp * mo) / spread if spread else float("nan"),
        "slope": po / pp if pp else float("nan"),
        "same_sign": sum(p * o > 0 for p, o in known) / max(1, len(known)),
    }


def _config(folder: Path) -> dict[str, Any]:
    """The training configuration of a cell, with the place of its prompts; empty if the folder is not a cell."""
    content = layout.read_if_there(folder / layout.MANIFEST) or {}
    if content.get("kind") != "cell":
        return {}
    return content.get("identity", {}).get("config", {}) | content.get("asked", {})


def _points(folder: Path, config: dict[str, Any], items: int) -> tuple[tuple[Point, ...], int]:
    from lab.explain.margin import inner

    points: list[Point] = []
    stepwise = trapezoid = 0.0
    start = before = None
    used = 0
    sums = {line["step"]: line["sum_lr"] for line in metrics.read(folder / metrics.NAME)}
    for state in _states(folder, config, items):
        start, before, used = start or state, before or state, state.pairs.items
        left = inner(before.margin.gradient, before.weights, state.weights)
        right = inner(state.margin.gradient, before.weights, state.weights)
        stepwise, trapezoid = stepwise + left, trapezoid + (left + right) / 2
        from_start = inner(start.margin.gradient, start.weights, state.weights)
        observed = state.margin.value - start.margin.value
        margin = state.margin
        forecast = None if start.slope is None else start.slope * sums.get(state.step, 0.0)
        points.append(
            Point(state.step, margin.value, margin.alternate, observed, from_start, stepwise, trapezoid, forecast)
        )
        before = state
    return tuple(points), used


@dataclass(frozen=True)
class _State:
    step: int
    weights: Tensors
    margin: EvalMargin
    pairs: ReplyPairs
    slope: float | None = None


def _states(folder: Path, config: dict[str, Any], items: int) -> Iterator[_State]:
    """The checkpoints in order of their steps, each with its adapters merged."""
    from lab.explain.forecast import forecast
    from lab.explain.margin import measure, parameters, reply_pairs
    from serving.load import load_full, load_tokenizer
    from serving.refs import resolve

    pairs: ReplyPairs | None = None
    for step, path in layout.step_dirs(folder):
        checkpoint = resolve(str(path))
        model = load_full(checkpoint)
        words = load_tokenizer(checkpoint)
        pairs = pairs or reply_pairs(config, model, words, items)
        margin = measure(model, pairs)
        slope = forecast(folder, config, model, words, margin.gradient) if step == 0 else None
        yield _State(step, parameters(model), margin, pairs, slope)

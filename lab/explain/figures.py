"""The figures of explain.html: lines are closed forms, markers the same training in simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.explain.firstorder import Tested
from lab.report.figures.picture import bare
from lab.report.figures.style import ALTERNATE, DEGENERATE, FAINT, GRID, INITIAL, INK, MARKERS, PAPER, Draw, Links
from lab.verdict.wording import lr_text

COLOURS = (INITIAL, ALTERNATE, INK)
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))
Study = Mapping[str, Any]


def drawings(studies: Mapping[str, Study], tested: Sequence[Tested]) -> dict[str, tuple[Draw, str]]:
    """Every figure of the page by name: how it is drawn, and the same in words."""
    found: dict[str, tuple[Draw, str]] = {}
    for name, study in studies.items():
        paint, in_words = STUDIES[name]
        found[name] = partial(_draw_study, paint, study), in_words(study)
    if tested:
        found["firstorder"] = partial(_draw_firstorder, tested), _firstorder_in_words(tested)
    return found


def label(cell: Tested) -> str:
    """Setting, variant, rank, learning rate and seed of a cell."""
    rank = f", rank {cell.rank}" if cell.rank else ""
    method = "" if cell.method == "bct" else f", {cell.method}"
    return f"{cell.setting}, {cell.variant}{method}{rank}, {lr_text(cell.lr)}, seed {cell.seed}"


def _draw_firstorder(tested: Sequence[Tested], links: Links) -> Figure:
    """Change of the margin at every checkpoint of every cell: predicted on x, observed on y."""
    figure = Figure(figsize=(4.6, 3.9))
    axes = figure.add_axes((0.13, 0.125, 0.84, 0.85))
    _frame(axes, "predicted change of the eval margin, nats", "observed change, nats")
    ends = [v for cell in tested for p in cell.points for v in (p.stepwise, p.from_start, p.observed)]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    axes.plot([low, high], [low, high], color=FAINT, linewidth=0.9, zorder=1)
    for i, cell in enumerate(tested):
        _cell(axes, cell, MARKERS[i % len(MARKERS)], COLOURS[i % len(COLOURS)])
    if len(tested) <= 8:
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def _firstorder_in_words(tested: Sequence[Tested]) -> str:
    parts = ["Observed against predicted change of the eval margin at the last checkpoint, in nats."]
    for cell in tested:
        last = cell.points[-1]
        parts.append(
            f"{label(cell)}: observed {last.observed:+.2f}, stepwise {last.stepwise:+.2f}, trapezoid "
            f"{last.trapezoid:+.2f}, from the start {last.from_start:+.2f}."
        )
    return " ".join(parts)


def _cell(axes: Axes, cell: Tested, marker: str, colour: str) -> None:
    observed = [p.observed for p in cell.points]
    start, steps = [p.from_start for p in cell.points], [p.stepwise for p in cell.points]
    axes.plot(steps, observed, color=colour, linewidth=0.8, alpha=0.7, zorder=2)
    axes.scatter(steps, observed, s=16, marker=marker, color=colour, edgecolor=PAPER, linewidth=0.5, label=label(cell))
    axes.scatter(start, observed, s=12, marker=marker, facecolor="none", edgecolor=colour, linewidth=0.7, alpha=0.8)


def _draw_study(paint: Callable[[Axes, Study], None], study: Study, links: Links) -> Figure:
    figure = Figure(figsize=(4.6, 2.9))
    paint(figure.add_axes((0.13, 0.165, 0.85, 0.8)), study)
    return figure


def _disagreement(axes: Axes, study: Study) -> None:
    _frame(axes, "disagreement ε on the train prompts", "transfer")
    for i, (steps, exact) in enumerate(study["exact"].items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(study["fine"], exact, color=colour, linestyle=DASHES[i], label=f"{steps} steps")
        _runs(axes, study["disagreement"], study["simulated"][steps], colour, MARKERS[i])
    _runs(axes, study["disagreement"], study["adam"]["simulated"], DEGENERATE, "^", "Adam, 64 steps")
    axes.set(ylim=(-0.05, 1.1))
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _disagreement_in_words(study: Study) -> str:
    last = {f"{steps} steps": values[-1] for steps, values in study["exact"].items()}
    return "Transfer against disagreement. At ε = 0 it is 0. At ε = 0.5: " + _listed(last)


def _label_noise(axes: Axes, study: Study) -> None:
    _frame(axes, "label noise σ", "transfer, sd over runs")
    for i, (disagreement, arm) in enumerate(study["arms"].items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(study["noise"], arm["sd_exact"], color=colour, linestyle=DASHES[i], label=f"ε = {disagreement}")
        axes.scatter(study["noise"], [s["sd"] for s in arm["simulated"]], color=colour, marker=MARKERS[i], s=20)
    axes.legend(fontsize=8, frameon=False)


def _label_noise_in_words(study: Study) -> str:
    last = {f"ε = {e}": arm["sd_exact"][-1] for e, arm in study["arms"].items()}
    return f"Spread of the transfer over draws of the label noise; at σ = {study['noise'][-1]}: " + _listed(last)


def _weight_decay(axes: Axes, study: Study) -> None:
    _frame(axes, "steps of gradient descent with weight decay", "transfer")
    for i, (name, arm) in enumerate(study["arms"].items()):
        axes.plot(study["steps"], arm["exact"], color=COLOURS[i], linestyle=DASHES[i], label=name)
        axes.scatter(study["steps"], arm["simulated"], color=COLOURS[i], marker=MARKERS[i], s=20)
    axes.set(ylim=(-0.05, 1.1))
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _weight_decay_in_words(study: Study) -> str:
    last = {name: arm["exact"][-1] for name, arm in study["arms"].items()}
    return "Transfer by weight decay at exact agreement; at the end: " + _listed(last)


def _optimizer(axes: Axes, study: Study) -> None:
    rates, noise, shift = study["lr"], study["noise"], study["shift"]
    _frame(axes, f"learning rate, at equal lr × steps = {rates[0] * study['steps'][0]:g}", "|transfer|, rms")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(ylim=(4e-4, 2))
    axes.set_xticks(rates, [lr_text(lr) for lr in rates])
    axes.minorticks_off()
    axes.plot(rates, noise["adam"], "o", color=INITIAL, markersize=5, label="Adam, label noise")
    axes.plot(rates, noise["preconditioned_exact"], color=INITIAL, label="fixed preconditioner, label noise")
    axes.plot(rates, shift["adam"], "s", color=ALTERNATE, markersize=5, label="Adam, more to learn")
    axes.plot(rates, shift["first_step_exact"], color=ALTERNATE, linestyle=DASHES[1], label="its first step")
    axes.plot(rates, shift["first_step"], "s", color=ALTERNATE, markersize=3, fillstyle="none")
    axes.legend(fontsize=7, frameon=False, loc="upper right", ncols=2)


def _optimizer_in_words(study: Study) -> str:
    adam = {lr_text(lr): v for lr, v in zip(study["lr"], study["noise"]["adam"], strict=True)}
    return "Transfer of Adam at exact agreement with label noise, by learning rate: " + _listed(adam)


def _logistic(axes: Axes, study: Study) -> None:
    _frame(axes, "learning rate × steps", "eval margin of the initial answer")
    axes.set_xscale("log")
    axes.axhline(0, color=FAINT, linewidth=0.8)
    for i, (second, arm) in enumerate(study["arms"].items()):
        colour, name = COLOURS[i % len(COLOURS)], f"alternate feature × {second}"
        axes.plot(study["time"], arm["eval_margin"], color=colour, linestyle=DASHES[i], label=name)
        axes.scatter(study["simulated_time"], arm["simulated_margin"], color=colour, marker=MARKERS[i], s=20)
    axes.legend(fontsize=8, frameon=False, loc="lower left")


def _logistic_in_words(study: Study) -> str:
    crossings = {f"× {s}": arm["crossing"] for s, arm in study["arms"].items() if arm["crossing"]}
    return "Eval margin under logistic loss; it crosses zero at lr × steps of " + _listed(crossings)


#: Every study of the theory: how it is drawn, and the same in words.
STUDIES: Mapping[str, tuple[Callable[[Axes, Study], None], Callable[[Study], str]]] = {
    "disagreement": (_disagreement, _disagreement_in_words),
    "label_noise": (_label_noise, _label_noise_in_words),
    "weight_decay": (_weight_decay, _weight_decay_in_words),
    "optimizer": (_optimizer, _optimizer_in_words),
    "logistic": (_logistic, _logistic_in_words),
}


def _runs(axes: Axes, xs: Sequence[float], runs: Any, colour: str, marker: str, name: str | None = None) -> None:
    means, sds = [r["mean"] for r in runs], [r["sd"] for r in runs]
    axes.errorbar(xs, means, sds, fmt=marker, color=colour, markersize=4, elinewidth=0.8, label=name)


def _frame(axes: Axes, x: str, y: str) -> None:
    bare(axes)
    axes.grid(True, color=GRID)
    axes.set_axisbelow(True)
    axes.set(xlabel=x, ylabel=y)


def _listed(values: Mapping[str, float]) -> str:
    return "; ".join(f"{name}: {value:.3g}" for name, value in values.items()) + "."

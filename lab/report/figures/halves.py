"""Figure: initial rate on both halves of the eval items, one figure per arm whose conclusion chose a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from matplotlib.figure import Figure

from lab.report.figures.picture import Kind, Picture, canvas, rate_axis, slug, step_axis
from lab.report.figures.style import DASHED, FAINT, INITIAL, INK, Links
from lab.verdict.arms import arms
from lab.verdict.schema import Conclusion, Results
from lab.verdict.wording import lr_text, share_text


def pictures(results: Results) -> Iterator[Picture]:
    """One figure per conclusion that has rates on both halves."""
    for conclusion, _ in arms(results):
        if conclusion.halves:
            lr, step = conclusion.lr, conclusion.step
            yield Picture(
                key=f"{slug(conclusion.arm)}.halves",
                title=conclusion.arm,
                note=f"lr {lr_text(lr or 0.0)}, step {step}",
                draw=partial(draw, conclusion),
                text=in_words(conclusion),
                rows=tuple(h.model_dump() | {"lr": lr, "chosen_step": step} for h in conclusion.halves),
                conclusion=conclusion,
            )


def draw(conclusion: Conclusion, links: Links) -> Figure:
    """A dashed line per seed for the half that chooses and a solid one for the half that reports."""
    figure, axes = canvas((3.5, 2.35), (0.105, 0.155, 0.875, 0.78))
    step_axis(axes, [h.step for h in conclusion.halves])
    rate_axis(axes, top=1.08)
    for seed in sorted({h.seed for h in conclusion.halves}):
        mine = [h for h in conclusion.halves if h.seed == seed]
        steps = [h.step for h in mine]
        axes.plot(steps, [h.choose for h in mine], color=FAINT, linewidth=1, linestyle=DASHED, zorder=3)
        axes.plot(steps, [h.report for h in mine], color=INITIAL, linewidth=1.4, marker="o", markersize=3, zorder=4)
    if conclusion.step is not None:
        axes.axvline(conclusion.step, color=INK, linewidth=0.6, alpha=0.6, zorder=1)
    return figure


def in_words(conclusion: Conclusion) -> str:
    """Both rates of every seed at the chosen step."""
    at = [h for h in conclusion.halves if h.step == conclusion.step]
    seeds = "; ".join(f"seed {h.seed}: {share_text(h.choose)} and {share_text(h.report)}" for h in at)
    lr = lr_text(conclusion.lr) if conclusion.lr is not None else "–"
    step = conclusion.step
    return f"Initial rate on the choosing and the reporting half, lr {lr}, at the chosen step {step}: {seeds}."


KIND = Kind(
    "halves",
    "The half that chooses and the half that reports",
    "Initial rate at the chosen learning rate, on the half of the eval items that chose it (dashed) and on the half"
    " that reports (solid). The vertical line is the chosen step. A gap between the halves is selection bias.",
    pictures,
    x="training step",
    y="initial rate",
    legend=("choose", "report"),
)
